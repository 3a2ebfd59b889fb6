"""What tests ask of a run."""
