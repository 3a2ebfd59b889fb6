"""What user code asks the kernel for: system calls with their arguments."""
