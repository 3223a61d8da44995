"""What a cleaning step is: frames in, frames out, lazily."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from napari_lucky.errors import LuckyError
from napari_lucky.execution.job import QUIET, Job
from napari_lucky.frames.sensor_image import SensorImage
from napari_lucky.frames.window import Window
from napari_lucky.steps.declaration import Step


@dataclass(frozen=True, eq=False)
class Scene:
    """What a cleaning step may need to know beside the frames.

    Parameters
    ----------
    windows : tuple of Window or None
        Of the stars, the focused one first.
    light : SensorImage or ndarray, (y, x), optional
        A flat on which dust is found and measured.
    job : Job
        Progress, executor, checkpoint; see `Job`.
    """

    windows: tuple[Window | None, ...] = ()
    light: SensorImage | None = None
    job: Job = QUIET

    @property
    def stars(self) -> list[Window]:
        """The windows that are known."""
        return [window for window in self.windows if window is not None]

    @property
    def focus(self) -> Window:
        """The focused star's window; a `LuckyError` if it is not known."""
        focus = self.windows[0] if self.windows else None
        if focus is None:
            raise LuckyError(
                "For discs that move with the speckle, the focused star's window must be known: "
                "give --focus, or a Shapes layer with its rectangle."
            )
        return focus


@dataclass(frozen=True, eq=False)
class Applied:
    """What a cleaning step made.

    Parameters
    ----------
    frames : Frames
        The view of the cleaned frames.
    step : CleaningStep
        The step, with what was found filled in.
    facts : dict
        For the history.
    note : callable, optional
        Returns what the user should know; called once all steps are there.
    """

    frames: Any
    step: CleaningStep
    facts: dict[str, Any] = field(default_factory=dict)
    note: Callable[[], str] | None = None


class CleaningStep(Step):
    """A step that turns calibrated frames into cleaner ones; off unless asked for."""

    def apply(self, frames: Any, scene: Scene) -> Applied:
        """Return the frames cleaned, lazily."""
        raise NotImplementedError
