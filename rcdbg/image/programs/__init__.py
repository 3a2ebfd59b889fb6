"""The programs that a kernel runs in U-mode: where their ELFs are, and what is in them."""
