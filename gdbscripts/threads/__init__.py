"""Parked threads as gdb sees them: their stack frames and their memory."""
