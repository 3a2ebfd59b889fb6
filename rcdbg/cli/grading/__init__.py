"""`rcdbg grade`."""
