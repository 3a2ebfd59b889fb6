"""What can be asked for: one table, from which the command line, `rc` and the documents come."""
