"""The machine as gdb has it: the connection, the kernel at this stop, running on, recording."""
