"""The quality of each frame, and which frames are kept."""
