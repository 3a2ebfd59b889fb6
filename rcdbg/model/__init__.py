"""What the bytes mean: pure functions from an image and a target to frozen dataclasses."""
