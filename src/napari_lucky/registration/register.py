"""Where the star is in each frame, and the frames shifted so that it stands still.

What the constants do is measured by ``benchmarks/pulls.py``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_lucky.calibration.calibrate import without_standing
from napari_lucky.calibration.sampling import Sampling, measure_sampling, noise_if_sampled
from napari_lucky.calibration.saturation import unmasked_notes
from napari_lucky.errors import NoStarError
from napari_lucky.execution.blocks import BUDGET, blocks_of, map_blocks_checkpointed
from napari_lucky.execution.job import QUIET, Job
from napari_lucky.fits.arrays import FramesLike, as_frames
from napari_lucky.frames.cache import cached
from napari_lucky.frames.frames import Block, as_float32, blank_frames
from napari_lucky.frames.history import Record, window_numbers
from napari_lucky.frames.reading import spread_over
from napari_lucky.frames.window import Window, WindowLike, as_window
from napari_lucky.frames.window_moves import Followed, followed
from napari_lucky.imaging.brightest_speckle import track_brightest
from napari_lucky.imaging.noise import Noise
from napari_lucky.imaging.significance import is_star, least_significance, starless
from napari_lucky.imaging.star_image import SMOOTH
from napari_lucky.registration.copies import copy_notes
from napari_lucky.registration.cosmic_rays import struck, struck_in_core
from napari_lucky.registration.double_star import double_star_notes
from napari_lucky.registration.drift import centred_on, follow, reference_of
from napari_lucky.registration.hot_pixels import hot_pixel_notes
from napari_lucky.registration.second_star import second_star_notes
from napari_lucky.registration.step import Register, Tracking
from napari_lucky.registration.stray_light import led_astray
from napari_lucky.registration.strays import (
    ASTRAY,
    BEYOND,
    COSMIC,
    CUT,
    MASKED,
    NEIGHBOUR,
    SAMPLE,
    beyond_window,
    cut_by_edge,
    masked_parts,
    masked_stars,
)
from napari_lucky.registration.template_tracking import NO_LIGHT, NO_STAR
from napari_lucky.registration.two_places import TwoPlaces, find_two_places
from napari_lucky.steps.registry import make_step
from napari_lucky.text import counted

Seen = tuple[Noise, NDArray[np.float64], Sampling]
MOST_UNSURE = 0.5
"""Of the frames; if noise may decide where the star is in more, no errors are given."""
NO_TOP = (
    "in most frames, noise may decide which of several places is the right one. That happens with "
    "faint stars, and with places that are equally bright"
)
NO_CORE = "the star's core is masked, saturated or bad, in most frames"
FILLED = 0.1
"""Of the pixels around the tracked point; if more are masked, that is why no error is known."""
NO_ERRORS = "The errors of the shifts are not known"
NOT_A_STAR = (
    "the light does not look like a star's, so what is tracked is not one point. Track a planet, "
    "the Moon, the Sun, a slit or a ring by correlation (--register correlation)"
)
NO_NOISE = (
    "the noise of the pixels cannot be separated from the light. That happens with a star of less "
    "than about 1.8 px per λ/D, with hot pixels side by side, with a scene that fills the "
    "window, and in frames without noise"
)


@dataclass(frozen=True, eq=False)
class Registration:
    """Where the tracked point is in each frame, and where it shall be.

    Parameters
    ----------
    points : ndarray of float64, (n, 2)
        (y, x) of the tracked point on the sensor, in pixels; NaN where no star was found.
    reference : tuple of float
        (y, x) where the tracked point lands.
    focus : Window
        The focused star's window.
    method : str
        How it was tracked.
    smooth : float
        Smoothing in pixels.
    reference_frame : str
        What was correlated with; see `register`.
    sigma : ndarray of float64, (n, 2), optional
        1-sigma errors (y, x) of the points, and so of the shifts, in pixels; see `register`.
    reasons : tuple of str
        Why a frame has no point; empty if it has one. They are read after a colon, as in "Left
        out 12 frames (3, 8 …): the star is cut by the sensor's edge" in a message.
    notes : tuple of str
        What is doubtful, in whole sentences.
    sampling : Sampling or None
        What the smoothing goes by, if it was not given.
    """

    points: NDArray[np.float64]
    reference: tuple[float, float]
    focus: Window
    method: str = "brightest"
    smooth: float = SMOOTH
    reference_frame: str = "best"
    sigma: NDArray[np.float64] | None = None
    reasons: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    sampling: Sampling | None = None

    def __repr__(self) -> str:
        y, x = self.reference
        notes = f", {counted(len(self.notes), 'note')}" if self.notes else ""
        return (
            f"<Registration by {self.method}: {self.found.sum()} of "
            f"{counted(len(self.points), 'frame')} with a star, reference ({y:g}, {x:g}), smooth "
            f"{self.smooth:.3g} px{notes}>"
        )

    def __len__(self) -> int:
        return len(self.points)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.array(self.shifts, dtype) if copy else np.asarray(self.shifts, dtype)

    @property
    def shifts(self) -> NDArray[np.float64]:
        """(n, 2) shifts (dy, dx) in pixels that bring each frame onto the reference."""
        return np.asarray(self.reference) - self.points

    @property
    def found(self) -> NDArray[np.bool_]:
        """(n,) whether there is a star in the frame."""
        return np.asarray(np.isfinite(self.points).all(axis=1))


def register(
    frames: FramesLike,
    focus: WindowLike,
    *,
    method: str | Register = "brightest",
    smooth: float | None = None,
    reference_frame: str = "best",
    seen: Seen | None = None,
    job: Job = QUIET,
) -> Registration:
    """Track a star from frame to frame inside a window.

    Parameters
    ----------
    frames : Frames, path or array
        Calibrated, in ADU, masked pixels NaN.
    focus : Window or (y, x, size)
        Holds the star in every frame.
    method : {"brightest", "centroid", "correlation", "template"}
        "brightest": the brightest speckle, after smoothing, to a fraction of a pixel; what
        gives lucky imaging its sharp core (Fried 1978; Law, Mackay & Baldwin 2006).
        "centroid": the windowed centroid; see `napari_lucky.registration.centroid.track_centroid`.
        "correlation": the maximum of the cross-correlation with a reference frame, without
        wrap-around; in windows of over 256 px of the light that stands out of the reference's
        noise, for shifts that leave its middle in the window.
        "template": least squares with a template made of the run's frames, for stars of at least
        2 px per lambda/D; see `napari_lucky.registration.template_tracking.track_template`.
    smooth : float, optional
        Standard deviation of the Gaussian smoothing in pixels, best about a third of
        lambda/D; 0 for none. If not given, a third of the sampling that is measured in the
        frames, and a pixel at least (`napari_lucky.calibration.sampling`).
    reference_frame : str
        What "correlation" compares with: "best", the frame of the highest peak that is whole
        inside the window; "first", the first with a star; "mean", the mean of all frames with
        their brightest speckles on one point; or a frame's number, such as "17".
    seen : tuple, optional
        What a `napari_lucky.pipeline.measure` has found already: the noise, the brightest
        speckles, and the sampling.
    job : Job
        Progress, executor, checkpoint; see `Job`.

    Returns
    -------
    Registration
        The reference is the median tracked point on the sensor, rounded to a whole pixel: so a
        star that stays is not moved, and the stacked peak falls on the middle of a pixel. Where
        a star drifts so far that this is not in the window, it is the median of those points
        that are. Its errors are what the noise of the pixels does to the tracked point in its
        frame, by propagation to first order (`napari_lucky.imaging.peak_position`; "template":
        from the Fisher matrix), the noise being measured within the frames
        (`napari_lucky.imaging.noise.sample_noise`). In turbulence they do not say how far that
        point is from the star's mean place. They are NaN where they are not known: of stars so
        small that their fine detail passes for noise (under 1.8 px per lambda/D); of light that
        does not look like a star's, but for "correlation", and of scenes that fill the window; and
        in frames of which noise may decide what is the brightest place or the right shift. If that
        is most of them, or the template is mostly noise, no errors are given, and a note says so.

    Raises
    ------
    LuckyError
        If the method is unknown, the window is not on the sensor, or the star is too small in
        pixels for the method "template".
    NoStarError
        If no star stands out of the noise.

    Examples
    --------
    >>> import numpy as np
    >>> import napari_lucky as lucky
    >>> run = lucky.simulate_run(12, (128, 256), d_over_r0=2, focus_size=64, defocus_size=96)
    >>> frames = lucky.calibrate(run.frames, run.dark, run.flat)
    >>> tracked = lucky.register(frames, run.focus)
    >>> tracked.shifts.shape  # (dy, dx) of each frame
    (12, 2)
    >>> moved = tracked.shifts - run.truth.shifts
    >>> bool(np.all(np.std(moved, axis=0) < 1.5))  # the brightest speckle is near the mean place
    True
    """
    frames, focus = as_frames(frames), as_window(focus)
    by = method_of(method, smooth, reference_frame)
    focus.check_on(frames.shape, "focus window")
    frames = without_standing(frames, focus, job=job)
    sampling = None
    if (smooth := by.smooth) is None:
        sampling = measure_sampling(frames, focus, job=job)
        smooth = sampling.smooth

    moves = np.zeros((frames.shape[0], 2), np.intp)

    def run(track: Callable[[Block], NDArray[np.float64]], what: str) -> NDArray[np.float64]:
        moved = cached(followed(frames, moves))

        def one(block: slice) -> NDArray[np.float64]:
            points = track(as_float32(moved.read(block, focus)))
            points[blank_frames(moved, block, focus)] = np.nan
            return points

        pixels = focus.height * focus.width
        blocks = blocks_of(frames.shape[0], pixels, max(BUDGET, 2 * pixels))
        done = map_blocks_checkpointed(one, blocks, what=what, job=job)
        return np.concatenate(list(done))

    if seen is None:
        measured = sampling or measure_sampling(frames, focus, job=job)
        noise = noise_if_sampled(frames, focus, measured, job=job)
        found = run(lambda block: track_brightest(block, smooth, noise), "tracking the speckle")
    else:
        noise, found, measured = seen
    run_frames = frames
    first = (*copy_notes(frames, focus, found), *hot_pixel_notes(frames, focus, found, noise))
    least = least_significance(focus, smooth)
    scene = by.takes_scenes and not is_star(frames, focus, found[:, 5], least)
    unsorted = found
    found, spoiled = found.copy(), np.full(len(found), NO_LIGHT, object)
    places = TwoPlaces(np.zeros(len(found), bool))
    if not scene:
        spoiled[struck(found, noise)] = COSMIC
        found[spoiled == COSMIC] = np.nan
        clear = found[:, 5] >= least
        points = np.where(clear[:, None], found[:, :2], np.nan)
        places = find_two_places(frames, focus, points, found[:, 8], smooth)
        spoiled[places.neighbour] = NEIGHBOUR
        points[places.neighbour] = np.nan
        spoiled[led_astray(frames, focus, points, smooth)] = ASTRAY
        found[np.isin(spoiled, (NEIGHBOUR, ASTRAY))] = np.nan
    steady = centred_on(focus, found, smooth, frames.shape)
    if steady.any():
        frames = Followed(frames, np.broadcast_to(steady, moves.shape))
        found = run(
            lambda block: track_brightest(block, smooth, noise), "tracking in a centred window"
        )
        unsorted = found
        found = found.copy()
        found[np.isin(spoiled, (COSMIC, NEIGHBOUR, ASTRAY))] = np.nan
    if not scene:
        spoiled[struck(found, noise)] = COSMIC
        found[spoiled == COSMIC] = np.nan
    moves, found = follow(frames, focus, found, smooth, noise, job=job)
    found = found.copy()
    reasons = np.where(np.isfinite(found[:, :2]).all(axis=1), "", spoiled)
    if (reasons != "").all():
        raise _no_frame(focus, reasons)
    moved = followed(frames, moves)
    reasons[starless(moved, focus, found[:, 5], smooth, noise, scene=scene)] = NO_STAR
    if not scene:
        on_sensor = found[:, :2] + np.array([focus.y0, focus.x0]) + moves + steady
        on_sensor[found[:, 5] < least] = np.nan  # noise, anywhere
        cut = cut_by_edge(run_frames, focus, on_sensor, found[:, 6], smooth)
        reasons[cut & (reasons == "")] = CUT
        hit = struck_in_core(run_frames, focus, found, moves + steady, noise)
        reasons[hit & (reasons == "")] = COSMIC
        masked = masked_stars(run_frames, on_sensor, found[:, 2], smooth)
        reasons[masked & (reasons == "")] = MASKED
        at_edge = (reasons == COSMIC) & ~moves.any()  # where a wing is as sharp
        shown = np.where(at_edge[:, None], unsorted, found)
        beyond = beyond_window(run_frames, focus, shown, moves + steady, smooth)
        reasons[beyond & (reasons != CUT)] = BEYOND
    found[reasons != ""] = np.nan
    made = by.track(Tracking(frames, focus, smooth, noise, moves, found, places, reasons, run, job))
    points, sigma = made.points, made.sigma
    if made.reasons is not None:
        reasons = np.where(reasons == BEYOND, BEYOND, made.reasons)
    doubts = () if sampling is None else sampling.doubts(by.kind, "tracking")
    double: tuple[str, ...] = ()
    if by.one_speckle:
        double = double_star_notes(moved, focus, np.flatnonzero(reasons == ""), smooth)
    elif places.double:
        places = places._replace(note=())  # correlated or fitted as a whole
    notes = (*first, *doubts, *places.more_light, *(double or places.note))
    reasons[places.at_neighbour(points + moves + steady) & (reasons == "")] = NEIGHBOUR
    points[reasons != ""] = np.nan
    if not scene:
        astray = led_astray(run_frames, focus, points + moves + steady, smooth)
        reasons[astray] = ASTRAY
        points[astray] = np.nan
    sigma[reasons != ""] = np.nan
    if not np.isfinite(points).any():
        raise _no_frame(focus, reasons)
    points = points + np.array([focus.y0, focus.x0]) + moves + steady
    if measured.star and not (scene or double or doubts):
        notes += second_star_notes(run_frames, focus, points, smooth)
    unsure = reasons == ""
    unsure &= ~np.isfinite(sigma).all(axis=1)
    if not (measured.star or by.takes_scenes):
        sigma[:] = np.nan
        notes = (*notes, f"{NO_ERRORS}: {NOT_A_STAR}.")
    elif unsure.sum() > MOST_UNSURE * (reasons == "").sum():
        sigma[:] = np.nan  # of the others, too, noise may have decided
        why = NO_TOP if noise.known else NO_NOISE
        some = np.flatnonzero(unsure)
        some = some[spread_over(len(some), SAMPLE)]
        if np.median(masked_parts(run_frames, some, points[some], smooth)) > FILLED:
            why = NO_CORE
        notes = (*notes, f"{NO_ERRORS}: {why}.")
    if seen is None:
        notes = (*notes, *unmasked_notes(frames, focus, job=job))
    return Registration(
        points,
        reference_of(points, focus),
        focus,
        by.kind,
        smooth,
        getattr(by, "reference_frame", "best"),
        sigma,
        tuple(reasons.tolist()),
        notes,
        sampling,
    )


def method_of(
    method: str | Register, smooth: float | None = None, reference_frame: str = "best"
) -> Register:
    """Return the step that a method's name, and what it is given, mean."""
    if isinstance(method, Register):
        return method
    given: dict[str, Any] = {
        "method": method,
        "smooth": float(smooth) if isinstance(smooth, (int, np.number)) else smooth,
    }
    if method == "correlation":
        given["reference_frame"] = reference_frame
    step = make_step("register", given)
    assert isinstance(step, Register)
    return step


def _no_frame(focus: Window, reasons: NDArray[np.object_]) -> NoStarError:
    """Return the error of a run of which no frame can be registered, and why most cannot."""
    common, count = Counter(reasons.tolist()).most_common(1)[0]
    every = "in every frame" if count == len(reasons) else f"in {count} of {len(reasons)} frames"
    return NoStarError(
        f"No star in rows {focus.y0} to {focus.y1 - 1}, columns {focus.x0} to "
        f"{focus.x1 - 1}: {every}, {common}. Move the focus window onto the star, and check dark "
        "and flat."
    )


def registration_record(
    registration: Registration, step: Register, defocus: Window | None = None
) -> Record:
    """Record a registration, with the windows, [y0, x0, height, width]."""
    facts = {
        "reference": registration.reference,
        "focus": window_numbers(registration.focus),
        "frames_without_star": int((~registration.found).sum()),
    }
    if defocus:
        facts["defocus"] = window_numbers(defocus)
    return step.changed(smooth=float(registration.smooth)).record(facts)
