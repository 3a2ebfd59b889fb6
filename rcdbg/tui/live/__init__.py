"""The real session behind the screen: a machine, its gdb, and the decoders."""
