"""Masked pixels filled from those around them.

In one of three ways, for speed or for what follows: `fill_by_kriging` keeps the top of a star, for
its place; `fill_from_neighbours` takes a simple mean, for what is interpolated or transformed again
in each frame; `fill_deep` leaves no hole, for sums over an aperture.

What the constants do is measured by ``benchmarks/registration.py``.
"""

from __future__ import annotations

from functools import cache, lru_cache

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from napari_lucky.frames.frames import Block
from napari_lucky.imaging.places import places_of

REACH = 4
"""A hole is filled from the pixels so near to it on each axis."""
ALIKE = 1.8
"""Standard deviation in pixels of the Gaussian that says how alike neighbouring pixels are."""
NOISE = 1e-4
"""Variance of the noise over that of the signal, as it is taken to be."""
SEEN = 0.5
"""A hole is filled if at least this part of the pixels around it is not masked."""
FEW = 0.02
"""Of an image's pixels, this part or less is few."""

_SIDE = 2 * REACH + 1


def fill_by_kriging(block: Block) -> tuple[Block, NDArray[np.float32] | None]:
    """Fill masked pixels by the best linear estimate from their neighbours (kriging).

    A mean of neighbours would flatten the star there, and move its top by hundredths of a
    pixel. Holes in the midst of other holes stay.

    Parameters
    ----------
    block : ndarray of float32, (k, y, x)
        Background off, masked pixels NaN.

    Returns
    -------
    filled : ndarray of float32, (k, y, x)
        The block itself if nothing is masked.
    excess : ndarray of float32, (1 or k, y, x), or None
        By how much more a filled pixel's noise counts in a smooth sum, as a factor less 1: it
        is the noise of its neighbours, which then count twice. 2 for one that stays masked.
    """
    holes = ~np.isfinite(block)
    if not holes.any():
        return block, None
    filled = block.copy()
    if (holes == holes[:1]).all():
        return filled, _fill(filled, holes[0])[np.newaxis]
    excess = [_fill(filled[k : k + 1], hole) for k, hole in enumerate(holes)]
    return filled, np.stack(excess)


