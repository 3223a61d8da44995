"""`napari-lucky wavefront`: from files to the wavefront, and where it comes from.

What the constants do is measured by ``benchmarks/wavefront.py``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_lucky.calibration.flat import header_history
from napari_lucky.calibration.step import MASTERS, Calibrate
from napari_lucky.errors import LuckyError, UsageError
from napari_lucky.execution.job import QUIET, Job
from napari_lucky.fits.run_files import open_run
from napari_lucky.frames.frames import as_float32
from napari_lucky.frames.history import History, stack_scale
from napari_lucky.frames.window import Window
from napari_lucky.optics.request import Spider, TelescopeRequest, known_telescope
from napari_lucky.optics.telescope_header import header_telescope
from napari_lucky.optics.telescope_store import known_optics, missing_optics, telescope_notes
from napari_lucky.pipeline.build import build_chain
from napari_lucky.pipeline.recipe import Recipe
from napari_lucky.ranking.rank import rank
from napari_lucky.ranking.step import Rank
from napari_lucky.steps.declaration import NO_PATHS
from napari_lucky.text import ShortRepr
from napari_lucky.wavefront.from_stacks import StackWavefront, measure_wavefront_stacks
from napari_lucky.wavefront.measure import measure_wavefront
from napari_lucky.wavefront.observe import noise_from_header
from napari_lucky.wavefront.request import WavefrontRequest
from napari_lucky.wavefront.result import Wavefront
from napari_lucky.wavefront.task import WavefrontParameters, defocus_waves

LESSER = (
    "A pair of stacks is less accurate than its frames: turbulence that the blur does not "
    "describe goes into the coefficients, and the errors are those of noise alone. Measure the "
    "frames if you still have them."
)
UNFIT = 3.0
"""Over this chi2 the model of a blurred wavefront does not make the stacks."""
NO_MEAN = "stacked by {}: this is not the mean of its frames, so no wavefront makes this image."


@dataclass(frozen=True, eq=False)
class MeasuredWavefront(ShortRepr):
    """A wavefront and where it comes from.

    Parameters
    ----------
    wavefront : Wavefront or StackWavefront
        From frames, or from a pair of stacks.
    inputs : mapping
        What was given: names of files by what they are.
    numbers : ndarray of int, (n,)
        Their numbers in the run.
    files : sequence of str
        Their files.
    history : tuple of Record
        What was done to the pixels before.
    notes : tuple of str
        What the user should know.
    """

    wavefront: Wavefront | StackWavefront
    inputs: Mapping[str, Any] = field(default_factory=dict)
    numbers: NDArray[np.intp] = field(default_factory=lambda: np.array([], np.intp))
    files: Sequence[str] = ()
    history: History = ()
    notes: tuple[str, ...] = ()


def wavefront_parameters(
    recipe: Recipe, header: Any, focus: Window, defocus: Window
) -> WavefrontParameters:
    """Return what a wavefront is measured with: what a recipe asks for, and a header fills in.

    Parameters
    ----------
    recipe : Recipe
        Its `WavefrontRequest`, `TelescopeRequest` and `Spider` are used.
    header : mapping or astropy.io.fits.Header
        Of the frames; what is given wins over it.
    focus, defocus : Window
        Of the two stars.

    Returns
    -------
    WavefrontParameters
        For `measure_wavefront`.

    Raises
    ------
    LuckyError
        If the telescope or the defocus is not known.
    """
    if missing := missing_figures(recipe, header):
        raise UsageError(missing)
    request = recipe.get(WavefrontRequest) or WavefrontRequest()
    waves, shift = request.defocus_waves, request.defocus_mm
    telescope = known_telescope(recipe.get(TelescopeRequest))
    optics: dict[str, Any] = known_optics(header_telescope(header), telescope)
    optics.pop("diameter_m", None)
    if waves is None:
        waves = defocus_waves(shift or 0.0, optics["focal_ratio"], optics["wavelength_nm"])
    given = {name: value for name, value in request if name not in ("defocus_waves", "defocus_mm")}
    return WavefrontParameters(
        focus=focus,
        defocus=defocus,
        defocus_waves=waves,
        spider=recipe.get(Spider),
        **(given | _noise(header, request) | optics),
    )


def missing_figures(recipe: Recipe, header: Any) -> str:
    """Return what a wavefront needs of telescope and defocus and is not given; empty if all is."""
    request = recipe.get(WavefrontRequest)
    defocus = ""
    if request is None or (request.defocus_waves is None and request.defocus_mm is None):
        defocus = (
            "The defocus between the two images is not given. Give it in waves peak-to-valley, or "
            "as a shift of the focus in mm."
        )
    telescope = known_telescope(recipe.get(TelescopeRequest))
    optics = missing_optics(header_telescope(header), telescope)
    return " ".join(filter(None, [defocus, optics]))


def _noise(header: Any, request: WavefrontRequest) -> dict[str, Any]:
    """Return the noise for a `WavefrontParameters`: what is given, or else what a header has."""
    found = noise_from_header(header)
    values = {"gain": found.gain, "read_noise_e": found.read_noise_e}
    given = {name: v for name in values if (v := getattr(request, name)) is not None}
    keywords = [
        keyword
        for name, keyword in (("gain", found.gain_in), ("read_noise_e", found.read_in))
        if keyword and name not in given
    ]
    sources = ["given"] if given else []
    if keywords:
        sources.append(f"from the header ({', '.join(keywords)})")
    return {**values, **given, "noise_source": " and ".join(sources)}


def measure_wavefront_run(recipe: Recipe, *, job: Job = QUIET) -> MeasuredWavefront:
    """Open and calibrate a run as `napari_lucky.process` does, and measure its wavefront.

    Parameters
    ----------
    recipe : Recipe
        Frames, masters and both windows; where frames are ranked, the metric; and what is asked
        for: `WavefrontRequest`, `TelescopeRequest`, `Spider`.
    job : Job
        Progress, executor, checkpoint; see `Job`.

    Returns
    -------
    MeasuredWavefront
        The wavefront, and where it comes from.

    Raises
    ------
    LuckyError
        If something given cannot be used, or no frame can be fitted.
    """
    given = recipe.input
    run = open_run(given.frames, given.colour, where=given.where)
    focus, defocus = recipe.window("focus"), recipe.window("defocus")
    if focus is None or defocus is None:
        raise UsageError(
            "A wavefront needs both windows: --focus and --defocus, each Y,X,SIZE, around the "
            f"focused and the defocused star. {missing_figures(recipe, run.header)}".strip()
        )
    task = wavefront_parameters(recipe, run.header, focus, defocus)
    task.check(run.shape)  # what is wrong is said before the work begins
    chain = build_chain(recipe, job=job)
    quality = None
    if task.choice == "ranked":
        quality = rank(
            chain.frames,
            focus,
            metric=recipe[Rank].metric,
            smooth=recipe[Rank].smooth,
            diffraction=recipe[Rank].diffraction,
            job=job,
        )
    wavefront = measure_wavefront(chain.frames, task, quality=quality, job=job)
    telescope = known_telescope(recipe.get(TelescopeRequest))
    inputs: dict[str, Any] = {"frames": _absolute(*recipe.input.frames)}
    inputs.update({name: _absolute(path)[0] for name, path in _masters(chain.recipe).items()})
    return MeasuredWavefront(
        wavefront,
        inputs,
        chain.chosen,
        chain.files,
        chain.steps,
        (*telescope_notes(run.header, telescope), *chain.notes, *wavefront.notes),
    )


def measure_wavefront_stack_files(
    focus: Path,
    defocus: Path,
    recipe: Recipe,
    *,
    job: Job = QUIET,
) -> MeasuredWavefront:
    """Measure a wavefront on one pair of stacks in files: the lesser way.

    Parameters
    ----------
    focus, defocus : pathlib.Path
        The focused and the defocused star's stack, of the same frames with the same shifts.
    recipe : Recipe
        Its `WavefrontRequest`, `TelescopeRequest` and `Spider` are used; and its windows, which
        say where on these images the stars are: the whole images if not given.
    job : Job
        Progress, executor, checkpoint; see `Job`.

    Returns
    -------
    MeasuredWavefront
        The wavefront, and where it comes from.

    Raises
    ------
    LuckyError
        If the files are no such stacks, or nothing can be fitted.
    """
    notes = [LESSER]
    images, headers, histories = zip(*map(_stack_in, (focus, defocus)), strict=True)
    for path, history in zip((focus, defocus), histories, strict=True):
        for step in history:
            if step.name == "stack" and step.parameters.get("method") in ("fourier", "median"):
                notes.append(f"{path.name}: " + NO_MEAN.format(step.parameters["method"]))
    cut, places = [], []
    for name, image in zip(("focus", "defocus"), images, strict=True):
        place = recipe.window(name) or Window.whole(image.shape)
        place.check_on(image.shape, f"{name} window")
        cut.append(image[place.slices])
        places.append(place)
    task = wavefront_parameters(recipe, headers[0], *places)
    # the header gives the noise of a frame, not that of a mean
    task = task.changed(choice="all", gain=None, read_noise_e=None)
    wavefront = measure_wavefront_stacks(cut[0], cut[1], task, job=job)
    inputs = {"focus": _absolute(str(focus))[0], "defocus": _absolute(str(defocus))[0]}
    telescope = known_telescope(recipe.get(TelescopeRequest))
    return MeasuredWavefront(
        wavefront,
        inputs,
        history=histories[0],
        notes=(*telescope_notes(headers[0], telescope), *notes, *fit_notes(wavefront)),
    )


def fit_notes(wavefront: StackWavefront) -> tuple[str, ...]:
    """Return what the user should know where the model does not fit a pair of stacks."""
    if wavefront.chi2 <= UNFIT:
        return ()
    return (
        f"The fit failed: chi² is {wavefront.chi2:.3g}, over {UNFIT:g}: no blurred wavefront "
        "matches these stacks. Do not use this one; measure the frames, or stack more of them.",
    )


def _stack_in(path: Path) -> tuple[NDArray[np.float32], Any, History]:
    """Return a stack, its header, and what was done to it."""
    run = open_run([path])
    if run.shape[0] != 1:
        raise UsageError(
            f"{path}: this is a run of {run.shape[0]} frames, not a stack; leave --stacks out to "
            "measure it."
        )
    history = header_history(run)
    if stack_scale(history) != 1:
        raise LuckyError(
            f"{path}: a drizzled stack, whose pixels are not the sensor's; stack by mean, and "
            "measure that."
        )
    return as_float32(run.read(slice(0, 1))[0]), run.header, history


def _masters(recipe: Recipe) -> dict[str, str]:
    return {
        name: path
        for name in MASTERS
        if (path := getattr(recipe[Calibrate], name)) not in (None, *NO_PATHS)
    }


def _absolute(*paths: str) -> list[str]:
    return [str(Path(path).absolute()) for path in paths]
