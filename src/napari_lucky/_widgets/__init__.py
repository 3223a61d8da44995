"""The docks: each a thin face on functions of the core."""
