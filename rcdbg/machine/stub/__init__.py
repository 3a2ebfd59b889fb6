"""QEMU's gdb stub, spoken to directly."""
