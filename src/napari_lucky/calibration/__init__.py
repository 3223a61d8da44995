"""Darks, flats, bad and saturated pixels, and the sampling of a run."""

from napari_lucky._lazy import lazy_names

__getattr__, __dir__, __all__ = lazy_names(
    __name__,
    {
        "bad_pixels": "hot_pixels",
        "calibrate": "Calibrated",
        "flat": "FlatField flat_field",
        "masters": "master master_flat",
        "step": "Calibrate",
    },
)
