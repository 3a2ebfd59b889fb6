"""The command line: `rcdbg`, `rcdbg gdb`, `rcdbg show`, `rcdbg walk`."""
