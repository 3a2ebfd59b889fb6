"""What a family of kernels calls its things: one description each, and which one fits an ELF."""
