"""Figures of a point-spread function: Strehl ratio, FWHM, encircled energy."""

from napari_lucky._lazy import lazy_names

__getattr__, __dir__, __all__ = lazy_names(
    __name__,
    {
        "bootstrap": "bootstrap_figures",
        "figures": "psf_figures",
        "job": "measure_psf_files",
        "output": "write_figures",
        "recipe": "PsfRecipe PsfRequest",
        "result": "PsfFigures",
        "surface_mesh": "SurfaceMesh surface_of",
    },
)
