"""What happens over time: events, and runs of a kernel from one to the next."""
