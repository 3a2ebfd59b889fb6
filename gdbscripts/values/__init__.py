"""Values of the kernel in gdb's expressions and in its printing."""
