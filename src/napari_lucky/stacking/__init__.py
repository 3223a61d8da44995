"""Ways to stack the kept frames."""

from napari_lucky._lazy import lazy_names

__getattr__, __dir__, __all__ = lazy_names(
    __name__,
    {
        "drizzle": "stack_drizzled",
        "fourier": "stack_fourier",
        "mean": "Stack stack_mean",
        "methods": "stack stack_pair quality_weights",
        "robust": "stack_clipped stack_median",
    },
)
