"""What a long function needs of its surroundings."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass

from napari_lucky.execution.checkpoint import Checkpoint

Progress = Callable[[int, int, str], None]
"""Called as progress(done, total, what) now and then, from the thread that runs the job.

Whatever it raises ends the job: that is how a job is cancelled.
"""


class Cancelled(Exception):
    """Raised by a `Progress` to end the job it watches."""


def no_progress(done: int, total: int, what: str) -> None:
    """Report nothing."""


@dataclass(frozen=True)
class Job:
    """How a long function reports its progress, where it runs, and how it survives an interrupt.

    Parameters
    ----------
    progress : callable
        Called with what is done so far, as a rule in frames; see `Progress`. To cancel, raise
        `Cancelled` in it.
    executor : concurrent.futures.Executor, optional
        Works on the blocks of frames; by default a pool of threads, one a core. What it
        is given can be pickled if the frames can.
    checkpoint : Checkpoint, optional
        Saves what was measured, to continue from it after an interrupt.

    Examples
    --------
    >>> import numpy as np
    >>> import napari_lucky as lucky
    >>> def progress(done, total, what):
    ...     if done == total:
    ...         print(what, total)
    >>> job = lucky.Job(progress=progress)
    >>> dark = lucky.master(np.full((5, 32, 32), 100.0), job=job, what="dark")
    dark 32
    """

    progress: Progress = no_progress
    executor: Executor | None = None
    checkpoint: Checkpoint | None = None


QUIET = Job()
"""The default: no reports, on threads, nothing kept."""
