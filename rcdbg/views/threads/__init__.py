"""Threads and call stacks."""
