"""Dock 3, frame ranking: how lucky each frame was, and where the cut is."""

from __future__ import annotations

from typing import Any

import napari
import numpy as np
from magicgui.widgets import ComboBox, FloatSpinBox, SpinBox
from napari.utils.theme import get_theme
from numpy.typing import NDArray

from .._from_layers import (
    chain_history,
    frames_of,
    history_of,
    recorded_windows_of,
    table_of,
    windows_of,
)
from .._layers import image_tuple
from ..blocks import Progress
from ..errors import LuckyError
from ..frames import LazyArray, Subset
from ..ranking import METRICS, RANK_SMOOTH, rank, select
from ..shifting import Shifted
from ..steps import frame_places, rank_step, shift_step
from .choices import base_name, run_combo, shifts_combo, smooth_box, windows_combo
from .dock import Dock
from .graph import QualityGraph

FRACTION, COUNT = "a fraction", "a count"


class RankingDock(Dock):
    """Measure the quality of each frame, show it, and keep the best frames."""

    def __init__(self, napari_viewer: napari.Viewer) -> None:
        self.image = run_combo(
            napari_viewer, "The frames that were registered (not the shifted layer), ADU"
        )
        self.registration = shifts_combo(
            napari_viewer,
            "Vectors layer from Speckle registration; it gets the quality as feature",
        )
        self.windows = windows_combo(
            napari_viewer,
            "Shapes layer with another window than registered with: its first rectangle holds "
            "the focused star; none: as registered",
        )
        self.metric = ComboBox(
            name="metric",
            label="metric",
            choices=list(METRICS),
            tooltip="peak: above background (ADU); peak-over-flux: a Strehl proxy; sum-of-squares: "
            "sum I² / (sum I)²; gradient: energy of the edges. Higher is better",
        )
        self.smooth = smooth_box(RANK_SMOOTH, "before the metric, in pixels")
        self.keep_as = ComboBox(
            name="keep_as", label="keep", choices=[FRACTION, COUNT], tooltip="How the cut is given"
        )
        self.fraction = FloatSpinBox(
            name="fraction",
            label="fraction (of 1)",
            value=0.1,
            min=0.0001,
            max=1,
            step=0.01,
            tooltip="Fraction of the frames to keep, such as 0.1 for one in ten",
        )
        self.count = SpinBox(
            name="count",
            label="count (frames)",
            value=10,
            min=1,
            max=10_000_000,
            tooltip="Number of frames to keep",
        )
        super().__init__(
            napari_viewer,
            "Measure each frame's quality in the focused star's window and keep the best. Click "
            "a point to see its frame.",
            [
                self.image,
                self.registration,
                self.windows,
                self.metric,
                self.smooth,
                self.keep_as,
                self.fraction,
                self.count,
            ],
        )
        self.graph = QualityGraph(self._show_frame, self._cut_dragged)
        self._follow_theme()
        napari_viewer.events.theme.connect(self._follow_theme)
        self.column.addWidget(self.graph)
        self.fraction.native.setDecimals(5)
        self._ranked: tuple[Any, Any, NDArray[np.float64]] | None = None
        self._kept_layer: Any = None
        for widget in (self.keep_as, self.fraction, self.count):
            widget.changed.connect(self._keep_changed)
        self._show_keep()

    @property
    def keep(self) -> float | int:
        """What to keep: a float is a fraction, an int a count."""
        by_fraction = self.keep_as.value == FRACTION
        return float(self.fraction.value) if by_fraction else int(self.count.value)

    def run(self) -> None:
        """Measure the quality, draw it, and add the layer of kept frames."""
        layer, shifts = self.image.value, self.registration.value
        if layer is None or shifts is None:
            raise LuckyError("Ranking needs a run and its shifts: do Speckle registration first.")
        frames = frames_of(layer)
        history = tuple(s for s in chain_history(layer, shifts) if s.name != "rank")
        table = table_of(shifts.features, shifts.metadata, frames.shape[0], history_of(layer))
        focus, _ = recorded_windows_of(shifts)
        if self.windows.value is not None:
            focus = windows_of(self.windows.value, layer)[0]
        if focus is None:
            raise LuckyError(
                "These shifts do not say where the star's window is; choose a Shapes layer with "
                "a rectangle around the focused star."
            )
        metric, smooth = self.metric.value, self.smooth.value

        def work(progress: Progress) -> NDArray[np.float64]:
            quality = rank(frames, focus, metric, smooth, progress=progress)
            quality[~np.isfinite(table.shifts).all(axis=1)] = np.nan
            return quality

        def done(quality: NDArray[np.float64]) -> None:
            if shifts not in self.viewer.layers:
                raise LuckyError(f"“{shifts.name}” was removed meanwhile; nothing was ranked.")
            kept = select(quality, self.keep)
            self._ranked = (layer, shifts, quality)
            self._kept_layer = None
            self._history = history
            self._metric, self._smooth = metric, smooth
            self.graph.show_quality(np.arange(len(quality)), quality, len(kept))
            self._apply(kept)

        self.start(work, done)

    def _apply(self, kept: NDArray[np.intp]) -> None:
        """Write quality and choice into the shifts' features and show the kept frames."""
        assert self._ranked is not None
        layer, shifts, quality = self._ranked
        features = shifts.features.copy()
        place = frame_places(np.asarray(features["frame"], np.intp), history_of(layer))
        inside = (place >= 0) & (place < len(quality))
        features["quality"] = np.where(inside, quality[np.where(inside, place, 0)], np.nan)
        features["selected"] = np.isin(place, kept)
        shifts.features = features
        step = rank_step(self._metric, self._smooth, self.keep, len(kept))
        before = tuple(done for done in history_of(shifts) if done.name != "rank")
        shifts.metadata = {**shifts.metadata, "history": (*before, step)}
        table = table_of(shifts.features, shifts.metadata, len(quality), history_of(layer))
        best = Subset(Shifted(frames_of(layer), table.shifts), kept)
        history = (*self._history, shift_step(True), step)
        if self._kept_layer is not None and self._kept_layer in self.viewer.layers:
            self._kept_layer.data = LazyArray(best)
            self._kept_layer.metadata = {**self._kept_layer.metadata, "history": history}
            return
        self._kept_layer = self.add(
            image_tuple(
                best,
                f"{base_name(layer)} kept, best first",
                header=layer.metadata.get("header"),
                history=history,
                like=layer,
                contrast_limits=layer.contrast_limits,
                visible=False,
            )
        )

    def _follow_theme(self, *_: Any) -> None:
        theme = get_theme(self.viewer.theme)
        self.graph.set_colours(theme.background.as_hex(), theme.text.as_hex())

    def _show_keep(self) -> None:
        self.fraction.visible = self.keep_as.value == FRACTION
        self.count.visible = self.keep_as.value == COUNT

    def _keep_changed(self, *_: Any) -> None:
        self._show_keep()
        if self._ranked is None or self._ranked[1] not in self.viewer.layers:
            return
        _, _, quality = self._ranked
        usable = int(np.isfinite(quality).sum())
        kept = select(quality, min(self.keep, usable) if self.keep_as.value == COUNT else self.keep)
        self.graph.show_cut(len(kept))
        self._apply(kept)

    def _cut_dragged(self, count: int, let_go: bool) -> None:
        if not let_go or self._ranked is None:
            return
        _, _, quality = self._ranked
        if self.keep_as.value == COUNT:
            self.count.value = count
        else:
            self.fraction.value = count / int(np.isfinite(quality).sum())

    def _show_frame(self, frame: int) -> None:
        if self._ranked is not None:
            layer = self._ranked[0]
            self.viewer.dims.set_current_step(self.viewer.dims.ndim - layer.ndim, frame)