def _fill(frames: Block, hole: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Fill the same holes in frames, in place; return the excess of the variance, (y, x)."""
    places, around, weights, excess = _plan(hole.shape, np.packbits(hole).tobytes())
    if len(places):
        flat = frames.reshape(len(frames), -1)
        near = flat.take(around, axis=1)
        near[:, weights == 0] = 0  # masked, too
        near *= weights
        flat[:, places] = near.sum(axis=2)  # the same whatever is beside a frame
    return excess


Plan = tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float32], NDArray[np.float32]]


@lru_cache(maxsize=32)
def _plan(shape: tuple[int, int], packed: bytes) -> Plan:
    """Return which holes are filled, the places around each, their weights, and the excess.

    Places are those of the flattened frame; beyond its edge they are on it, without weight. Most
    frames of a run have the same holes.
    """
    bits = np.unpackbits(np.frombuffer(packed, np.uint8), count=shape[0] * shape[1])
    hole = bits.astype(bool).reshape(shape)
    masked = np.pad(hole, REACH, constant_values=True)
    y, x = np.nonzero(hole)
    around = sliding_window_view(masked, (_SIDE, _SIDE))[y, x]
    enough = np.flatnonzero((~around).mean(axis=(1, 2)) >= SEEN)
    y, x = y[enough], x[enough]
    weights = np.zeros((len(y), _SIDE**2), np.float32)
    for k, pattern in enumerate(around[enough]):
        weights[k] = _weights(pattern.tobytes()).ravel()
    off = np.arange(-REACH, REACH + 1)
    rows = (y[:, None] + off).clip(0, shape[0] - 1)
    columns = (x[:, None] + off).clip(0, shape[1] - 1)
    near = (rows[:, :, None] * shape[1] + columns[:, None, :]).reshape(len(y), _SIDE**2)
    excess = np.where(hole, np.float32(2), np.float32(0))  # of what is too deep to be filled
    excess[y, x] = 1 + (weights**2).sum(axis=1)
    excess.setflags(write=False)
    return y * shape[1] + x, near, weights, excess


@lru_cache(maxsize=4096)
def _weights(pattern: bytes) -> NDArray[np.float32]:
    """Return the weight of each pixel around a hole, 0 for those that are masked too."""
    seen = np.flatnonzero(~np.frombuffer(pattern, bool))
    alike, to_hole = _alike()
    weights = np.zeros(_SIDE**2, np.float32)
    weights[seen] = np.linalg.solve(alike[np.ix_(seen, seen)], to_hole[seen])
    return weights.reshape(_SIDE, _SIDE)


@cache
def _alike() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return how alike the pixels around a hole are to each other, and to the hole."""
    place = np.stack(np.divmod(np.arange(_SIDE**2), _SIDE), axis=1) - REACH
    apart = ((place[:, None] - place) ** 2).sum(axis=2)
    alike = np.exp(-apart / (2 * ALIKE**2)) + NOISE * np.eye(len(place))
    return alike, np.exp(-(place**2).sum(axis=1) / (2 * ALIKE**2))


def fill_from_neighbours(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return an image whose masked pixels have the mean of their neighbours that are not masked.

    Those at the corners count half. Where all eight are masked, so is the result.
    """
    y, x, means = means_of_holes(image)
    if len(y) == 0:
        return image
    filled = image.copy()
    filled[y, x] = means
    return filled


def fill_each(block: Block) -> Block:
    """Return frames (k, y, x) as `fill_from_neighbours` gives each, at once if holes are few."""
    few = places_if_few(~np.isfinite(block))
    if few is None:
        return np.stack([fill_from_neighbours(image) for image in block])
    filled = block.copy()
    filled[few] = means_around(block, *few)
    return filled


def places_if_few(
    holes: NDArray[np.bool_],
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]] | None:
    """Return where holes are, frame, y and x; None if what is around each takes much memory."""
    frame, y, x = places_of(holes)
    return None if len(frame) > FEW * holes.size else (frame, y, x)


def means_of_holes(
    image: NDArray[np.float32],
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float64]]:
    """Return where pixels are masked, y and x, and the means of what is around them.

    Those are NaN where all eight neighbours are masked, as deep in a hole.
    """
    y, x = np.divmod(np.flatnonzero(~np.isfinite(image)), image.shape[1])
    means = np.full(len(y), np.nan)
    near = np.flatnonzero(~_deep_holes(y, x, image.shape))
    where = np.zeros(len(near), np.intp), y[near], x[near]
    means[near] = means_around(image[np.newaxis], *where)
    return y, x, means


BESIDE = np.array([(dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1) if dy or dx])
"""The neighbours of a pixel."""


def means_around(
    images: NDArray[np.float32], frame: NDArray[np.intp], y: NDArray[np.intp], x: NDArray[np.intp]
) -> NDArray[np.float64]:
    """Return the mean of the neighbours of some pixels that are not masked; NaN if all are.

    Neighbours at the corners count half.
    """
    there_y, there_x = y + BESIDE[:, :1], x + BESIDE[:, 1:]  # (8, n)
    on = (there_y >= 0) & (there_y < images.shape[1]) & (there_x >= 0) & (there_x < images.shape[2])
    values = images[frame, np.where(on, there_y, 0), np.where(on, there_x, 0)]
    good = on & np.isfinite(values)
    weight = good * np.where(BESIDE.all(axis=1), 0.5, 1.0)[:, np.newaxis]
    total = (weight * np.where(good, values, 0)).sum(axis=0)
    weight = weight.sum(axis=0)
    return np.where(weight > 0, total / np.where(weight > 0, weight, 1), np.nan)


def _deep_holes(
    y: NDArray[np.intp], x: NDArray[np.intp], shape: tuple[int, ...]
) -> NDArray[np.bool_]:
    """Return which masked pixels are in a line that is masked whole with those beside it."""
    return np.asarray(_deep(y, *shape)[y] | _deep(x, *shape[::-1])[x])


def _deep(at: NDArray[np.intp], lines: int, pixels: int) -> NDArray[np.bool_]:
    """Return which lines are masked whole with the ones beside them, from where pixels are."""
    whole = np.pad(np.bincount(at, minlength=lines) == pixels, 1, constant_values=True)
    return np.asarray(whole[:-2] & whole[1:-1] & whole[2:])


def fill_deep(image: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return an image whose masked pixels have the mean of their neighbours, however deep."""
    whole: NDArray[np.float32] = np.asarray(image, np.float32)
    while np.isnan(whole).any() and not np.isnan(whole).all():
        whole = fill_from_neighbours(whole)
    return np.where(np.isnan(image), whole, image).astype(np.float64)
