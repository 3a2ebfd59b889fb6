"""What runs on this machine: processes, sessions, deadlines."""
