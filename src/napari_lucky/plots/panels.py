"""Pictures of a job, drawn on given matplotlib axes, for the dock and the report alike."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_lucky.ranking.keep_curve import KeepCurve

KEPT, LEFT, BY_HAND = "#d95f02", "#7a8ba3", "#00c853"


def draw_quality(
    axes: Any,
    frame: NDArray[np.intp],
    quality: NDArray[np.float64],
    kept: NDArray[np.bool_],
    by_hand: NDArray[np.bool_] | bool = False,
) -> Any:
    """Draw quality over frame number, kept frames marked, and ringed those changed by hand.

    Return the points, to be picked.
    """
    axes.plot(frame, quality, color=LEFT, linewidth=0.6, alpha=0.7)
    points = axes.scatter(frame, quality, s=14, picker=5)
    recolour_kept(points, kept, by_hand)
    axes.set_xlabel("frame")
    axes.set_ylabel("quality")
    return points


def draw_sorted(axes: Any, quality: NDArray[np.float64], count: int) -> tuple[Any, Any]:
    """Draw sorted quality with a line at the cut; return line and shade, for `move_cut`."""
    ranked = np.sort(quality[np.isfinite(quality)])[::-1]
    axes.plot(np.arange(1, len(ranked) + 1), ranked, color=LEFT, linewidth=1.4)
    axes.set_xlabel("frames, best first")
    axes.set_ylabel("quality")
    shade = axes.axvspan(0.5, count + 0.5, color=KEPT, alpha=0.25, linewidth=0)
    return axes.axvline(count + 0.5, color=KEPT, linewidth=2), shade


def move_cut(cut: tuple[Any, Any], count: int) -> None:
    """Move the cut that `draw_sorted` drew."""
    line, shade = cut
    line.set_xdata([count + 0.5] * 2)
    shade.set_width(count)


def draw_keep_curve(axes: Any, curve: KeepCurve, count: int) -> tuple[Any, Any]:
    """Draw how sharp and how noisy the stack is over the fraction kept, with a line at the cut.

    Return the axes of the noise, to the right, and the line, for `move_keep_cut`.
    """
    name, sharpness = curve.sharpness
    axes.plot(curve.fraction, sharpness, color=KEPT, linewidth=1.4)
    axes.set_xscale("log")
    axes.set_xlabel("fraction kept")
    axes.set_ylabel(name, color=KEPT)
    right = axes.twinx()
    right.plot(curve.fraction, curve.noise, color=LEFT, linewidth=1.4)
    right.set_ylabel("noise (ADU)", color=LEFT)
    line = axes.axvline(curve.fraction[count - 1], color=KEPT, linewidth=2)
    axes.set_title(curve.describe(count), fontsize="small")
    return right, line


def move_keep_cut(axes: Any, line: Any, curve: KeepCurve, count: int) -> None:
    """Move the line that `draw_keep_curve` drew, and write what is there."""
    line.set_xdata([curve.fraction[count - 1]] * 2)
    axes.set_title(curve.describe(count), fontsize="small")


def draw_shifts(axes: Any, shifts: NDArray[np.float64], kept: NDArray[np.bool_]) -> None:
    """Draw each frame's shift as a point, kept ones marked; y down, as in the image."""
    axes.scatter(shifts[~kept, 1], shifts[~kept, 0], s=8, color=LEFT, label="left out")
    axes.scatter(shifts[kept, 1], shifts[kept, 0], s=12, color=KEPT, label="kept")
    axes.set_xlabel("dx (px)")
    axes.set_ylabel("dy (px)")
    axes.set_aspect("equal", adjustable="datalim")
    axes.invert_yaxis()
    axes.legend(loc="upper right", fontsize="small")


def draw_image(axes: Any, image: NDArray[np.float32], title: str, high: float) -> None:
    """Draw an image from its low background to `high` ADU."""
    low = float(np.nanpercentile(image, 5)) if np.isfinite(image).any() else 0.0
    axes.set_facecolor("black")  # seen where pixels are masked
    axes.imshow(image, cmap="inferno", vmin=low, vmax=max(high, low + 1e-6), origin="upper")
    axes.set_title(title, fontsize="medium")
    axes.set_xticks([])
    axes.set_yticks([])


def recolour_kept(
    points: Any, kept: NDArray[np.bool_], by_hand: NDArray[np.bool_] | bool = False
) -> None:
    """Mark other points as kept, or changed by hand, on what `draw_quality` drew."""
    colour = np.where(kept, KEPT, LEFT)
    points.set_facecolor(colour)
    points.set_edgecolor(np.where(by_hand, BY_HAND, colour))
    points.set_linewidth(np.atleast_1d(np.where(by_hand, 1.6, 1.0)))
    points.set_sizes(np.atleast_1d(np.where(by_hand, 60.0, 14.0)))
