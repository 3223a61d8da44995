"""The shift of each frame."""
