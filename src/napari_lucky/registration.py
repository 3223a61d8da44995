"""Where the star is in each frame, and the frames shifted so that it stands still."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from .blocks import Progress, blocks_of, silent
from .centroid import track_centroid
from .correlation import check_reference_frame, correlate, reference_image
from .errors import LuckyError
from .following import follow, followed
from .frames import Frames, View, as_float32
from .journal import Journal, remembered
from .spots import SMOOTH, Block, background, check_smooth, smoothed, track_brightest
from .tracking import NO_LIGHT, track_template
from .windows import Window

Method = Literal["brightest", "centroid", "correlation", "template"]
METHODS: tuple[str, ...] = get_args(Method)


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
    """

    points: NDArray[np.float64]
    reference: tuple[float, float]
    focus: Window
    method: Method = "brightest"
    smooth: float = SMOOTH
    reference_frame: str = "best"
    sigma: NDArray[np.float64] | None = None
    reasons: tuple[str, ...] = ()

    @property
    def shifts(self) -> NDArray[np.float64]:
        """(n, 2) shifts (dy, dx) in pixels that bring each frame onto the reference."""
        return np.asarray(self.reference) - self.points

    @property
    def found(self) -> NDArray[np.bool_]:
        """(n,) whether there is a star in the frame."""
        return np.asarray(np.isfinite(self.points).all(axis=1))


def register(
    frames: Frames,
    focus: Window,
    method: Method = "brightest",
    smooth: float = SMOOTH,
    reference_frame: str = "best",
    *,
    progress: Progress = silent,
    executor: Executor | None = None,
    journal: Journal | None = None,
) -> Registration:
    """Track a star from frame to frame inside a window.

    Parameters
    ----------
    frames : Frames
        Calibrated, in ADU, masked pixels NaN.
    focus : Window
        Holds the star in every frame.
    method : {"brightest", "centroid", "correlation"}
        "brightest": the brightest speckle, after smoothing, to a fraction of a pixel; what
        gives lucky imaging its sharp core (Fried 1978; Law, Mackay & Baldwin 2006).
        "centroid": the windowed centroid; see `napari_lucky.centroid.track_centroid`.
        "correlation": the maximum of the cross-correlation with a reference frame, without
        wrap-around.
    smooth : float
        Standard deviation of the Gaussian smoothing in pixels, best about a third of
        lambda/D; 0 for none.
    reference_frame : str
        What "correlation" compares with: "best", the frame of the highest peak that is whole
        inside the window; "first", the first with a star; "mean", the mean of all frames with
        their brightest speckles on one point; or a frame's number, such as "17".
    progress, executor, journal
        See `napari_lucky.journal.remembered`.

    Returns
    -------
    Registration
        The reference is the median tracked point, rounded to a whole pixel: so shifts are as
        small as can be and the stacked peak falls on the middle of a pixel.

    Raises
    ------
    LuckyError
        If the method is unknown, the window is not on the sensor, or no frame has a star.
    """
    if method not in METHODS:
        raise LuckyError(f"Registration is by {', '.join(METHODS)}; not by {method!r}.")
    check_smooth(smooth)
    check_reference_frame(reference_frame)
    focus.check_on(frames.shape, "focus window")

    moves = np.zeros((frames.shape[0], 2), np.intp)
    work: dict[str, Any] = {"progress": progress, "executor": executor, "journal": journal}

    def run(track: Callable[[Block], NDArray[np.float64]], what: str) -> NDArray[np.float64]:
        moved = followed(frames, moves)

        def one(block: slice) -> NDArray[np.float64]:
            points = track(as_float32(moved.read(block, focus)))
            if isinstance(moved, View):
                points[moved.blank(block, focus)] = np.nan
            return points

        blocks = blocks_of(frames.shape[0], focus.height * focus.width)
        done = remembered(one, blocks, what=what, **work)
        return np.concatenate(list(done))

    found = run(lambda block: track_brightest(block, smooth), "tracking the speckle")
    moves, found = follow(frames, focus, found, smooth, progress=progress)
    points, sigma = found[:, :2], None
    reasons: tuple[str, ...] = ()
    if not np.isfinite(points).any():
        pass  # told below
    elif method == "centroid":
        points = run(lambda block: track_centroid(block, smooth), "tracking the centroid")
    elif method == "correlation":
        image = reference_image(followed(frames, moves), focus, found, reference_frame)
        point = track_brightest(image, smooth)[0, :2]
        wanted = smoothed(image - background(image)[:, None, None], smooth)[0]
        points = point - run(
            lambda block: correlate(block, wanted), "correlating with the reference"
        )
    elif method == "template":
        tracked = track_template(frames, focus, moves, found, **work)
        points, sigma, reasons = tracked.points, tracked.sigma, tracked.reasons
    if not np.isfinite(points).any():
        raise LuckyError(
            f"No star in rows {focus.y0} to {focus.y1 - 1}, columns {focus.x0} to "
            f"{focus.x1 - 1}: in every frame, all pixels there are equal or masked. "
            "Move the focus window onto the star, and check dark and flat."
        )
    points = points + np.array([focus.y0, focus.x0])
    middle = np.floor(np.nanmedian(points, axis=0) + 0.5)
    return Registration(
        points + moves,
        (float(middle[0]), float(middle[1])),
        focus,
        method,
        smooth,
        reference_frame,
        sigma,
        reasons or tuple("" if found else NO_LIGHT for found in np.isfinite(points).all(axis=1)),
    )
