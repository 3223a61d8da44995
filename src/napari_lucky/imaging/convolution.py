"""Separable kernels over blocks of frames, as products with narrow banded matrices.

A product of small matrices is what processors do fastest: a Gaussian of sigma 2 over 128 x 128 px
takes an eighth of the time of a loop over the kernel's points.

What the constants do is measured by ``benchmarks/floors.py``.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Literal

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

Block = NDArray[np.float32]
Weights = NDArray[np.float64]
Beyond = Literal["nearest", "constant"]

BAND = 16
"""Pixels along an axis that one product gives; wider bands have more zeros, narrower ones need
more products."""
SMALL = 1 << 18
"""Multiplications in one product, at most: OpenBLAS starts its own threads for more, which
would fight with those that work on other frames."""
LINES = 64
"""Lines along an axis whose running means are taken at once, in little memory."""
TRUNCATE = 3.0
"""A Gaussian ends at so many sigmas."""


def gaussian(block: Block, sigma: float, beyond: Beyond = "nearest") -> Block:
    """Smooth each frame of a block (k, y, x) with a Gaussian.

    Parameters
    ----------
    block : ndarray of float32, (k, y, x)
        Without NaN.
    sigma : float
        Standard deviation in pixels; 0 leaves the block as it is.
    beyond : {"nearest", "constant"}
        What is taken to be beyond the edge: its last pixel, or nothing.
    """
    if sigma == 0:
        return block
    weights = gaussian_weights(sigma)
    block = _padded(block, len(weights) // 2, beyond)
    block = _down(block, weights)  # in place of the last, which is not held meanwhile
    return _across(block, weights)


def _padded(block: Block, reach: int, beyond: Beyond) -> Block:
    """Return a block with so many pixels more on all sides; numpy's pad takes several times."""
    k, ny, nx = block.shape
    out = np.empty((k, ny + 2 * reach, nx + 2 * reach), np.float32)
    inside = slice(reach, ny + reach), slice(reach, nx + reach)
    out[:, *inside] = block
    nothing = np.float32(0)
    near = beyond == "nearest"
    out[:, inside[0], :reach] = block[:, :, :1] if near else nothing
    out[:, inside[0], nx + reach :] = block[:, :, -1:] if near else nothing
    out[:, :reach] = out[:, reach : reach + 1] if near else nothing
    out[:, ny + reach :] = out[:, ny + reach - 1 : ny + reach] if near else nothing
    return out


@lru_cache(maxsize=32)
def gaussian_weights(sigma: float) -> Weights:
    """Return a Gaussian's weights, of sum 1, to three sigmas."""
    reach = int(TRUNCATE * sigma + 0.5)
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    weights /= weights.sum()
    weights.setflags(write=False)
    return weights


def correlate(block: Block, down: Weights, across: Weights) -> Block:
    """Correlate each frame with a kernel, the product of weights down and across.

    out[i, j] = sum over a, b of down[a] across[b] block[i + a, j + b]

    Parameters
    ----------
    block : ndarray of float32, (k, y, x)
        Without NaN.
    down, across : ndarray of float, (m,) or (k, m), and (n,) or (k, n)
        Weights along y and x, the same for all frames or of each.

    Returns
    -------
    ndarray of float32, (k, y − m + 1, x − n + 1)
        Where the whole kernel is on the block.
    """
    return _across(_down(block, down), across)


def _matrix(weights: Weights) -> tuple[NDArray[np.float32], int]:
    """Return the matrix that gives a band of a correlation, and how many lines it takes at once.

    There is one for each frame if each has its own weights: (k or 1, 1, band, band + more).
    """
    rows = np.atleast_2d(weights)
    more = rows.shape[1] - 1
    band = max(BAND, more // 2)
    matrix = np.zeros((len(rows), 1, band, band + more), np.float32)
    frame, _, down, across = matrix.strides
    diagonals = as_strided(matrix, (len(rows), band, more + 1), (frame, down + across, across))
    diagonals[:] = rows[:, np.newaxis]
    return matrix, max(1, SMALL // (band * (band + more)))


def _down(block: Block, weights: Weights) -> Block:
    matrix, lines = _matrix(weights)
    (band, wide), (k, ny, nx) = matrix.shape[2:], block.shape
    made = ny - wide + band
    bands, rest = divmod(made, band)
    out = np.empty((k, made, nx), np.float32)
    # each band's rows, of which those of the next are some again: one call for all of them
    s0, s1, s2 = block.strides
    source = as_strided(block, (k, bands, wide, nx), (s0, band * s1, s1, s2), writeable=False)
    target = out[:, : made - rest].reshape(k, bands, band, nx)
    for x in range(0, nx, lines):
        some = slice(x, x + lines)
        np.matmul(matrix, source[..., some], out=target[..., some])
        if rest:
            last = matrix[:, 0, :rest, : rest + wide - band]
            np.matmul(last, block[:, made - rest :, some], out=out[:, made - rest :, some])
    return out


def _across(block: Block, weights: Weights) -> Block:
    matrix, lines = _matrix(weights)
    (band, wide), (k, ny, nx) = matrix.shape[2:], block.shape
    made = nx - wide + band
    matrix = matrix.swapaxes(2, 3)
    bands, rest = divmod(made, band)
    out = np.empty((k, ny, made), np.float32)
    s0, s1, s2 = block.strides
    source = as_strided(block, (k, bands, ny, wide), (s0, band * s2, s1, s2), writeable=False)
    target = out[:, :, : made - rest].reshape(k, ny, bands, band).transpose(0, 2, 1, 3)
    for y in range(0, ny, lines):
        some = slice(y, y + lines)
        np.matmul(source[:, :, some], matrix, out=target[:, :, some])
        if rest:
            last = matrix[:, 0, : rest + wide - band, :rest]
            np.matmul(block[:, some, made - rest :], last, out=out[:, some, made - rest :])
    return out


def running_mean(image: NDArray[Any], size: int, axis: int) -> NDArray[np.float64]:
    """Return the mean of so many values around each one, along an axis.

    Beyond the edge is its last value. `scipy.ndimage.uniform_filter1d` finds the same, to
    rounding; importing it takes a fifth of a short job's time.

    Parameters
    ----------
    image : ndarray
        Without NaN.
    size : int
        How many values; of an even number one more before than behind.
    axis : int
    """
    moved = np.moveaxis(image, axis, -1)
    n, before = moved.shape[-1], size // 2
    around = np.clip(np.arange(-before - 1, n - before + size - 1), 0, n - 1)
    means = np.empty(moved.shape)
    lines, out = moved.reshape(-1, n), means.reshape(-1, n)
    for k in range(0, len(lines), LINES):
        sums = lines[k : k + LINES, around].cumsum(axis=-1, dtype=np.float64)
        out[k : k + LINES] = (sums[:, size:] - sums[:, :n]) / size
    return np.moveaxis(means, -1, axis)
