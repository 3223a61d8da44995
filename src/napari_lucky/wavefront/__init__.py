"""The wavefront from the focused and the defocused star."""
