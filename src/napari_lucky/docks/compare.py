"""The dock Compare: layers side by side, profiles through their peaks, a surface in 3-D."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import napari
import numpy as np
from magicgui.widgets import CheckBox, ComboBox, FloatSpinBox, PushButton, SpinBox
from napari.layers import Layer
from qtpy.QtCore import QEvent, QTimer
from qtpy.QtWidgets import QFileDialog

from napari_lucky.docks.choices import has_step, is_image
from napari_lucky.docks.comparison import ComparisonCanvas
from napari_lucky.docks.dock import Dock
from napari_lucky.docks.larger import Graph
from napari_lucky.docks.layer_checks import LayerChecks
from napari_lucky.docks.surface_view import SurfaceView
from napari_lucky.docks.theme import follow_theme
from napari_lucky.errors import LuckyError
from napari_lucky.execution.job import Job
from napari_lucky.frames.window import Window
from napari_lucky.imaging.profiles import PROFILES, cutout, peak_pixel
from napari_lucky.imaging.star_image import MOST_SMOOTH
from napari_lucky.plots.comparison import FIGURES, Compared, Look
from napari_lucky.psf.surface_mesh import SurfaceMesh, surface_of
from napari_lucky.stacking.mean import Stack, stack_mean
from napari_lucky.stacking.methods import StackMean, stack_record
from napari_lucky.stacking.stack_header import timed_header
from napari_lucky.text import counted
from napari_lucky.viewer.from_layers import frames_of, history_of, image_at, inputs_of
from napari_lucky.viewer.to_layers import image_tuple, surface_tuple

WAIT = 50
"""Milliseconds in which changes are gathered before the layers are drawn again."""
AT_FIRST = 4
"""Layers ticked at most before the user ticks any."""


class CompareDock(Dock):
    """Show layers side by side with profiles through their peaks; it changes none of them."""

    def __init__(self, napari_viewer: napari.Viewer) -> None:
        self.profile = ComboBox(
            name="profile",
            label="profile",
            choices=list(PROFILES),
            tooltip="Row or column of pixels through the peak, or the mean of rings one pixel "
            "wide around it",
        )
        self.side = SpinBox(
            name="side",
            label="side (px)",
            value=128,
            min=8,
            max=512,
            tooltip="Side of the squares cut around the peaks, and of the surface, in pixels",
        )
        self.smooth = FloatSpinBox(
            name="smooth",
            label="smooth (px)",
            value=2.0,
            min=0,
            max=MOST_SMOOTH,
            step=0.5,
            tooltip="Standard deviation of the Gaussian smoothing used to find the peak; the "
            "picture is not smoothed",
        )
        self.same = CheckBox(
            name="same",
            text="same contrast",
            tooltip="Same contrast limits for all images; off: each has its own",
        )
        self.log = CheckBox(
            name="log", text="log", tooltip="Intensities of the profile on a logarithmic scale"
        )
        self.normalise = CheckBox(
            name="normalise",
            text="normalise",
            tooltip="Divide each profile by its greatest value, in the drawing only",
        )
        self.surface_button = PushButton(
            text="3-D surface",
            tooltip="Show the selected layer, if it is ticked, otherwise the first ticked one, as "
            "a surface around its peak",
        )
        self.save_button = PushButton(
            text="Save figure…", tooltip="Write the figure as PNG, PDF or SVG, black on white"
        )
        super().__init__(
            napari_viewer,
            "Tick images and runs to see them side by side, each around its peak. Of a run you see "
            "the current frame. The wheel zooms, the mouse moves, a double click resets.",
            [
                self.profile,
                self.side,
                self.smooth,
                self.same,
                self.log,
                self.normalise,
                self.surface_button,
                self.save_button,
            ],
        )
        self.run_button.text = "Average runs"
        self.run_button.tooltip = "Add the mean of all frames of each ticked run as a layer"
        self.layers = LayerChecks(napari_viewer, is_image, _likely, self._layers_changed)
        self.layers.setToolTip("Layers that are compared")
        self.layers.setFixedHeight(100)
        self.canvas = ComparisonCanvas(self._schedule)
        self.column.insertWidget(1, self.layers)
        self.column.addWidget(Graph(self.canvas, "Compare"))
        self._timer = QTimer(self, singleShot=True, interval=WAIT)
        self._timer.timeout.connect(self._draw)
        self._followed: list[Layer] = []
        self._closed = False
        self._surface_view = SurfaceView(napari_viewer)
        for widget in self.values.remembered:
            widget.changed.connect(self._schedule)
        self.surface_button.changed.connect(lambda: self.attempt(self.show_surface))
        self.save_button.changed.connect(lambda: self.attempt(self.save_figure))
        napari_viewer.dims.events.point.connect(self._schedule)
        self._leave_theme = follow_theme(napari_viewer, self.canvas.set_colours)
        self.layers.reset_choices()

    def event(self, event: QEvent) -> bool:
        """Follow the viewer no longer when the dock is closed."""
        if event.type() == QEvent.Type.ParentChange and self.parent() is None:
            self._closed = True
            self._timer.stop()
            self._follow([])
            self._leave_theme()
            self.viewer.dims.events.point.disconnect(self._schedule)
            self._surface_view.close()
        return super().event(event)

    def showEvent(self, event: Any) -> None:
        """Draw what was not drawn while nobody saw it."""
        super().showEvent(event)
        self._schedule()

    def reset_choices(self, *_: Any) -> None:
        """Take up the viewer's layers again; napari calls it when they change, closed or not."""
        if not self._closed:
            self.layers.reset_choices()

    def _layers_changed(self) -> None:
        self._follow(self.layers.chosen)
        self._schedule()

    def _follow(self, layers: list[Layer]) -> None:
        """Draw again when the data of these layers change, and of no others."""
        for layer in set(self._followed) - set(layers):
            layer.events.data.disconnect(self._schedule)
            layer.events.set_data.disconnect(self._schedule)
        for layer in set(layers) - set(self._followed):
            layer.events.data.connect(self._schedule)
            layer.events.set_data.connect(self._schedule)
        self._followed = layers

    def _schedule(self, *_: Any) -> None:
        if not self._timer.isActive():
            self._timer.start()

    def _draw(self) -> None:
        if self.isVisible():
            look = Look(
                self.profile.value,
                self.log.value,
                self.normalise.value,
                self.same.value,
                self.side.value,
            )
            shown = [self._compared(layer, look) for layer in self.layers.chosen]
            self.canvas.show_layers(shown, look)

    def _compared(self, layer: Layer, look: Look) -> Compared:
        try:
            image, frame = image_at(layer, self.viewer.dims.point)
            peak = peak_pixel(image, self.smooth.value)
        except (LuckyError, OSError, MemoryError) as error:
            return Compared(layer.name, note=str(error))  # as a sentence each frame it would pester
        cut = cutout(image, peak, look.side)
        profile = PROFILES[look.kind](cut, (look.side // 2, look.side // 2))
        note = "" if frame is None else f"frame {frame}"
        return Compared(layer.name, cut, profile, note)

    def run(self) -> None:
        """Average each ticked run and add the mean, ticked."""
        runs = [layer for layer in self.layers.chosen if layer.ndim == 3]
        if not runs:
            raise LuckyError("There is nothing to average: tick a run in the list first.")
        sources = [(layer, layer.name, frames_of(layer)) for layer in runs]

        def work(job: Job) -> list[Stack]:
            return [
                stack_mean(
                    frames,
                    np.arange(frames.shape[0]),
                    Window.whole(frames.shape),
                    job=job,
                    what=f"averaging {name}",
                )
                for _, name, frames in sources
            ]

        def done(stacks: list[Stack]) -> Iterator[None]:
            means = []
            for (layer, name, frames), stack in zip(sources, stacks, strict=True):
                history = history_of(layer)
                shifts = [step for step in history if step.name == "shift"]
                subpixel = any(step.parameters.get("subpixel") for step in shifts)
                window = Window.whole(frames.shape)
                step = stack_record(StackMean(subpixel=subpixel), window, bool(shifts), stack.count)
                header = layer.metadata.get("header")
                means.append(
                    self.add(
                        image_tuple(
                            stack.image,
                            f"{name} mean",
                            header=timed_header(header, header, frames, np.arange(frames.shape[0])),
                            history=(*history, step),
                            like=layer,
                            colormap="inferno",
                        )
                    )
                )
                yield
            self.layers.tick([*runs, *means])
            self.done(f"Averaged {counted(len(runs), 'run')}.")

        self.start(work, done)

    def show_surface(self) -> None:
        """Add a surface of a ticked layer and look at it in 3-D; 2-D shows the others again."""
        chosen = self.layers.chosen
        if not chosen:
            raise LuckyError("There is nothing to show: tick a layer in the list first.")
        active = self.viewer.layers.selection.active
        layer = active if active in chosen else chosen[0]
        point, side, smooth = self.viewer.dims.point, self.side.value, self.smooth.value

        def work(job: Job) -> tuple[SurfaceMesh, int | None]:
            image, frame = image_at(layer, point)  # of a run, the frame is read and computed
            return surface_of(image, side, smooth=smooth), frame

        def done(result: tuple[SurfaceMesh, int | None]) -> Iterator[None]:
            surface, frame = result
            name = layer.name if frame is None else f"{layer.name} frame {frame}"
            made = surface_tuple(surface, f"{name} surface", like=layer)
            self._surface_view.show(lambda: self.add(made))
            yield

        self.start(work, done, stays=True)

    def save_figure(self) -> None:
        """Ask where, and write the figure."""
        if not self.layers.chosen:
            raise LuckyError("There is no figure yet: tick a layer in the list first.")
        kinds = " ".join(f"*{suffix}" for suffix in FIGURES)
        path, _ = QFileDialog.getSaveFileName(
            self, "Save figure", "comparison.png", f"Figure ({kinds})"
        )
        if path:
            self.canvas.save(Path(path), inputs_of(self.viewer))


def _likely(layers: list[Layer]) -> list[Layer]:
    """Choose the stacks that are visible, or else the topmost layer."""
    stacks = [layer for layer in layers if layer.visible and has_step("stack")(layer)]
    return stacks[:AT_FIRST] or layers[:1]
