"""Why the hart trapped: the access that was refused, the rule that refused it, and what is near."""
