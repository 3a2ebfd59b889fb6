"""What follows from a recording."""
