"""Cleaning of calibrated frames: dust, background, outliers and noise, in this order, or none."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any

from napari_lucky.cleaning.background import (
    BackgroundRemoved,
    background_step,
    check_order,
    discs_around,
)
from napari_lucky.cleaning.dust import DustRemoved, check_dust, dust_step, find_dust, light_of_run
from napari_lucky.cleaning.dust_shadow import Spot, transmission_of
from napari_lucky.cleaning.low_pass import LowPass, check_low_pass, cutoff_in_pixels, low_pass_step
from napari_lucky.cleaning.noise_cut import NoiseCut, check_noise_cut, noise_cut_step
from napari_lucky.cleaning.outliers import (
    OutliersRemoved,
    check_outliers,
    count_outliers,
    outliers_step,
    usual_residuals,
)
from napari_lucky.errors import LuckyError
from napari_lucky.execution.blocks import Progress, silent
from napari_lucky.frames.frames import Frames
from napari_lucky.frames.history import History, Step
from napari_lucky.frames.reading import spread_over
from napari_lucky.frames.sensor_image import SensorImage, bands_of
from napari_lucky.frames.window import Window

SpotSpec = tuple[float, float, float]
"""(y, x, radius) of a dust shadow, in pixels."""
LOOK = 20
"""Frames, spread over the run, whose outliers are counted where no windows are given."""
CHOICES = {
    "outliers_as": ("mask", "replace"),
    "dust_as": ("divide", "mask"),
    "background_centre": ("window", "speckle"),
}


@dataclass(frozen=True)
class Cleaning:
    """What is done to calibrated frames beside dark and flat; everything is off by default.

    Parameters
    ----------
    outliers, flicker : float, optional
        Thresholds in standard deviations for pixels that stand alone in a frame, and over
        time; see `napari_lucky.OutliersRemoved`.
    outliers_as : {"mask", "replace"}
        Whether outliers are masked, or get the median around them.
    dust : int, optional
        At most so many dust shadows are looked for; see `napari_lucky.find_dust`.
    dust_radius : float
        Their radius in pixels.
    dust_as : {"divide", "mask"}
        Whether frames are divided by the shadows' transmission, or masked there.
    dust_on : str
        "mean": found and measured on the mean of the frames; else a flat, a file or a folder.
    dust_spots : tuple of (y, x, radius)
        Shadows that are known; then none are looked for.
    background : int, optional
        Order, 0 to 6, of the polynomial that is fitted to each frame outside discs around the
        stars and taken off; see `napari_lucky.BackgroundRemoved`.
    background_radius : float, optional
        Radius of the discs in pixels; to the windows' corners if None.
    background_centre : {"window", "speckle"}
        Whether the discs stay on the windows' centres or move with the brightest speckle.
    noise_cut : float, optional
        Threshold in sigmas of the noise for Fourier coefficients; see `napari_lucky.NoiseCut`.
    low_pass : float, optional
        Spatial frequency at half amplitude, in cycles/px, or in units of the diffraction
        limit if `sampling` is given; see `napari_lucky.LowPass`.
    sampling : float, optional
        lambda F#/pixel: the width lambda/D on the sensor, in pixels.
    """

    outliers: float | None = None
    flicker: float | None = None
    outliers_as: str = "mask"
    dust: int | None = None
    dust_radius: float = 10.0
    dust_as: str = "divide"
    dust_on: str = "mean"
    dust_spots: tuple[SpotSpec, ...] = ()
    background: int | None = None
    background_radius: float | None = None
    background_centre: str = "window"
    noise_cut: float | None = None
    low_pass: float | None = None
    sampling: float | None = None

    def __post_init__(self) -> None:
        check_outliers(self.outliers, self.flicker)
        for name, choices in CHOICES.items():
            if getattr(self, name) not in choices:
                raise LuckyError(f"{name} is {' or '.join(choices)}, not {getattr(self, name)!r}.")
        check_dust(1 if self.dust is None else self.dust, self.dust_radius)
        if self.background is not None:
            check_order(self.background)
        if self.background_radius is not None and not self.background_radius >= 0:
            raise LuckyError(
                f"The discs' radius is {self.background_radius} pixels; it must be 0 or more."
            )
        if self.noise_cut is not None:
            check_noise_cut(self.noise_cut)
        if self.low_pass is not None:
            check_low_pass(self.cutoff)

    @property
    def cutoff(self) -> float:
        """Cut-off of the low-pass in cycles/px."""
        assert self.low_pass is not None
        if self.sampling is None:
            return self.low_pass
        return cutoff_in_pixels(self.low_pass, self.sampling)

    @property
    def seeks_dust(self) -> bool:
        """Whether dust is to be found, or known."""
        return self.dust is not None or bool(self.dust_spots)


@dataclass(frozen=True, eq=False)
class Cleaned:
    """Frames that were cleaned, lazily, and what was found on the way.

    Parameters
    ----------
    frames : Frames
        The chain of views; the very frames given if everything is off.
    steps : tuple of Step
        What was done, for the history.
    spots : tuple of Spot
        Dust shadows.
    background : BackgroundRemoved or None
        The view whose model can be shown.
    notes : tuple of str
        What the user should know.
    """

    frames: Any
    steps: History = ()
    spots: tuple[Spot, ...] = ()
    background: BackgroundRemoved | None = None
    notes: tuple[str, ...] = ()


def clean(
    frames: Frames,
    cleaning: Cleaning,
    windows: Sequence[Window | None] = (),
    *,
    light: SensorImage | None = None,
    progress: Progress = silent,
    executor: Executor | None = None,
) -> Cleaned:
    """Build the chain of views that cleans frames; what is off adds nothing to it.

    Parameters
    ----------
    frames : Frames
        Calibrated or raw, ADU.
    cleaning : Cleaning
        What to do.
    windows : sequence of Window or None
        Of the stars, the focused one first: dust is not looked for there, the background
        is not fitted there, outliers are counted there.
    light : SensorImage or ndarray, (y, x), optional
        A flat on which dust is found and measured; the mean of the frames if None.
    progress, executor
        See `napari_lucky.execution.blocks.map_blocks`.

    Raises
    ------
    LuckyError
        If something given cannot be used.
    """
    work: dict[str, Any] = {"progress": progress, "executor": executor}
    stars = [window for window in windows if window is not None]
    steps: list[Step] = []
    notes: list[str] = []
    spots: tuple[Spot, ...] = ()
    chain: Any = frames
    if cleaning.seeks_dust:
        chain = _without_dust(chain, cleaning, stars, light, work)
        spots = chain.spots
        steps.append(dust_step(chain, cleaning.dust_on))
        notes.append(_tell_dust(cleaning, len(spots)))
    background = None
    if cleaning.background is not None:
        discs = discs_around(stars, cleaning.background_radius)
        follow = _focus(windows) if cleaning.background_centre == "speckle" else None
        chain = background = BackgroundRemoved(chain, discs, cleaning.background, follow)
        steps.append(background_step(background))
    if cleaning.outliers is not None or cleaning.flicker is not None:
        usual = None if cleaning.flicker is None else usual_residuals(chain, **work)
        replace = cleaning.outliers_as == "replace"
        chain = OutliersRemoved(chain, cleaning.outliers, cleaning.flicker, usual, replace)
        steps.append(outliers_step(chain))
        notes.append(_tell_count(chain, stars, work))
    if cleaning.noise_cut is not None:
        chain = NoiseCut(chain, cleaning.noise_cut)
        steps.append(noise_cut_step(chain))
    if cleaning.low_pass is not None:
        chain = LowPass(chain, cleaning.cutoff)
        steps.append(low_pass_step(chain))
    return Cleaned(chain, tuple(steps), spots, background, tuple(notes))


def _without_dust(
    frames: Frames,
    cleaning: Cleaning,
    stars: list[Window],
    light: SensorImage | None,
    work: dict[str, Any],
) -> DustRemoved:
    discs = discs_around(stars) if light is None else ()  # no star shines on a flat
    divide = cleaning.dust_as == "divide"
    spots = tuple(Spot(*spot) for spot in cleaning.dust_spots)
    if light is None and (divide or not spots):
        light = light_of_run(frames, **work)
    if not spots:
        assert light is not None and cleaning.dust is not None
        spots = find_dust(light, cleaning.dust_radius, cleaning.dust, discs=discs)
    if not divide:
        return DustRemoved(frames, spots)
    assert light is not None
    return DustRemoved(frames, spots, transmission_of(light, spots, discs=discs))


def _tell_dust(cleaning: Cleaning, count: int) -> str:
    if count == 0:
        return (
            f"Dust: no shadow of {cleaning.dust_radius:g} px stands out there. The flat may have "
            "taken it out already; or try another radius."
        )
    done = "divided out" if cleaning.dust_as == "divide" else "masked"
    return f"Dust: {count} shadow{'' if count == 1 else 's'} {done}."


def _tell_count(removed: OutliersRemoved, stars: list[Window], work: dict[str, Any]) -> str:
    """Count outliers in the windows of all frames, or in whole frames spread over the run."""
    n, ny, nx = removed.shape
    done = "Replaced" if removed.replace else "Masked"
    if stars:
        count = int(count_outliers(removed, stars, **work).sum())
        pixels = n * sum(window.height * window.width for window in stars)
        where = f"in the windows of {n} frames"
    else:
        chosen = spread_over(n, LOOK)
        bands = bands_of(removed.shape)
        whole = [Window(band.start, 0, band.stop - band.start, nx) for band in bands]
        count = int(count_outliers(removed, whole, chosen, **work).sum())
        pixels = len(chosen) * ny * nx
        where = f"in {len(chosen)} frames looked at"
    found = f"{count} outlier pixel{'' if count == 1 else 's'}"
    return f"{done} {found} {where}: {100 * count / pixels:.2g} %."


def _focus(windows: Sequence[Window | None]) -> Window:
    focus = windows[0] if windows else None
    if focus is None:
        raise LuckyError(
            "For discs that move with the speckle, the focused star's window must be known: give "
            "--focus, or a Shapes layer with its rectangle."
        )
    return focus
