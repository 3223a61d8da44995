"""Telescopes, pupils, Zernike polynomials, turbulence and diffraction."""

from napari_lucky._lazy import lazy_names

__getattr__, __dir__, __all__ = lazy_names(
    __name__,
    {
        "diffraction": "Diffraction diffraction_psf",
        "request": "Spider TelescopeRequest",
        "simulation": "simulate_run",
        "telescope": "Telescope",
        "telescope_store": "named_telescope save_telescope saved_telescopes",
        "zernikes": "kolmogorov_covariance zernike zernike_name",
    },
)
