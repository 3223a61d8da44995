"""Numerics on blocks of pixels."""
