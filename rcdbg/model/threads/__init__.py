"""Threads, traps, call stacks."""
