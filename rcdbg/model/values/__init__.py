"""Typed values of the guest."""
