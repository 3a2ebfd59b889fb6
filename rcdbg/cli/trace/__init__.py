"""`rcdbg trace`."""
