"""From a stack frame to its caller, and from the kernel into the program that it works for."""
