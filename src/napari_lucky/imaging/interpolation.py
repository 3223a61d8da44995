"""Images moved by fractions of a pixel.

What the constants do is measured by ``benchmarks/kernels.py``.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from napari_lucky.frames.frames import as_float32
from napari_lucky.imaging.convolution import correlate
from napari_lucky.imaging.inpainting import FEW, means_around, means_of_holes
from napari_lucky.imaging.places import places_of

MARGIN = 6
"""Pixels around an image that the interpolation kernel needs."""
SAMPLINGS = (2.0, 3.0, 5.0, 7.0, 12.0)
"""Sampling, px per λ/D, of the stars that the kernel is made for."""
IMPORTANCE = (1.0, 1e2, 1e4, 1e5, 1e6)
"""Of each of them: what is sampled more finely can be moved more exactly, so it must be."""
NODES = 64
"""Of the integrals over frequency; with six times as many no error changes by over 1 %."""


def interpolate(image: NDArray[np.float32], rest: NDArray[np.float64]) -> NDArray[np.float32]:
    """Move an image by less than a pixel, with 12 points an axis.

    The kernel (`kernel`) has a sum of 1, which keeps the flux. The greatest error of a star, in
    per cent of its peak, is 0.49, 0.023, 0.0014, 0.0004 and 0.0003 at px per λ/D = 2, 3, 5, 7
    and 12 (an Airy pattern with an
    obstruction of 0.3 anywhere in a pixel; ``benchmarks/kernels.py`` compares more). Sampled
    more coarsely than 2, an image does not determine what is between its pixels. A masked pixel is
    filled from its neighbours; where it has most of the weight, the result is masked.

    Parameters
    ----------
    image : ndarray of float32, (y + 12, x + 12)
        The image with a margin of six pixels.
    rest : ndarray of float, (2,)
        (dy, dx) between −1/2 and 1/2.

    Returns
    -------
    ndarray of float32, (y, x)
    """
    weights = kernel(float(rest[0])), kernel(float(rest[1]))
    y, x, means = means_of_holes(image)
    if len(y) == 0:
        return _convolve(image, weights)
    unknown = np.isnan(means)  # deep in a hole; beyond the sensor's edge as a rule
    filled = image.copy()
    filled[y, x] = np.where(unknown, 0, means)
    moved = _convolve(filled, weights)
    if unknown.any():
        with np.errstate(divide="ignore", invalid="ignore"):  # where nothing is near
            moved /= _weight_beside(y[unknown], x[unknown], image.shape, weights)
    moved[_weight_beside(y, x, image.shape, weights) <= 0.5] = np.nan
    return moved


def interpolate_frames(
    images: NDArray[np.float32], rests: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Move each of some images by its own fraction of a pixel; see `interpolate`.

    Parameters
    ----------
    images : ndarray of float32, (k, y + 12, x + 12)
        With a margin of six pixels; their few single masked pixels are filled in place.
    rests : ndarray of float, (k, 2)
        (dy, dx) of each.

    Returns
    -------
    ndarray of float32, (k, y, x)
    """
    frame, y, x = places_of(~np.isfinite(images))
    means = np.zeros(0)
    simple = np.ones(len(images), bool)  # in which every hole is filled from what is beside it
    if len(frame):
        crowded = np.bincount(frame, minlength=len(images)) > FEW * images[0].size
        simple &= ~crowded
        some = simple[frame]
        frame, y, x = frame[some], y[some], x[some]
        means = means_around(images, frame, y, x)
        simple[frame[np.isnan(means)]] = False
        some = simple[frame]
        frame, y, x = frame[some], y[some], x[some]
        images[frame, y, x] = means[some]
    down, across = kernels(rests[:, 0]), kernels(rests[:, 1])
    if simple.all():
        out = correlate(images, down, across)
    else:
        out = np.empty((len(images), *(side - 2 * MARGIN for side in images.shape[1:])), np.float32)
        out[simple] = correlate(images[simple], down[simple], across[simple])
        for k in np.flatnonzero(~simple):
            out[k] = interpolate(images[k], rests[k])
    if len(frame):
        place, weight = _weights_of(out.shape, frame, y, x, down[frame], across[frame])
        lost = np.zeros(out.size, np.float32)
        np.add.at(lost, place, weight)
        out.reshape(-1)[place[lost[place] >= 0.5]] = np.nan
    return out


