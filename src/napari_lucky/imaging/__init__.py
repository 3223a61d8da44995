"""Numerics on blocks of pixels."""

from napari_lucky._lazy import lazy_names

__getattr__, __dir__, __all__ = lazy_names(
    __name__,
    {
        "profiles": "Profile column_cut cutout peak_pixel radial_profile row_cut",
        "shifts": "Shifted",
    },
)
