"""napari's docks, one a file."""
