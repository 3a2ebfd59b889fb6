"""Ways to record what a kernel does."""
