"""Registers, CSRs, the Context."""