def _weight_beside(
    y: NDArray[np.intp],
    x: NDArray[np.intp],
    shape: tuple[int, ...],
    weights: tuple[NDArray[np.float64], NDArray[np.float64]],
) -> NDArray[np.float32]:
    """Return the weight that all but some pixels have, (y, x) without the margin.

    Whole rows and columns, beyond the sensor's edge, leave a product of two profiles, and of the
    few other pixels each takes its own weight away: quicker than a convolution.
    """
    rows = np.bincount(y, minlength=shape[0]) < shape[1]
    columns = np.bincount(x, minlength=shape[1]) < shape[0]
    single = np.asarray(rows[y] & columns[x])
    if np.count_nonzero(single) > FEW * shape[0] * shape[1]:
        others = np.ones(shape, np.float32)
        others[y, x] = 0
        return _convolve(others, weights)
    y, x = y[single], x[single]
    down, across = (
        np.convolve(on, weight[::-1], "valid")
        for on, weight in zip((rows, columns), weights, strict=True)
    )
    rest = np.multiply.outer(as_float32(down), as_float32(across))
    of_each = (np.broadcast_to(weight, (len(y), len(weight))) for weight in weights)
    frame = np.zeros(len(y), np.intp)
    np.subtract.at(rest.reshape(-1), *_weights_of((1, *rest.shape), frame, y, x, *of_each))
    return rest


def _weights_of(
    shape: tuple[int, ...],
    frame: NDArray[np.intp],
    y: NDArray[np.intp],
    x: NDArray[np.intp],
    down: NDArray[np.float64],
    across: NDArray[np.float64],
) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    """Return where pixels are seen in moved images of a shape (k, y, x), flat, with what weights.

    down, across : ndarray of float, (n, 13)
        The kernels with which each of these pixels is moved.
    """
    reach = np.arange(2 * MARGIN + 1)
    at_y, at_x = y[:, None] - reach, x[:, None] - reach  # where each is seen, with which weight
    down, across = (
        np.where((at >= 0) & (at < side), weight, 0.0)
        for at, side, weight in zip((at_y, at_x), shape[1:], (down, across), strict=True)
    )
    place = frame[:, None] * shape[1] + at_y.clip(0, shape[1] - 1)
    place = place[:, :, None] * shape[2] + at_x.clip(0, shape[2] - 1)[:, None, :]
    return place.ravel(), as_float32(down[:, :, None] * across[:, None]).ravel()


def _convolve(
    image: NDArray[np.float32], weights: tuple[NDArray[np.float64], NDArray[np.float64]]
) -> NDArray[np.float32]:
    return correlate(image[np.newaxis], *weights)[0]


def kernel(fraction: float) -> NDArray[np.float64]:
    """Return the 13 weights that give a sample at −fraction pixels, −1/2 to 1/2; one end is 0.

    They come nearest to a shift of each spatial frequency nu (cycles a pixel) up to 1/2, in the
    sense of least squares:

        sum over nu of W(nu) |sum over k of w_k exp(2 pi i nu k) − exp(−2 pi i nu fraction)|²

    W(nu) is about the power of a star that a pupil makes, with nothing over 1/q, added up over
    the samplings q in proportion to their importance: the sum of q max(1 − q nu, 0)³.
    """
    return kernels(np.array([fraction]))[0]


def kernels(fractions: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the weights of `kernel` for each of some fractions, (k, 13)."""
    phase = -2 * np.pi * np.abs(fractions)[:, np.newaxis] * _frequencies()[0]
    wanted = np.concatenate([np.cos(phase), np.sin(phase)], axis=1)
    weights = np.zeros((len(fractions), 2 * MARGIN + 1))
    # one product for each, so that what is beside it changes no bit
    weights[:, :-1] = np.matmul(_fit(), wanted[:, :, np.newaxis])[:, :, 0]
    weights /= weights[:, :-1].sum(axis=1, keepdims=True)
    back = fractions < 0
    weights[back] = weights[back, ::-1]
    return weights


@cache
def _frequencies() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return frequencies from 0 to 1/2, and the roots of their weights."""
    nodes, widths = np.polynomial.legendre.leggauss(NODES)
    frequency = (nodes + 1) / 4
    weight = sum(
        part * q * np.maximum(1 - q * frequency, 0) ** 3
        for q, part in zip(SAMPLINGS, IMPORTANCE, strict=True)
    )
    return frequency, np.sqrt(weight * widths)


@cache
def _fit() -> NDArray[np.float64]:
    """Return the matrix from the cosines and sines that are wanted to the weights, −6 to 5."""
    frequency, root = _frequencies()
    phase = 2 * np.pi * np.outer(frequency, np.arange(-MARGIN, MARGIN))
    root = np.concatenate([root, root])
    basis = np.concatenate([np.cos(phase), np.sin(phase)]) * root[:, np.newaxis]
    return np.asarray(np.linalg.pinv(basis) * root)
