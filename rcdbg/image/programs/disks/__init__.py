"""File systems of teaching kernels, read from a disk image: which files there are."""
