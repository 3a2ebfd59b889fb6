"""What is known of the project in the user's own folder, and what can be done with it."""
