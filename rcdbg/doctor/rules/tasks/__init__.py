"""Rules about threads: what they are doing, their parked registers, their stacks."""
