"""The `rc` commands."""
