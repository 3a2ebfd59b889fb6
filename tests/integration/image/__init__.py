"""The image layer on the real kernel, against readers that others wrote."""
