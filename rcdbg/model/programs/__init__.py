"""The programs in U-mode: which one's code is where in an address space, and what explains it."""
