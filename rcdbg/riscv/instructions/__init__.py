"""Instructions in words: what each is called, its operands, and the memory that it uses."""
