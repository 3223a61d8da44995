"""Optional steps that clean frames: dust, outliers, background, noise cut, low-pass."""

from napari_lucky._lazy import lazy_names

__getattr__, __dir__, __all__ = lazy_names(
    __name__,
    {
        "background": "BackgroundModel BackgroundRemoved Disc",
        "clean": "Cleaned",
        "dust": "DustRemoved find_dust",
        "dust_shadow": "DustShadow transmission",
        "low_pass": "LowPass cutoff_in_pixels",
        "mean_light": "clipped_mean",
        "noise_cut": "NoiseCut",
        "outliers": "OutliersRemoved count_outliers pixel_statistics",
    },
)
