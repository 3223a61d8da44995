"""The cross-correlation in wide windows: coarsely all over, then exactly around its maximum.

A transform of a whole sensor for each frame would take longer than reading it. All that is
correlated is the box of the reference's light: elsewhere there is only its noise.

What the constants do is measured by ``benchmarks/pulls.py``.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import pi, sqrt
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import field_validator

from napari_lucky.frames.frames import Block, is_empty
from napari_lucky.imaging.binning import COARSEST, WIDE, binned, cut
from napari_lucky.imaging.brightest_speckle import track_brightest
from napari_lucky.imaging.noise import Noise
from napari_lucky.imaging.peak_position import LEAST_WIDTH, REACH
from napari_lucky.imaging.star_image import background, peaks, smoothed
from napari_lucky.registration.correlation import (
    Reference,
    check_reference_frame,
    correlate_frames,
    correlate_over,
    correlation_of,
    make_reference,
    reference_image,
    rough_image,
)
from napari_lucky.registration.step import Register, Tracked, Tracking
from napari_lucky.steps.declaration import param

SIGNIFICANT = 6.0
"""Sigmas of their noise over which the slopes of the reference are those of light."""


@dataclass(frozen=True, eq=False)
class WideReference:
    """What the frames of a wide window are correlated with; from `make_wide_reference`.

    Parameters
    ----------
    coarse : Reference
        Of the binned window, dark outside the box of light.
    fine : Reference
        Of the box alone, with a margin, for shifts as long as that.
    corner : tuple of int
        (y, x) of the box with its margin in the window.
    shape : tuple of int
        Its rows and columns.
    bins : int
        Pixels binned on each axis.
    """

    coarse: Reference
    fine: Reference
    corner: tuple[int, int]
    shape: tuple[int, int]
    bins: int


def reference_for(image: Block, smooth: float, noise: Noise) -> Reference | WideReference:
    """Make a reference of an image (1, y, x), as its width asks for."""
    if max(image.shape[1:]) <= WIDE:
        return make_reference(image, smooth)
    return make_wide_reference(image, smooth, noise)


def make_wide_reference(image: Block, smooth: float, noise: Noise) -> WideReference:
    """Make a reference of an image (1, y, x); the smoothing is a pixel at least.

    The box holds all slopes that stand out of the noise: what has none says nothing of shifts.
    """
    rough = rough_image(image, smooth)
    box = _box_of_light(rough, max(smooth, LEAST_WIDTH), noise)
    bins = COARSEST
    alone = np.zeros_like(rough)
    alone[*box] = rough[*box]
    coarse = binned(alone[np.newaxis], bins)[0]
    low, high, pad = _shifts_of([(b.start // bins, -(-b.stop // bins)) for b in box], coarse.shape)
    margin = 2 * bins + int(np.ceil(REACH * LEAST_WIDTH))
    return WideReference(
        Reference.of(coarse, low, high, pad),
        Reference.of(np.pad(rough[*box], margin), (-margin,) * 2, (margin,) * 2, 0),
        (box[0].start - margin, box[1].start - margin),
        (box[0].stop - box[0].start + 2 * margin, box[1].stop - box[1].start + 2 * margin),
        bins,
    )


def _box_of_light(rough: Block, wide: float, noise: Noise) -> list[slice]:
    """Return the rows and columns of an image, lacking a pixel of its smoothing, that hold light.

    White noise of variance v has slopes of variance v / (8 pi wide^4) under a Gaussian.
    """
    even = smoothed(rough[np.newaxis], LEAST_WIDTH)[0]
    down, across = np.gradient(even)
    usual = sqrt(noise.floor / (8 * pi)) / wide**2
    lit = np.hypot(down, across) > SIGNIFICANT * usual
    return [_around(lit.any(axis=1 - axis), int(np.ceil(2 * wide))) for axis in (0, 1)]


def _around(lit: NDArray[np.bool_], margin: int) -> slice:
    """Return the pixels along an axis from the first to the last that is lit; all if none is."""
    places = np.flatnonzero(lit)
    if len(places) == 0:
        return slice(0, len(lit))
    return slice(max(0, int(places[0]) - margin), min(len(lit), int(places[-1]) + 1 + margin))


def _shifts_of(
    box: list[tuple[int, int]], shape: tuple[int, ...]
) -> tuple[tuple[int, int], tuple[int, int], int]:
    """Return the shifts that leave the middle of the box in the window, and the pad they need."""
    middle = [(first + stop) // 2 for first, stop in box]
    low = middle[0] - shape[0] + 1, middle[1] - shape[1] + 1
    pad = max((stop - first + 1) // 2 for first, stop in box)
    return low, (middle[0], middle[1]), pad


def correlate_with(
    block: Block, reference: Reference | WideReference, noise: Noise | None = None
) -> NDArray[np.float64]:
    """Find the shift that brings each frame onto a reference; see `correlate_frames`.

    In a wide window, the maximum of the correlation is looked for in the binned frames, and
    then in the whole pixels of the box around there.
    """
    if isinstance(reference, Reference):
        return correlate_frames(block, reference, noise)
    level = background(block)
    rough = binned(block, reference.bins)
    light = np.nan_to_num(rough - level[:, None, None], copy=False)
    start, _ = peaks(correlation_of(light, reference.coarse))
    coarse = np.rint(start).astype(np.intp) + np.array(reference.coarse.low)
    moved = coarse * reference.bins
    piece = cut(block, np.array(reference.corner) - moved, reference.shape)
    out = correlate_over(piece, level, reference.fine, noise)
    out[:, :2] += moved
    out[is_empty(block)] = np.nan
    return out


class RegisterCorrelation(Register, kind="correlation"):
    """The maximum of the cross-correlation with a reference frame; for the Sun, Moon, planets.

    Nothing wraps around. In windows of over 256 px only light that stands out of the noise counts.
    """

    takes_scenes: ClassVar[bool] = True
    reference_frame: str = param(
        "best",
        "The frame to compare with: best, first, mean, or a frame's number.",
        label="reference",
        option="--reference",
        hand_made=True,
    )

    @field_validator("reference_frame")
    @classmethod
    def _known(cls, which: str) -> str:
        check_reference_frame(which)
        return which

    def track(self, start: Tracking) -> Tracked:
        """Return where the reference's brightest point is in each frame."""
        smooth, noise, which = start.smooth, start.noise, self.reference_frame
        alone = start.found if which.isdecimal() else start.places.alone(start.found)
        image = reference_image(start.moved, start.focus, alone, which)
        point = track_brightest(image, smooth)[0, :2]
        wanted = reference_for(image, smooth, noise)
        made = start.over_blocks(
            lambda block: correlate_with(block, wanted, noise), "correlating with the reference"
        )
        return Tracked(point - made[:, :2], made[:, 2:])
