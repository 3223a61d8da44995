"""Lucky imaging: calibrate, track, rank and stack a run of short exposures.

Everything here works without napari and Qt. A whole job is a recipe::

    import napari_lucky as lucky

    recipe = lucky.Recipe(
        "run", lucky.Calibrate(dark="dark.fits", flat="flat.fits"), lucky.Select(keep=0.05)
    )
    result = lucky.process(recipe)
    lucky.write_results(result, "out")

and each of its steps is a function. Frames may be a path, an array or what `open_run` returns;
see `as_frames`. Here are the names that most scripts need; the others are in the rooms, such as
`lucky.steps.RemoveOutliers`, `lucky.psf.bootstrap_figures` and
`lucky.wavefront.measure_wavefront`. All are imported when they are first used, so that importing
the package costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._lazy import lazy_names
from ._version import __version__ as __version__
from .errors import LuckyError as LuckyError
from .errors import NoStarError as NoStarError

if TYPE_CHECKING:
    from .calibration.calibrate import calibrate as calibrate
    from .calibration.masters import master as master
    from .calibration.step import Calibrate as Calibrate
    from .cleaning.clean import clean as clean
    from .execution.job import Job as Job
    from .fits.arrays import as_frames as as_frames
    from .fits.run_files import open_run as open_run
    from .fits.write import write_fits as write_fits
    from .frames.window import Window as Window
    from .optics.simulation import simulate_run as simulate_run
    from .optics.telescope import Telescope as Telescope
    from .pipeline.process import process as process
    from .pipeline.recipe import Recipe as Recipe
    from .pipeline.recipe import read_recipe as read_recipe
    from .pipeline.recipe import recipe_to_toml as recipe_to_toml
    from .pipeline.results_folder import write_results as write_results
    from .psf.figures import psf_figures as psf_figures
    from .ranking.keep_curve import keep_curve as keep_curve
    from .ranking.rank import rank as rank
    from .ranking.selection import select as select
    from .ranking.step import Rank as Rank
    from .ranking.step import Select as Select
    from .registration.find_star import find_star as find_star
    from .registration.register import register as register
    from .stacking.mean import stack_mean as stack_mean
    from .stacking.methods import stack as stack
    from .stacking.methods import stack_pair as stack_pair

_ROOMS = (
    *("calibration", "cleaning", "execution", "fits", "frames", "imaging", "optics", "pipeline"),
    *("plots", "psf", "ranking", "registration", "sources", "stacking", "steps", "viewer"),
    "wavefront",
)
__getattr__, __dir__, _names = lazy_names(
    __name__,
    {
        "calibration.calibrate": "calibrate",
        "calibration.masters": "master",
        "calibration.step": "Calibrate",
        "cleaning.clean": "clean",
        "execution.job": "Job",
        "fits.arrays": "as_frames",
        "fits.run_files": "open_run",
        "fits.write": "write_fits",
        "frames.window": "Window",
        "optics.simulation": "simulate_run",
        "optics.telescope": "Telescope",
        "pipeline.process": "process",
        "pipeline.recipe": "Recipe read_recipe recipe_to_toml",
        "pipeline.results_folder": "write_results",
        "psf.figures": "psf_figures",
        "ranking.keep_curve": "keep_curve",
        "ranking.rank": "rank",
        "ranking.selection": "select",
        "ranking.step": "Rank Select",
        "registration.find_star": "find_star",
        "registration.register": "register",
        "stacking.mean": "stack_mean",
        "stacking.methods": "stack stack_pair",
    }
    | dict.fromkeys(_ROOMS, ""),
    ("LuckyError", "NoStarError", "__version__"),
)
__all__ = [name for name in _names if name not in _ROOMS]
