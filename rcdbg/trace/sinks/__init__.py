"""Where events are written to."""
