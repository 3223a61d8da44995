"""napari: reader, writer, sample, and layers to and from results."""
