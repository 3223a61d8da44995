"""Frames: a lazily read stack, its views, windows and history."""

from napari_lucky._lazy import lazy_names

__getattr__, __dir__, __all__ = lazy_names(
    __name__,
    {
        "frames": "ArrayFrames Frames Subset",
        "history": "Record",
        "lazy_array": "LazyArray",
        "window": "Window",
    },
)
