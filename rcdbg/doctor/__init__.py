"""What is wrong with a kernel: rules over one moment of it, and what each of them found."""
