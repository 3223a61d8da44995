"""Frames: a lazily read stack, its views, windows and history."""
