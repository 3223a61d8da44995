"""The quality of each frame, and which frames are kept."""

from napari_lucky._lazy import lazy_names

__getattr__, __dir__, __all__ = lazy_names(
    __name__,
    {
        "keep_curve": "KeepCurve",
        "metrics": "METRICS metric",
        "selection": "ManualSelection apply_selection select",
        "step": "Rank Select",
    },
)
