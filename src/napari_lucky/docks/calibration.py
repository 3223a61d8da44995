"""Dock 1, flat calibration: dark, flat and bad pixels out of a run."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import napari
import numpy as np
from magicgui.widgets import ComboBox, FloatSpinBox, LineEdit, SpinBox
from napari.utils.theme import get_theme
from numpy.typing import NDArray

from napari_lucky.calibration.bad_pixels import HOT_SIGMA
from napari_lucky.calibration.calibrate import (
    Calibrated,
    calibrate,
    calibrate_step,
    saturation_level,
)
from napari_lucky.calibration.flat_field import FlatField, flat_steps
from napari_lucky.calibration.masters import DEAD_BELOW
from napari_lucky.docks.choices import LayerCombo, base_name, is_image, is_run
from napari_lucky.docks.dock import Dock
from napari_lucky.docks.flat_graph import FlatGraph
from napari_lucky.docks.path_edit import PathEdit
from napari_lucky.errors import LuckyError
from napari_lucky.execution.blocks import Progress
from napari_lucky.fits.run import open_run
from napari_lucky.frames.frames import ArrayFrames, Frames, Subset, frames_in, parse_range
from napari_lucky.frames.history import History, Step, range_step
from napari_lucky.viewer.from_layers import GIVEN, frames_of, history_of
from napari_lucky.viewer.messages import show_info
from napari_lucky.viewer.shown_array import ShownArray, read_ahead
from napari_lucky.viewer.to_layers import contrast_of, image_tuple

Images = dict[str, NDArray[np.float32]]
Limits = dict[str, tuple[float, float]]
Made = tuple[Calibrated, Images, ShownArray, FlatField | None, Step, Limits]
"""The calibrated run, its masters, what its layer holds, the flat, the record, contrast limits."""


class CalibrationDock(Dock):
    """Make masters from dark and flat frames, and show the run calibrated as it is looked at."""

    def __init__(self, napari_viewer: napari.Viewer) -> None:
        self.image = LayerCombo(
            napari_viewer,
            is_run,
            name="image",
            label="run",
            tooltip="Raw (frame, y, x), ADU",
        )
        self.frames = LineEdit(
            name="frames",
            label="frames",
            tooltip="START:STOP or START:STOP:STEP, frames from 0: dial in parameters on a few, "
            "then empty it and run on all",
        )
        self.dark, self.dark_path = _source(napari_viewer, "dark")
        self.flat, self.flat_path = _source(napari_viewer, "flat")
        self.combine = ComboBox(
            name="combine",
            label="combine",
            choices=["mean", "median"],
            tooltip="How several dark or flat frames become one master",
        )
        self.clip_sigma = FloatSpinBox(
            name="clip_sigma",
            label="clip (sigma)",
            value=4.0,
            min=0,
            max=100,
            step=0.5,
            tooltip="Values this many standard deviations off a pixel's median are left out of "
            "its master; 0 for none",
        )
        self.hot_sigma = FloatSpinBox(
            name="hot_sigma",
            label="hot (sigma)",
            value=HOT_SIGMA,
            min=1,
            max=1000,
            step=1,
            tooltip="Pixels of the dark this many standard deviations over their neighbours are "
            "masked; without a dark, such lone pixels of the run itself",
        )
        self.dead_below = FloatSpinBox(
            name="dead_below",
            label="dead below (of 1)",
            value=DEAD_BELOW,
            min=0,
            max=0.99,
            step=0.05,
            tooltip="Pixels with less than this fraction of the flat's median response are masked",
        )
        self.saturation = SpinBox(
            name="saturation",
            label="saturation (ADU)",
            value=0,
            min=0,
            max=2**31 - 1,
            tooltip="Raw values of this many ADU and more are masked, such as 4095 for 12 bits; "
            "0: from the header's SATURATE, or the greatest number the file can hold",
        )
        super().__init__(
            napari_viewer,
            "Subtract the dark, divide by the flat, mask bad pixels. The result is computed "
            "frame by frame as it is looked at.",
            [
                self.image,
                self.frames,
                self.dark,
                self.dark_path,
                self.flat,
                self.flat_path,
                self.combine,
                self.clip_sigma,
                self.hot_sigma,
                self.dead_below,
                self.saturation,
            ],
        )
        self.graph = FlatGraph()
        self.column.addWidget(self.graph)
        self._follow_theme()
        napari_viewer.events.theme.connect(self._follow_theme)

    def _follow_theme(self, *_: Any) -> None:
        theme = get_theme(self.viewer.theme)
        self.graph.set_colours(theme.background.as_hex(), theme.text.as_hex())

    def run(self) -> None:
        """Make the masters and add the calibrated layer."""
        layer = self.image.value
        if layer is None:
            raise LuckyError("Open a run first: a folder of FITS frames, or a cube.")
        frames, before = frames_of(layer), history_of(layer)
        if self.frames.value.strip():
            chosen = frames_in(frames.shape[0], parse_range(self.frames.value))
            frames, before = Subset(frames, chosen), (*before, range_step(chosen))
        dark, dark_name = _chosen(self.dark, self.dark_path)
        flat, flat_name = _chosen(self.flat, self.flat_path)
        of_layer = flat is not None and not isinstance(flat, str)
        flat_history = history_of(self.flat.value) if of_layer else None
        header = layer.metadata.get("header")
        parameters: dict[str, Any] = {
            "combine": self.combine.value,
            "clip_sigma": self.clip_sigma.value,
            "hot_sigma": self.hot_sigma.value,
            "dead_below": self.dead_below.value,
        }
        names = {"dark": dark_name, "flat": flat_name}
        saturation = self.saturation.value or saturation_level(header, frames.dtype)
        shown = self.frame_shown(frames.shape[0])

        def work(progress: Progress) -> Made:
            calibrated = calibrate(
                frames,
                _opened(dark),
                _opened(flat),
                saturation=saturation,
                history=before,
                flat_history=flat_history,
                progress=progress,
                **parameters,
            )
            masters = {
                name: np.asarray(master)
                for name in ("dark", "light", "flat")
                if (master := getattr(calibrated, name)) is not None
            }
            contrast = {name: contrast_of(ArrayFrames(image)) for name, image in masters.items()}
            contrast["calibrated"] = contrast_of(calibrated)
            field = None
            if "flat" in masters:
                field = FlatField(masters["flat"], masters.get("light"))
                _ = field.level, field.rms, field.dead  # kept from now on: it takes a while
            step = calibrate_step(calibrated, parameters, names)  # with checksums
            return calibrated, masters, read_ahead(calibrated, shown), field, step, contrast

        def done(result: Made) -> Iterator[None]:
            calibrated, masters, data, field, step, contrast = result
            run = base_name(layer)
            shared: dict[str, Any] = {"history": (step,), "like": layer, "visible": False}
            if calibrated.bad is not None:
                bad = np.asarray(calibrated.bad, np.uint8)
                options: dict[str, Any] = {"colormap": "red", "contrast_limits": (0, 1)}
                self.add(image_tuple(bad, f"{run} bad pixels", **shared, **options))
                yield
            steps: History = ()
            if field is not None:
                steps = flat_steps(field, parameters, step.inputs.get("dark"))
            for name, title, made in (
                ("dark", "master dark", ()),
                ("light", "master flat before normalisation", steps[:-1]),
                ("flat", "master flat", steps),
            ):
                if name in masters:
                    own = () if name == "dark" else flat_history or ()
                    limits = contrast[name]
                    how = {**shared, "history": (*own, step, *made)}
                    self.add(
                        image_tuple(masters[name], f"{run} {title}", contrast_limits=limits, **how)
                    )
                    yield
            self.graph.show_flat(field)
            yield
            self.add(
                image_tuple(
                    data,
                    f"{run} calibrated",
                    header=header,
                    history=(*before, step),
                    like=layer,
                    contrast_limits=contrast["calibrated"],
                )
            )
            yield
            layer.visible = False
            self.show_frame_of(calibrated.shape[0])
            if calibrated.masked:
                masked = f"Masked {calibrated.masked} hot or dead pixels of the sensor."
                show_info(masked)
                self.note(masked)

        self.start(work, done)


def _source(viewer: napari.Viewer, name: str) -> tuple[LayerCombo, PathEdit]:
    combo = LayerCombo(
        viewer,
        is_image,
        lambda layer: (
            layer.name.lower().rstrip("0123456789 []").endswith(name) and "master" not in layer.name
        ),
        name=name,
        label=f"{name} layer",
        nullable=True,
        tooltip=f"Layer with the {name}, an image or a run of frames, ADU; or give a path below",
    )
    edit = PathEdit(
        f"{name}_path",
        "or path",
        f"FITS file, or folder of FITS frames, with the {name}, ADU",
    )
    return combo, edit


def _chosen(combo: LayerCombo, edit: PathEdit) -> tuple[Frames | str | None, str | None]:
    if edit.path is not None:
        GIVEN.add(edit.path)
        return edit.path, edit.path.replace("\\", "/").rstrip("/").rsplit("/", 1)[-1]
    if combo.value is not None:
        return frames_of(combo.value), combo.value.name
    return None, None


def _opened(source: Frames | str | None) -> Frames | None:
    return open_run(source) if isinstance(source, str) else source
