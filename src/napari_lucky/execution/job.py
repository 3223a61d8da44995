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
    """How a long function reports, where it works and what it keeps in case of an interrupt.

    Parameters
    ----------
    progress : callable
        See `Progress`; it counts frames, as a rule. It may raise `Cancelled`.
    executor : concurrent.futures.Executor, optional
        Where blocks of frames are worked on; a pool of threads, one a core, by default. What it
        is given can be pickled if the frames can.
    checkpoint : Checkpoint, optional
        What was measured before an interrupt, and is measured now.

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
