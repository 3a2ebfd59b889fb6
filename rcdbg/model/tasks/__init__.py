"""What threads and processes have to do with each other: who waits for what, who is whose child."""
