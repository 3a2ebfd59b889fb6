"""A kernel's description against its ELF: what is there, what is missing, what comes nearest."""
