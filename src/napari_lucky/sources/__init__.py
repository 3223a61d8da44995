"""Files of frames that are not FITS: SER and TIFF, and the colours of frames of any kind."""

from napari_lucky._lazy import lazy_names

__getattr__, __dir__, __all__ = lazy_names(
    __name__,
    {
        "kinds": "source",
        "source_image": "PixelForm SourceImage HeaderCards",
    },
)
