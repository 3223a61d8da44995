"""Stacking as a step of the job: what a method of stacking is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

import numpy as np
from numpy.typing import NDArray

from napari_lucky.execution.job import Job
from napari_lucky.frames.frames import Frames
from napari_lucky.frames.kept_count import describe_count
from napari_lucky.frames.window import Window
from napari_lucky.imaging.shifts import Shifted, applied_shifts
from napari_lucky.steps.declaration import Step, param

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class ToStack:
    """What a method of stacking is given.

    Parameters
    ----------
    frames : Frames
        Calibrated, not shifted.
    shifts : ndarray, (n, 2)
        (dy, dx) in pixels.
    index : ndarray of int
        Frames to stack.
    window : Window
        What of them.
    quality : ndarray, (n,), optional
        Of all frames.
    subpixel : bool
        Whether frames are shifted by fractions of a pixel.
    what : str
        What is done, as the progress shows it.
    job : Job
        Progress, executor, checkpoint; see `Job`.
    """

    frames: Frames
    shifts: NDArray[np.float64]
    index: NDArray[np.intp]
    window: Window
    quality: NDArray[np.float64] | None
    subpixel: bool
    what: str
    job: Job

    @property
    def shifted(self) -> Shifted:
        """The frames, shifted."""
        return Shifted(self.frames, self.shifts, self.subpixel)

    @property
    def how(self) -> dict[str, Any]:
        """Progress and job, as the functions that stack take them."""
        return {"what": self.what, "job": self.job}

    @property
    def applied(self) -> NDArray[np.float64]:
        """The shifts as they are applied: whole pixels unless subpixel."""
        return applied_shifts(self.shifts, self.subpixel)


class StackFrames(Step, table="stack", place=100, kinds=True, default="mean"):
    """Make one image of the kept frames, and in the same way one of the defocused star."""

    of_all: ClassVar[bool] = False
    """Whether it chooses among all frames itself."""
    subpixel: bool = param(True, "Shift by fractions of a pixel; otherwise by whole pixels.")

    def takes(self, kept: T, found: T) -> T:
        """Return which frames are stacked: those kept, or all with a star if it chooses itself."""
        return found if self.of_all else kept

    def describe(self, used: int, frames: int) -> str:
        """Return what a stack is of, such as "12 of 120 frames (10 %)".

        Parameters
        ----------
        used : int
            Frames that are stacked, or chosen from if it chooses itself.
        frames : int
            Of the run.
        """
        return describe_count(used, frames)

    def notes(self, used: int, frames: int) -> list[str]:
        """Return sentences on a choice that it makes itself; as for `describe`."""
        return []

    def stack(self, given: ToStack) -> Any:
        """Return the `Stack` of some frames in a window."""
        raise NotImplementedError
