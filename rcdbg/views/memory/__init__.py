"""Frames, page tables, address spaces, the heap."""
