"""How far neighbouring frames are alike, and what that does to the error of their mean.

Frames that follow each other faster than the turbulence changes do not count as independent ones.
The variance of their mean is then

    var = sum_ij w(|t_i - t_j|) d_i d_j / n² / (1 - sum_ij w / n²)

d the deviations from the mean, t the frames' numbers. It is what a bootstrap over blocks of
consecutive frames tends to, with w = 1 up to the length over which frames are alike, from where it
falls to 0 at twice that (flat-topped: Politis & Romano 1995).

What the constants do is measured by ``benchmarks/wavefront.py``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_lucky.imaging.alike import FEWEST, alike_over
from napari_lucky.optics.zernikes import noll_orders
from napari_lucky.pieces import pieces
from napari_lucky.wavefront.frame_fit import Floats

BLOCK = 256
"""Frames that are summed together: bounded memory."""


@dataclass(frozen=True, eq=False)
class Likeness:
    """How far frames are alike.

    Attributes
    ----------
    length : float
        In frames, 0 where neighbours differ as much as any two.
    inflation : ndarray, (k,)
        Variance of the mean of each mode over that of as many independent frames, 1 or more.
    span : int
        From the first frame to the last.
    """

    length: float
    inflation: Floats
    span: int

    def independent(self, n: int) -> float:
        """Return as how many independent frames n of them count, for the low orders."""
        return n / float(self.inflation[0])

    def notes(self, n: int) -> tuple[str, ...]:
        """Return what the user should know."""
        if self.length <= 0:
            return ()
        said = (
            f"Neighbouring frames are alike, over about {self.length:.0f} frames: {n} of them "
            f"count as {self.independent(n):.0f} independent ones, and the standard errors are "
            f"that much larger."
        )
        if self.span < FEWEST * self.length:
            said += (
                " The run is too short to know them well: take frames over a longer time, with "
                "pauses."
            )
        return (said,)


def likeness(samples: Floats, numbers: NDArray[np.intp]) -> Likeness:
    """Measure how far frames are alike.

    Parameters
    ----------
    samples : ndarray, (n, k)
        The frames' coefficients from Noll 4 on.
    numbers : ndarray of int, (n,)
        The frames' numbers, ascending.
    """
    n, k = samples.shape
    inflation = np.ones(k)
    if n < 4:
        return Likeness(0.0, inflation, 0)
    span = int(numbers[-1] - numbers[0]) + 1
    off = samples - samples.mean(axis=0)
    orders = np.array([noll_orders(noll)[0] for noll in range(4, 4 + k)])
    length = alike_over(samples[:, :12], numbers)
    if length > 0:
        together, total = np.zeros(k), 0.0
        for some in pieces(n, BLOCK):
            weight = _flat_top(numbers[some], numbers, length)
            together += np.einsum("ik,ik->k", off[some], weight @ off)
            total += float(weight.sum())
        together /= max(1 - total / n**2, 0.1)
        apart = (off**2).sum(axis=0) * n / (n - 1)
        for order in np.unique(orders):
            own = orders == order
            ratio = together[own].sum() / max(apart[own].sum(), 1e-300)
            inflation[own] = max(ratio, 1.0)
    return Likeness(length, inflation, span)


def _flat_top(some: NDArray[np.intp], numbers: NDArray[np.intp], length: float) -> Floats:
    distance = np.abs(some[:, None] - numbers[None, :])
    return np.asarray(np.clip(2 - distance / max(length, 1.0), 0.0, 1.0))
