"""Lucky imaging: calibrate, track, rank and stack a run of short exposures.

Everything named here works without napari and Qt. A whole job is a recipe::

    import napari_lucky as lucky

    recipe = lucky.Recipe(frames=("run",), dark="dark.fits", flat="flat.fits", keep=0.1)
    result = lucky.process(recipe)
    lucky.write_results(result, Path("out"))

and each of its steps is a function; see the reference of each. Names are imported when they
are first used, so that importing the package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ._version import __version__
from .errors import LuckyError, NoStarError

if TYPE_CHECKING:
    from .calibration.bad_pixels import hot_pixels
    from .calibration.calibrate import Calibrated, calibrate
    from .calibration.flat_field import FlatField, flat_field
    from .calibration.masters import master, master_flat
    from .cleaning.background import BackgroundModel, BackgroundRemoved, Disc
    from .cleaning.clean import Cleaned, Cleaning, clean
    from .cleaning.dust import DustRemoved, find_dust, mean_light
    from .cleaning.dust_shadow import Spot, transmission
    from .cleaning.low_pass import LowPass, cutoff_in_pixels
    from .cleaning.noise_cut import NoiseCut
    from .cleaning.outliers import OutliersRemoved, count_outliers, usual_residuals
    from .execution.checkpoint import Journal
    from .execution.cluster import ClusterExecutor, on_cluster
    from .execution.processes import Forked, on_copies
    from .fits.frame_table import FrameTable, table_from_csv, table_to_csv
    from .fits.integers import Integers
    from .fits.run import Run, open_run
    from .fits.write import ImageResult, write_fits
    from .frames.frames import ArrayFrames, Frames, Subset
    from .frames.history import Step
    from .frames.lazy_array import LazyArray
    from .frames.window import Window
    from .imaging.profiles import (
        Profile,
        column_cut,
        cut_around,
        peak_pixel,
        radial_profile,
        row_cut,
    )
    from .imaging.shifts import Shifted
    from .optics.diffraction import Diffraction, diffraction_psf
    from .optics.pupil import Spider
    from .optics.simulation import simulate_run
    from .optics.telescope import Telescope
    from .optics.telescope_store import named_telescope, save_telescope, saved_telescopes
    from .optics.zernikes import kolmogorov_covariance, zernike, zernike_name
    from .pipeline.masters_folder import make_masters
    from .pipeline.process import Result, process
    from .pipeline.recipe import Recipe, read_recipe, recipe_to_toml
    from .pipeline.results_folder import write_results
    from .psf.bootstrap import bootstrap_figures
    from .psf.figures import psf_figures
    from .psf.job import measure_files
    from .psf.output import write_figures
    from .psf.recipe import FigureRecipe
    from .psf.result import PsfFigures
    from .psf.surface_mesh import Surface, surface_of
    from .ranking.keep_curve import KeepCurve, keep_curve
    from .ranking.metrics import METRICS, metric
    from .ranking.rank import rank
    from .ranking.selection import ByHand, kept_frames, select
    from .registration.find_star import find_star
    from .registration.register import Registration, register
    from .stacking.drizzle import stack_drizzled
    from .stacking.fourier import stack_fourier
    from .stacking.mean import Stack, stack_mean
    from .stacking.methods import parse_stack, stack, stack_pair, weights_of
    from .stacking.robust import stack_clipped, stack_median
    from .wavefront.from_stacks import StackWavefront, wavefront_of_stacks
    from .wavefront.job import (
        MeasuredWavefront,
        WavefrontRequest,
        wavefront_of_run,
        wavefront_of_stack_files,
    )
    from .wavefront.measure import measure_wavefront
    from .wavefront.observe import noise_from
    from .wavefront.output import write_wavefront
    from .wavefront.result import Wavefront
    from .wavefront.task import WavefrontTask, waves_of_shift

_HOMES = {
    "calibration.bad_pixels": ("hot_pixels",),
    "calibration.calibrate": (
        "Calibrated",
        "calibrate",
    ),
    "calibration.flat_field": (
        "FlatField",
        "flat_field",
    ),
    "calibration.masters": (
        "master",
        "master_flat",
    ),
    "cleaning.background": (
        "BackgroundModel",
        "BackgroundRemoved",
        "Disc",
    ),
    "cleaning.clean": (
        "Cleaned",
        "Cleaning",
        "clean",
    ),
    "cleaning.dust": (
        "DustRemoved",
        "find_dust",
        "mean_light",
    ),
    "cleaning.dust_shadow": (
        "Spot",
        "transmission",
    ),
    "cleaning.low_pass": (
        "LowPass",
        "cutoff_in_pixels",
    ),
    "cleaning.noise_cut": ("NoiseCut",),
    "cleaning.outliers": (
        "OutliersRemoved",
        "count_outliers",
        "usual_residuals",
    ),
    "execution.checkpoint": ("Journal",),
    "execution.cluster": (
        "ClusterExecutor",
        "on_cluster",
    ),
    "execution.processes": (
        "Forked",
        "on_copies",
    ),
    "fits.frame_table": (
        "FrameTable",
        "table_from_csv",
        "table_to_csv",
    ),
    "fits.integers": ("Integers",),
    "fits.run": (
        "Run",
        "open_run",
    ),
    "fits.write": (
        "ImageResult",
        "write_fits",
    ),
    "frames.frames": (
        "ArrayFrames",
        "Frames",
        "Subset",
    ),
    "frames.history": ("Step",),
    "frames.lazy_array": ("LazyArray",),
    "frames.window": ("Window",),
    "imaging.profiles": (
        "Profile",
        "column_cut",
        "cut_around",
        "peak_pixel",
        "radial_profile",
        "row_cut",
    ),
    "imaging.shifts": ("Shifted",),
    "optics.diffraction": (
        "Diffraction",
        "diffraction_psf",
    ),
    "optics.pupil": ("Spider",),
    "optics.simulation": ("simulate_run",),
    "optics.telescope": ("Telescope",),
    "optics.telescope_store": (
        "named_telescope",
        "save_telescope",
        "saved_telescopes",
    ),
    "optics.zernikes": (
        "kolmogorov_covariance",
        "zernike",
        "zernike_name",
    ),
    "pipeline.masters_folder": ("make_masters",),
    "pipeline.process": (
        "Result",
        "process",
    ),
    "pipeline.recipe": (
        "Recipe",
        "read_recipe",
        "recipe_to_toml",
    ),
    "pipeline.results_folder": ("write_results",),
    "psf.bootstrap": ("bootstrap_figures",),
    "psf.figures": ("psf_figures",),
    "psf.job": ("measure_files",),
    "psf.output": ("write_figures",),
    "psf.recipe": ("FigureRecipe",),
    "psf.result": ("PsfFigures",),
    "psf.surface_mesh": (
        "Surface",
        "surface_of",
    ),
    "ranking.keep_curve": (
        "KeepCurve",
        "keep_curve",
    ),
    "ranking.metrics": (
        "METRICS",
        "metric",
    ),
    "ranking.rank": ("rank",),
    "ranking.selection": (
        "ByHand",
        "kept_frames",
        "select",
    ),
    "registration.find_star": ("find_star",),
    "registration.register": (
        "Registration",
        "register",
    ),
    "stacking.drizzle": ("stack_drizzled",),
    "stacking.fourier": ("stack_fourier",),
    "stacking.mean": (
        "Stack",
        "stack_mean",
    ),
    "stacking.methods": (
        "parse_stack",
        "stack",
        "stack_pair",
        "weights_of",
    ),
    "stacking.robust": (
        "stack_clipped",
        "stack_median",
    ),
    "wavefront.from_stacks": (
        "StackWavefront",
        "wavefront_of_stacks",
    ),
    "wavefront.job": (
        "MeasuredWavefront",
        "WavefrontRequest",
        "wavefront_of_run",
        "wavefront_of_stack_files",
    ),
    "wavefront.measure": ("measure_wavefront",),
    "wavefront.observe": ("noise_from",),
    "wavefront.output": ("write_wavefront",),
    "wavefront.result": ("Wavefront",),
    "wavefront.task": (
        "WavefrontTask",
        "waves_of_shift",
    ),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "METRICS",
    "ArrayFrames",
    "BackgroundModel",
    "BackgroundRemoved",
    "ByHand",
    "Calibrated",
    "Cleaned",
    "Cleaning",
    "ClusterExecutor",
    "Diffraction",
    "Disc",
    "DustRemoved",
    "FigureRecipe",
    "FlatField",
    "Forked",
    "FrameTable",
    "Frames",
    "ImageResult",
    "Integers",
    "Journal",
    "KeepCurve",
    "LazyArray",
    "LowPass",
    "LuckyError",
    "MeasuredWavefront",
    "NoStarError",
    "NoiseCut",
    "OutliersRemoved",
    "Profile",
    "PsfFigures",
    "Recipe",
    "Registration",
    "Result",
    "Run",
    "Shifted",
    "Spider",
    "Spot",
    "Stack",
    "StackWavefront",
    "Step",
    "Subset",
    "Surface",
    "Telescope",
    "Wavefront",
    "WavefrontRequest",
    "WavefrontTask",
    "Window",
    "__version__",
    "bootstrap_figures",
    "calibrate",
    "clean",
    "column_cut",
    "count_outliers",
    "cut_around",
    "cutoff_in_pixels",
    "diffraction_psf",
    "find_dust",
    "find_star",
    "flat_field",
    "hot_pixels",
    "keep_curve",
    "kept_frames",
    "kolmogorov_covariance",
    "make_masters",
    "master",
    "master_flat",
    "mean_light",
    "measure_files",
    "measure_wavefront",
    "metric",
    "named_telescope",
    "noise_from",
    "on_cluster",
    "on_copies",
    "open_run",
    "parse_stack",
    "peak_pixel",
    "process",
    "psf_figures",
    "radial_profile",
    "rank",
    "read_recipe",
    "recipe_to_toml",
    "register",
    "row_cut",
    "save_telescope",
    "saved_telescopes",
    "select",
    "simulate_run",
    "stack",
    "stack_clipped",
    "stack_drizzled",
    "stack_fourier",
    "stack_mean",
    "stack_median",
    "stack_pair",
    "surface_of",
    "table_from_csv",
    "table_to_csv",
    "transmission",
    "usual_residuals",
    "wavefront_of_run",
    "wavefront_of_stack_files",
    "wavefront_of_stacks",
    "waves_of_shift",
    "weights_of",
    "write_figures",
    "write_fits",
    "write_results",
    "write_wavefront",
    "zernike",
    "zernike_name",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOME_OF[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
