"""A gdb under MI."""
