"""A ranking that the ranking dock shows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_lucky.docks.choices import base_name
from napari_lucky.execution.job import Job
from napari_lucky.fits.frame_table import FrameTable
from napari_lucky.frames.frames import Subset
from napari_lucky.frames.history import History, frame_places
from napari_lucky.frames.window import Window
from napari_lucky.optics.diffraction import Diffraction
from napari_lucky.pipeline.measure import frame_notes, reasons_unranked
from napari_lucky.ranking.keep_curve import KeepCurve, keep_curve
from napari_lucky.ranking.selection import select_record
from napari_lucky.ranking.step import Rank, Select
from napari_lucky.stacking.stack_header import moved_header
from napari_lucky.viewer.from_layers import frames_of, history_of, table_of
from napari_lucky.viewer.to_layers import LayerTuple, image_tuple


@dataclass(frozen=True, eq=False)
class Ranked:
    """A ranking that was done: of which layers, how, and what came out."""

    layer: Any
    shifts: Any
    focus: Window
    quality: NDArray[np.float64]
    by: Rank
    history: History
    numbers: NDArray[np.intp]  # of the frames in the run, of which some may have been chosen

    def table(self) -> FrameTable:
        """Return shift, quality and choice of each frame, as the shifts have them now."""
        features, metadata = self.shifts.features, self.shifts.metadata
        return table_of(features, metadata, len(self.quality), history_of(self.layer))

    def doubts(self, found: NDArray[np.bool_]) -> list[str]:
        """Return a sentence on the frames with a star that have no quality."""
        unranked = reasons_unranked(found, self.quality, self.by.metric)
        return frame_notes(self.numbers, unranked, np.zeros(len(unranked), bool), np.inf)

    def curve_of_stacks(self, diffraction: Diffraction | None) -> Callable[[Job], KeepCurve]:
        """Return what measures the stack of every number of frames."""
        given = frames_of(self.layer), self.table().shifts, self.quality, self.focus
        return lambda job: keep_curve(*given, diffraction=diffraction, job=job)

    def is_current(self) -> bool:
        """Return whether the quality in the shifts' features is still the one of this ranking."""
        place, inside = self.places()
        features = self.shifts.features.get("quality", np.nan * place)
        quality = np.asarray(features, np.float64)
        return np.array_equal(quality[inside], self.quality[place[inside]], equal_nan=True)

    def write(self, kept: NDArray[np.intp], selection: Select) -> History:
        """Write quality and choice into the shifts' features; return the steps of both."""
        shifts = self.shifts
        features = shifts.features.copy()
        place, inside = self.places()
        features["quality"] = np.where(inside, self.quality[place], np.nan)
        features["selected"] = np.isin(place, kept) & inside
        shifts.features = features
        steps = (self.by.record(), select_record(selection, len(kept), len(self.quality)))
        before = tuple(s for s in history_of(shifts) if s.name not in ("rank", "select"))
        shifts.metadata = {**shifts.metadata, "history": (*before, *steps)}
        return steps

    def kept_tuple(self, best: Subset, history: History) -> LayerTuple:
        """Return the layer of the kept frames, best first."""
        layer = self.layer
        return image_tuple(
            best,
            f"{base_name(layer)} kept, best first",
            header=moved_header(
                layer.metadata.get("header"), frames_of(layer), self.table().shifts
            ),
            history=history,
            like=layer,
            contrast_limits=layer.contrast_limits,
            visible=False,
        )

    def places(self) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
        """Return the place of each arrow's frame in the layer, 0 if none, and which have one."""
        frame = np.asarray(self.shifts.features["frame"], np.intp)
        place = frame_places(frame, history_of(self.layer))
        inside = (place >= 0) & (place < len(self.quality))
        return np.where(inside, place, 0), inside
