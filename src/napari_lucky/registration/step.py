"""Registration as a step of the job: what a method of registration is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_lucky.execution.job import Job
from napari_lucky.frames.frames import Block, Frames
from napari_lucky.frames.window import Window
from napari_lucky.frames.window_moves import Moves, followed
from napari_lucky.imaging.noise import Noise
from napari_lucky.imaging.star_image import MOST_SMOOTH
from napari_lucky.registration.two_places import TwoPlaces
from napari_lucky.steps.declaration import Step, param

Floats = NDArray[np.float64]


class Tracked(NamedTuple):
    """What a method of registration finds.

    points : ndarray, (n, 2)
        (y, x) of the tracked point in the window, which moves.
    sigma : ndarray, (n, 2)
        Their 1-sigma errors in pixels.
    reasons : ndarray of str, (n,), optional
        Why a frame has no point, if the method knows better.
    """

    points: Floats
    sigma: Floats
    reasons: NDArray[np.object_] | None = None


@dataclass(frozen=True, eq=False)
class Tracking:
    """What a method of registration starts from: the brightest speckles, found and checked.

    Parameters
    ----------
    frames : Frames
        Calibrated.
    focus : Window
        Of the star.
    smooth : float
        Smoothing in pixels.
    noise : Noise
        Of a pixel.
    moves : ndarray of int, (n, 2)
        How the window follows the star.
    found : ndarray, (n, 9)
        From `track_brightest`; NaN in frames that do not count.
    places : TwoPlaces
        A second star, if one comes in.
    reasons : ndarray of str, (n,)
        Why a frame does not count; empty if it does.
    over_blocks : callable
        Takes a function of a block of frames, and what it does in words; returns its rows.
    job : Job
        Progress, executor, checkpoint; see `Job`.
    """

    frames: Frames
    focus: Window
    smooth: float
    noise: Noise
    moves: Moves
    found: Floats
    places: TwoPlaces
    reasons: NDArray[np.object_]
    over_blocks: Callable[[Callable[[Block], Floats], str], Floats]
    job: Job

    @property
    def moved(self) -> Frames:
        """The frames, seen through the window that follows the star."""
        return followed(self.frames, self.moves)


class Register(Step, table="register", place=70, kinds=True, default="brightest"):
    """Track the star from frame to frame; see `napari_lucky.register`."""

    takes_scenes: ClassVar[bool] = False
    """Whether it tracks what is no star: the Sun, the Moon, a planet."""
    one_speckle: ClassVar[bool] = False
    """Whether it follows one point of light, which may hop between the stars of a double."""
    smooth: float | None = param(
        None,
        "Standard deviation of the smoothing before tracking; by default a third of λ/D, measured "
        "in the frames; 0 for none.",
        "px",
        "smoothing",
        empty="auto",
        option="--smooth",
        step=0.5,
        ge=0,
        le=MOST_SMOOTH,
    )

    def track(self, start: Tracking) -> Tracked:
        """Return where the star is in each frame."""
        raise NotImplementedError


class RegisterBrightest(Register, kind="brightest"):
    """The brightest speckle, to a fraction of a pixel (Fried 1978; Law, Mackay & Baldwin 2006)."""

    one_speckle: ClassVar[bool] = True

    def track(self, start: Tracking) -> Tracked:
        """Return the brightest speckles, which are known already."""
        return Tracked(start.found[:, :2], start.found[:, 3:5])
