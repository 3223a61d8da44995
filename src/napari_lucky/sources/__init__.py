"""Files of frames that are not FITS: SER and TIFF, and the colours of frames of any kind."""
