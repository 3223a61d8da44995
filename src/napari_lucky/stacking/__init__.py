"""Ways to stack the kept frames."""
