"""A standard deviation that outliers do not move."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_lucky.pieces import pieces

MAD_OF_SIGMA = 0.6745
"""Median absolute deviation of a normal distribution over its standard deviation: its quartile."""
SIGMA_OF_MAD = 1.4826
"""The inverse, as it is written where clipping is described."""
NEAR = 0.8, 1.1
"""Parts of a guess between which a standard deviation is looked for first."""

FEW = 1000
"""Values enough for a guess."""
TOGETHER = 1 << 12
"""Pixels whose values in some frames stay in the processor's cache."""


def robust_sigma(values: NDArray[Any], middle: Any = 0.0, axis: int | None = None) -> Any:
    """Return the standard deviation about a middle by the median absolute deviation.

    Up to half of the values may be outliers, and it is up to 37 % efficient (Huber 1981).

    Parameters
    ----------
    values : ndarray
        Without NaN.
    middle : float or ndarray
        Their median; 0 if they are differences already.
    axis : int, optional
        All values count by default.
    """
    off = np.abs(values - middle)
    return (median_of_frames(off) if axis == 0 else np.median(off, axis=axis)) / MAD_OF_SIGMA


def sigma_near(off: NDArray[Any], guess: float) -> float:
    """Return `robust_sigma` of values, in a fraction of the time if it is near a guess.

    Only the values near the median are put in order; the others are counted.

    Parameters
    ----------
    off : ndarray, (n,)
        Differences, without NaN.
    guess : float
        Such as the result before a few values were left out; 0 to guess from a few of them.
    """
    sizes = np.abs(off)
    if guess == 0 and len(off) > FEW:
        guess = float(np.median(sizes[:: len(off) // FEW])) / MAD_OF_SIGMA
    low, high = (part * guess * MAD_OF_SIGMA for part in NEAR)
    near = sizes[(sizes >= low) & (sizes <= high)]
    below = np.count_nonzero(sizes < low)
    first, last = (len(sizes) - 1) // 2 - below, len(sizes) // 2 - below
    if first < 0 or last >= len(near):
        return float(robust_sigma(off))
    near.partition(last)  # of one value alone: numpy has vector code for that
    middle = near[last] if first == last else (near[:last].max() + near[last]) / 2
    return float(middle / MAD_OF_SIGMA)


def median_of_rows(values: NDArray[Any]) -> NDArray[Any]:
    """Return the median along the last axis, without NaN, as `numpy.median`, several times as fast.

    For one place in the order alone numpy has vector code; its own median also looks for NaN.
    """
    n = values.shape[-1]
    ordered = np.partition(values, n // 2, axis=-1)
    high = ordered[..., n // 2]
    return np.asarray(high if n % 2 else (ordered[..., : n // 2].max(axis=-1) + high) / 2)


def median_of_frames(block: NDArray[Any]) -> NDArray[Any]:
    """Return the median along the first axis, as `numpy.nanmedian`, at least four times as fast.

    Each pixel's values are sorted side by side in memory, for which numpy has vector code.

    Parameters
    ----------
    block : ndarray of float, (n, ...)
        NaN is left out.
    """
    n, values = len(block), block.reshape(len(block), -1)
    middle = np.empty(values.shape[1], block.dtype)
    for part in pieces(values.shape[1], TOGETHER):
        ordered = np.sort(np.ascontiguousarray(values[:, part].T), axis=1)  # NaN comes last
        middle[part] = ordered[:, (n - 1) // 2 : n // 2 + 1].mean(axis=1, dtype=block.dtype)
        if (some := np.isnan(ordered[:, -1])).any():
            ordered = ordered[some]
            known = n - np.isnan(ordered).sum(axis=1)
            pair = np.stack([(known - 1) // 2, known // 2], axis=1)  # of none, last and first
            pair = np.take_along_axis(ordered, pair, axis=1)
            middle[part][some] = pair.mean(axis=1, dtype=block.dtype)
    return middle.reshape(block.shape[1:])


def median_and_sigma(block: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return `median_of_frames`, and `robust_sigma` about it, in two thirds of their time.

    Values are put in order once. Of sorted values those nearest to the median are neighbours, so
    the k-th smallest distance from it is the least, of all k neighbours, of the greater of the
    first one's and the last one's.

    Parameters
    ----------
    block : ndarray of float, (n, ...)
        NaN is left out.
    """
    n, values = len(block), block.reshape(len(block), -1)
    middle, sigma = np.empty((2, values.shape[1]), block.dtype)
    for part in pieces(values.shape[1], TOGETHER):
        ordered = np.sort(np.ascontiguousarray(values[:, part].T), axis=1).T.copy()
        middle[part] = ordered[(n - 1) // 2 : n // 2 + 1].mean(axis=0, dtype=block.dtype)
        off = np.abs(ordered - middle[part])
        nearest = [
            np.maximum(off[: n - k], off[k:]).min(axis=0) for k in sorted({(n - 1) // 2, n // 2})
        ]
        sigma[part] = np.mean(nearest, axis=0, dtype=block.dtype) / MAD_OF_SIGMA
        if (some := np.isnan(ordered[-1])).any():
            masked = values[:, part][:, some]
            known = median_of_frames(masked)
            middle[part][some], sigma[part][some] = known, robust_sigma(masked, known, axis=0)
    return middle.reshape(block.shape[1:]), sigma.reshape(block.shape[1:])
