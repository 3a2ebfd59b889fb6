"""Rules about memory that is handed out: frames, and the heap."""
