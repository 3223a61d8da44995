"""Cleaning of calibrated frames: the steps that are on, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from napari_lucky.cleaning.step import CleaningStep, Scene
from napari_lucky.errors import LuckyError, check_kind
from napari_lucky.execution.job import QUIET, Job
from napari_lucky.fits.arrays import FramesLike, as_frames
from napari_lucky.frames.frames import chain_of
from napari_lucky.frames.history import History
from napari_lucky.frames.sensor_image import SensorImage
from napari_lucky.frames.window import WindowLike, as_window
from napari_lucky.steps.declaration import Step


@dataclass(frozen=True, eq=False)
class Cleaned:
    """Frames that were cleaned, lazily, and what was found on the way.

    Parameters
    ----------
    frames : Frames
        The chain of views; the very frames given if everything is off.
    history : tuple of Record
        What was done.
    steps : tuple of CleaningStep
        The steps, with what was found filled in.
    views : dict of str to View
        The frames after each step, by its table.
    notes : tuple of str
        What the user should know.
    """

    frames: Any
    history: History
    steps: tuple[CleaningStep, ...]
    views: dict[str, Any]
    notes: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.frames)

    def __getitem__(self, key: Any) -> Any:
        return self.frames[key]

    def __repr__(self) -> str:
        done = ", ".join(step.table for step in self.steps) or "nothing"
        return f"<Cleaned: {done}; {self.frames!r}>"


def clean(
    frames: FramesLike,
    steps: Step | Iterable[Step],
    *,
    windows: Sequence[WindowLike | None] = (),
    light: SensorImage | None = None,
    job: Job = QUIET,
) -> Cleaned:
    """Build the chain of views that cleans frames.

    Parameters
    ----------
    frames : Frames, path or array
        Calibrated or raw, ADU.
    steps : Step or iterable of Step
        Those that clean are done, in the order of their places; such as `RemoveOutliers()`.
    windows : sequence of Window or None
        Of the stars, the focused one first: dust is not looked for there, the background
        is not fitted there, outliers are counted there.
    light : SensorImage or ndarray, (y, x), optional
        A flat on which dust is found and measured; the mean of the frames if None.
    job : Job
        Progress, executor, checkpoint; see `Job`.

    Returns
    -------
    Cleaned
        The frames, cleaned as they are read, and a record of each step.

    Raises
    ------
    LuckyError
        If something given cannot be used.

    Examples
    --------
    >>> import numpy as np
    >>> import napari_lucky as lucky
    >>> frames = np.random.default_rng(0).normal(100, 5, (1, 32, 32))
    >>> frames[0, 16, 16] = 1000  # a cosmic ray
    >>> cleaned = lucky.clean(frames, lucky.steps.RemoveOutliers(sigma=8))
    >>> bool(np.isnan(cleaned.frames[0][16, 16]))
    True
    """
    frames = as_frames(frames)
    check_kind(steps, (Step, Iterable), "list of steps", "steps such as RemoveOutliers(sigma=6)")
    steps = [steps] if isinstance(steps, (Step, str)) else list(steps)
    for given in steps:
        if not isinstance(given, Step):
            raise LuckyError(
                f"{given!r} is not a step; give steps such as RemoveOutliers(sigma=6)."
            )
    windows = [None if one is None else as_window(one) for one in windows]
    scene = Scene(tuple(windows), light, job)
    chain: Any = frames
    history: list[Any] = []
    done: list[CleaningStep] = []
    views: dict[str, Any] = {}
    notes: dict[str, Callable[[], str] | None] = {}
    for step in sorted(steps, key=lambda step: step.place):
        if isinstance(step, CleaningStep):
            applied = step.apply(chain, scene)
            chain = views[step.table] = applied.frames
            history.append(applied.step.record(applied.facts))
            done.append(applied.step)
            notes[step.table] = applied.note
    texts = [
        note()
        for table, note in notes.items()
        if note and any(view is views[table] for view in chain_of(chain))
    ]
    return Cleaned(chain, tuple(history), tuple(done), views, tuple(texts))
