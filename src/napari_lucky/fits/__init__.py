"""FITS files: runs read, images and tables written and read back."""
