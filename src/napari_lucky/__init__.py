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
    from .background import BackgroundModel, BackgroundRemoved, Disc
    from .bad_pixels import hot_pixels
    from .by_hand import ByHand, kept_frames
    from .calibrating import calibrate
    from .calibration import Calibrated, master, master_flat
    from .cleaning import Cleaned, Cleaning, clean
    from .clipping import stack_clipped, stack_median
    from .cluster import ClusterExecutor, on_cluster
    from .diffraction import Diffraction, diffraction_psf
    from .drizzle import stack_drizzled
    from .dust import DustRemoved, find_dust, mean_light
    from .figure_errors import bootstrap_figures
    from .figure_recipe import FigureRecipe
    from .figures_job import measure_files
    from .figures_output import write_figures
    from .finding import find_star
    from .fits_output import ImageResult, write_fits
    from .flat_output import make_masters
    from .flats import FlatField, flat_field
    from .forked import Forked, on_copies
    from .fourier_lucky import stack_fourier
    from .frames import ArrayFrames, Frames, LazyArray, Subset
    from .history import Step
    from .integers import Integers
    from .journal import Journal
    from .keep_curves import KeepCurve, keep_curve
    from .low_pass import LowPass, cutoff_in_pixels
    from .metrics import METRICS, metric
    from .noise_cut import NoiseCut
    from .optics import Telescope
    from .outliers import OutliersRemoved, count_outliers, usual_residuals
    from .outputs import write_results
    from .pipeline import Result, process
    from .profiles import Profile, column_cut, cut_around, peak_pixel, radial_profile, row_cut
    from .psf_measuring import PsfFigures, psf_figures
    from .pupil import Spider
    from .ranking import rank, select
    from .recipe import Recipe, read_recipe, recipe_to_toml
    from .registration import Registration, register
    from .run import Run, open_run
    from .shadows import Spot, transmission
    from .shifting import Shifted
    from .simulation import simulate_run
    from .stack_methods import parse_stack, stack, stack_pair, weights_of
    from .stacking import Stack, stack_mean
    from .surface import Surface, surface_of
    from .table import FrameTable, table_from_csv, table_to_csv
    from .telescopes import named_telescope, save_telescope, saved_telescopes
    from .wavefront import measure_wavefront
    from .wavefront_data import noise_from
    from .wavefront_job import (
        MeasuredWavefront,
        WavefrontRequest,
        wavefront_of_run,
        wavefront_of_stack_files,
    )
    from .wavefront_output import write_wavefront
    from .wavefront_result import Wavefront
    from .wavefront_stacks import StackWavefront, wavefront_of_stacks
    from .wavefront_task import WavefrontTask, waves_of_shift
    from .windows import Window
    from .zernikes import kolmogorov_covariance, zernike, zernike_name

_HOMES = {
    "background": ("BackgroundModel", "BackgroundRemoved", "Disc"),
    "by_hand": ("ByHand", "kept_frames"),
    "bad_pixels": ("hot_pixels",),
    "calibration": ("Calibrated", "master", "master_flat"),
    "cleaning": ("Cleaned", "Cleaning", "clean"),
    "diffraction": ("Diffraction", "diffraction_psf"),
    "clipping": ("stack_clipped", "stack_median"),
    "cluster": ("ClusterExecutor", "on_cluster"),
    "drizzle": ("stack_drizzled",),
    "dust": ("DustRemoved", "find_dust", "mean_light"),
    "figure_errors": ("bootstrap_figures",),
    "figure_recipe": ("FigureRecipe",),
    "figures_job": ("measure_files",),
    "figures_output": ("write_figures",),
    "finding": ("find_star",),
    "fits_output": ("ImageResult", "write_fits"),
    "flats": ("FlatField", "flat_field"),
    "flat_output": ("make_masters",),
    "forked": ("Forked", "on_copies"),
    "fourier_lucky": ("stack_fourier",),
    "frames": ("ArrayFrames", "Frames", "LazyArray", "Subset"),
    "history": ("Step",),
    "journal": ("Journal",),
    "keep_curves": ("KeepCurve", "keep_curve"),
    "low_pass": ("LowPass", "cutoff_in_pixels"),
    "metrics": ("METRICS", "metric"),
    "noise_cut": ("NoiseCut",),
    "optics": ("Telescope",),
    "outliers": ("OutliersRemoved", "count_outliers", "usual_residuals"),
    "integers": ("Integers",),
    "outputs": ("write_results",),
    "calibrating": ("calibrate",),
    "pipeline": ("Result", "process"),
    "profiles": (
        "Profile",
        "column_cut",
        "cut_around",
        "cut_around",
        "peak_pixel",
        "radial_profile",
        "row_cut",
    ),
    "psf_measuring": ("PsfFigures", "psf_figures"),
    "ranking": ("rank", "select"),
    "recipe": ("Recipe", "read_recipe", "recipe_to_toml"),
    "registration": ("Registration", "register"),
    "run": ("Run", "open_run"),
    "shadows": ("Spot", "transmission"),
    "shifting": ("Shifted",),
    "simulation": ("simulate_run",),
    "stack_methods": ("parse_stack", "stack", "stack_pair", "weights_of"),
    "stacking": ("Stack", "stack_mean"),
    "surface": ("Surface", "surface_of"),
    "table": ("FrameTable", "table_from_csv", "table_to_csv"),
    "telescopes": ("named_telescope", "save_telescope", "saved_telescopes"),
    "wavefront_job": (
        "MeasuredWavefront",
        "WavefrontRequest",
        "wavefront_of_run",
        "wavefront_of_stack_files",
    ),
    "wavefront_output": ("write_wavefront",),
    "pupil": ("Spider",),
    "wavefront": ("measure_wavefront",),
    "wavefront_data": ("noise_from",),
    "wavefront_result": ("Wavefront",),
    "wavefront_stacks": ("StackWavefront", "wavefront_of_stacks"),
    "wavefront_task": ("WavefrontTask", "waves_of_shift"),
    "windows": ("Window",),
    "zernikes": ("kolmogorov_covariance", "zernike", "zernike_name"),
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
