"""The graph of the ranking: quality over frame number, sorted, and what a stack is worth."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from matplotlib import rc_context
from numpy.typing import NDArray

from napari_lucky.docks.canvas import BETWEEN, RIGHT, SMALL, PiecewiseCanvas
from napari_lucky.plots.panels import (
    draw_keep_curve,
    draw_quality,
    draw_sorted,
    move_cut,
    move_keep_cut,
    recolour_kept,
)
from napari_lucky.ranking.keep_curve import KeepCurve


def rc_colours(background: str, ink: str) -> dict[str, Any]:
    """Return matplotlib's settings for drawing with an ink on a background."""
    inked = ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color")
    grounds = ("axes.facecolor", "legend.facecolor")
    return {
        **dict.fromkeys(grounds, background),
        **dict.fromkeys((*inked, "legend.edgecolor"), ink),
        "font.size": SMALL,
    }


HEIGHT = 340
"""Pixels that two graphs need."""
FOR_NONE, FOR_CURVE = (RIGHT, BETWEEN), (0.6, 0.92)
"""Inches to the right of axes and between them; a curve has an axis there, and a title more."""


class QualityGraph(PiecewiseCanvas):
    """Quality of every frame, above over frame number, below sorted with the cut.

    With a keep-fraction curve, that stands under them, and the cut can be dragged in either.

    Parameters
    ----------
    on_frame, on_toggle : callable
        Called with a frame's number when its point is clicked; with Ctrl, or the right button,
        it is `on_toggle`.
    on_cut : callable
        Called with the number of frames before the line, and whether it was let go, as it is
        dragged.
    """

    def __init__(
        self,
        on_frame: Callable[[int], None],
        on_toggle: Callable[[int], None],
        on_cut: Callable[[int, bool], None],
    ) -> None:
        super().__init__(4.4)
        self._on_frame, self._on_toggle, self._on_cut = on_frame, on_toggle, on_cut
        self._quality = np.array([])
        self._kept = self._by_hand = np.array([], bool)
        self.set_colours("white", "black")
        self._dragging, self._count = False, 1
        self._points: Any = None
        self._cut: Any = None
        self.curve: KeepCurve | None = None
        self._under: Any = None  # axes of the curve
        self.setMinimumHeight(HEIGHT)
        self.mpl_connect("pick_event", self._picked)
        self.mpl_connect("button_press_event", self._pressed)
        self.mpl_connect("motion_notify_event", self._moved)
        self.mpl_connect("button_release_event", self._released)

    def show_quality(
        self,
        quality: NDArray[np.float64],
        count: int,
        kept: NDArray[np.bool_],
        by_hand: NDArray[np.bool_],
        numbers: NDArray[np.intp],
    ) -> None:
        """Draw the quality of frames, the cut after `count`, and which are kept, some by hand.

        Frames are named by their `numbers` in the run, and passed on by their places.
        """
        self._numbers = numbers
        self._quality, self._count, self._kept, self._by_hand = quality, count, kept, by_hand
        self.show_curve(None)

    def show_curve(self, curve: KeepCurve | None) -> None:
        """Draw a keep-fraction curve of these frames under the rest, or none."""
        self.curve = curve
        self.right, self.between = FOR_NONE if curve is None else FOR_CURVE
        self.setMinimumHeight(HEIGHT if curve is None else HEIGHT * 3 // 2)
        self._draw()

    def _draw(self) -> None:
        for axes in self.figure.axes:  # cleared in place, a shared log axis would warn
            self.figure.delaxes(axes)
        self.figure.clear()
        with rc_context(self._colours):
            rows = 2 if self.curve is None else 3
            self._over_frame, self._sorted, *under = self.figure.subplots(rows, 1)
            self._points = draw_quality(
                self._over_frame, self._numbers, self._quality, self._kept, self._by_hand
            )
            self._over_frame.set_title("Ctrl+click: keep or drop", fontsize="small")
            self._cut = draw_sorted(self._sorted, self._quality, self._count)
            self._sorted.set_title("drag the line to move the cut", fontsize="small")
            if self.curve is not None:
                self._under = under[0]
                self._right, self._line = draw_keep_curve(self._under, self.curve, self._count)
        self.shrink_numbers()
        self.draw_idle()

    def set_colours(self, background: str, ink: str) -> None:
        """Draw in other colours from now on."""
        self._colours = rc_colours(background, ink)
        self.figure.set_facecolor(background)
        if len(self._quality):
            self._draw()
        self.draw_idle()

    def show_cut(self, count: int, kept: NDArray[np.bool_], by_hand: NDArray[np.bool_]) -> None:
        """Move the line and recolour the points."""
        if self._cut is not None:
            self._count, self._kept, self._by_hand = count, kept, by_hand
            move_cut(self._cut, count)
            if self.curve is not None:
                move_keep_cut(self._under, self._line, self.curve, count)
            recolour_kept(self._points, kept, by_hand)
            self.draw_idle()

    def _picked(self, event: Any) -> None:
        mouse = event.mouseevent
        if event.artist is not self._points or mouse.button not in (1, 3):
            return
        frame = self._nearest(event.ind, mouse)
        toggles = mouse.button == 3 or "ctrl" in mouse.modifiers
        (self._on_toggle if toggles else self._on_frame)(frame)

    def _nearest(self, frames: NDArray[np.intp], mouse: Any) -> int:
        """Return which of some frames' points is nearest to the mouse."""
        places = np.column_stack([self._numbers[frames], self._quality[frames]])
        pixels = self._over_frame.transData.transform(places)
        return int(frames[np.argmin(np.hypot(*(pixels - [mouse.x, mouse.y]).T))])

    def _pressed(self, event: Any) -> None:
        self._dragging = self._count_at(event) is not None
        self._moved(event)

    def _moved(self, event: Any) -> None:
        if self._dragging and (count := self._count_at(event)) is not None:
            self._count = count
            self._on_cut(count, False)

    def _released(self, event: Any) -> None:
        if self._dragging:
            self._dragging = False
            self._on_cut(self._count, True)

    def _count_at(self, event: Any) -> int | None:
        """Return the number of frames before the mouse, where there is a cut to be dragged."""
        usable = int(np.isfinite(self._quality).sum())
        if self._cut is None or event.inaxes is None:
            return None
        if event.inaxes is self._sorted:
            return int(np.clip(np.floor(event.xdata), 1, usable))
        if self.curve is not None and event.inaxes in (self._under, self._right):
            return int(np.clip(np.floor(event.xdata * usable + 0.5), 1, usable))
        return None
