"""Darks, flats, bad and saturated pixels, and the sampling of a run."""
