"""Figures of a point-spread function: Strehl ratio, FWHM, encircled energy."""
