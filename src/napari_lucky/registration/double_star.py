"""Two places about equally bright: a double star, between which the brightest speckle hops.

What the constants do is measured by ``benchmarks/finding.py``.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_lucky.execution.blocks import blocks_of
from napari_lucky.frames.frames import Frames, as_float32
from napari_lucky.frames.reading import spread_over
from napari_lucky.frames.window import Window
from napari_lucky.imaging.convolution import gaussian
from napari_lucky.imaging.star_image import light_of, peaks

SAMPLE, FEWEST = 48, 8
"""Frames at most, spread over the run, and at least, in which a double star is looked for."""
DARK_RING = 3.7
"""Of a speckle, over the smoothing, which is lambda/3D: the second place is beyond it."""
AS_BRIGHT, AT_ONE, ON_EITHER = 0.6, 0.35, 0.12
"""The second place has this part of the brightest one's peak, at one distance and angle in this
part of the frames, and is on either side of it in this part of them."""
SAME = 2.0
"""Distances and angles are one if they differ by less than the smoothing so many times."""


def double_star_notes(
    frames: Frames, focus: Window, lit: NDArray[np.intp], smooth: float
) -> tuple[str, ...]:
    """Return a sentence if the brightest speckle hops between two places; nothing otherwise.

    In turbulence there are many speckles; those of a double star come in pairs, at the same
    distance and angle in most frames, with now the one and now the other brighter.

    Parameters
    ----------
    frames : Frames
        In ADU, moved with the star.
    focus : Window
        Holds the star.
    lit : ndarray of int
        Frames with a star.
    smooth : float
        Standard deviation of the smoothing in pixels.
    """
    if len(lit) < FEWEST:
        return ()
    sample = lit[spread_over(len(lit), SAMPLE)]
    apart, alike = [], []
    for part in blocks_of(len(sample), focus.height * focus.width):
        block = as_float32(frames.read(sample[part], focus))
        even = gaussian(light_of(block).pixels, max(smooth, 1.0), "constant")
        first, high = peaks(even)
        rows, columns = (
            np.arange(side) - at[:, None] for side, at in zip(focus.shape, first.T, strict=True)
        )
        near = rows[:, :, None] ** 2 + columns[:, None] ** 2 < (DARK_RING * max(smooth, 1.0)) ** 2
        second, low = peaks(np.where(near, even.min(), even))
        apart.append(second - first)
        alike.append(low > AS_BRIGHT * high)
    vector, good = np.concatenate(apart), np.concatenate(alike)
    side = np.where((vector[:, 0] < 0) | ((vector[:, 0] == 0) & (vector[:, 1] < 0)), -1, 1)
    vector = vector * side[:, None]  # as one of the two, whichever is brighter
    distance = np.linalg.norm(vector[:, None] - vector, axis=2)
    together = (distance < SAME * max(smooth, 1.0)) & good
    middle = int(np.argmax(together.sum(axis=1)))
    pair = together[middle] & good
    count = len(sample)
    if pair.sum() < AT_ONE * count:
        return ()
    if min((side[pair] > 0).sum(), (side[pair] < 0).sum()) < ON_EITHER * pair.sum():
        return ()
    y, x = np.median(vector[pair], axis=0)
    return (
        f"Two places are about equally bright, {np.hypot(y, x):.1f} px apart ({y:+.1f} in y, "
        f"{x:+.1f} in x), in {pair.sum()} of {count} frames looked at, and the brightest speckle "
        "changes between them: the stack may show more stars than there are. For a double star, "
        "register by correlation or template.",
    )
