"""The model as JSON."""
