"""What the library and crates keep in shapes of their own: rings of entries, wakers."""
