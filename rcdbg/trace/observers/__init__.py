"""Moments in, events out."""
