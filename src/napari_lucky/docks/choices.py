"""The choices that docks offer: among layers, and of parameters that several docks have."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import napari
from magicgui.widgets import CheckBox, ComboBox
from napari.layers import Layer

from napari_lucky.calibration.sampling import Sampling
from napari_lucky.docks.number_box import DeclaredNumber
from napari_lucky.stacking.step import StackFrames
from napari_lucky.steps.declaration import params
from napari_lucky.viewer.from_layers import history_of


class LayerCombo(ComboBox):
    """A choice among the viewer's layers that survives renaming.

    Parameters
    ----------
    viewer : napari.Viewer
        Whose layers.
    accept : callable
        Returns for a layer whether it may be chosen.
    prefer : callable, optional
        Returns for a layer whether it is the likely choice; the newest such layer is chosen until
        the user chooses another.
    **options
        Of magicgui's ComboBox: name, label, tooltip, nullable.
    """

    def __init__(
        self,
        viewer: napari.Viewer,
        accept: Callable[[Layer], bool],
        prefer: Callable[[Layer], bool] | None = None,
        **options: Any,
    ) -> None:
        self._viewer, self._accept, self._prefer = viewer, accept, prefer
        self._by_user = self._resetting = False
        super().__init__(choices=self._layers, **options)
        self.changed.connect(self._on_changed)
        self.reset_choices()

    def _layers(self, _: Any = None) -> list[tuple[str, Layer]]:
        return [(layer.name, layer) for layer in self._viewer.layers if self._accept(layer)]

    def _on_changed(self, _: Any) -> None:
        self._by_user = self._by_user or not self._resetting

    def reset_choices(self, *_: Any) -> None:
        """Take up the viewer's layers again, and keep what was chosen."""
        kept: Any = self.get_value()
        layers = [layer for _, layer in self._layers()]
        self._resetting = True
        super().reset_choices()
        likely = [layer for layer in layers if self._prefer and self._prefer(layer)]
        self._by_user = self._by_user and (kept is None or kept in layers)
        if likely and not self._by_user:
            self.value = likely[-1]
        elif kept in layers:
            self.value = kept
        self._resetting = False


def base_name(layer: Layer) -> str:
    """Return the name of the run that a layer came from, to name results by."""
    return str(layer.name).removesuffix(" cleaned").removesuffix(" calibrated")


def is_run(layer: Layer) -> bool:
    """Return whether a layer is a run of frames that have not been shifted yet."""
    return (
        isinstance(layer, napari.layers.Image)
        and layer.data.ndim == 3
        and not layer.rgb
        and not any(step.name in ("shift", "stack") for step in history_of(layer))
    )


def is_image(layer: Layer) -> bool:
    """Return whether a layer is an image or a run."""
    return isinstance(layer, napari.layers.Image) and not layer.rgb


def has_step(name: str) -> Callable[[Layer], bool]:
    """Return a test for layers that went through a step."""
    return lambda layer: any(step.name == name for step in history_of(layer))


def is_registration(layer: Layer) -> bool:
    """Return whether a layer holds the shifts of a run."""
    return isinstance(layer, napari.layers.Vectors) and {"frame", "dy", "dx"} <= set(layer.features)


def is_windows(layer: Layer) -> bool:
    """Return whether a layer can hold windows."""
    return isinstance(layer, napari.layers.Shapes)


def run_combo(viewer: napari.Viewer, tooltip: str) -> LayerCombo:
    """Return the choice of a run; a calibrated one is the likely choice."""
    calibrated = has_step("calibrate")
    return LayerCombo(viewer, is_run, calibrated, name="image", label="run", tooltip=tooltip)


def shifts_combo(viewer: napari.Viewer, tooltip: str) -> LayerCombo:
    """Return the choice of a registration."""
    return LayerCombo(
        viewer,
        is_registration,
        lambda layer: True,
        name="registration",
        label="shifts",
        tooltip=tooltip,
    )


def windows_combo(viewer: napari.Viewer, tooltip: str, *, likely: bool = False) -> LayerCombo:
    """Return the choice of a layer with windows; `likely` if the newest shall be chosen."""
    prefer = (lambda layer: True) if likely else None
    return LayerCombo(
        viewer, is_windows, prefer, name="windows", label="windows", nullable=True, tooltip=tooltip
    )


def show_smoothing(box: DeclaredNumber, sampling: Sampling | None, use: str) -> None:
    """Show the pixels that "auto" stood for, and in the tooltip why, if it was used."""
    if sampling is not None:
        box.show_found(sampling.smooth, "" if sampling.px else " (a guess)")
        box.tooltip = sampling.smoothing_note(use)


def subpixel_box() -> CheckBox:
    """Return the box for shifts by fractions of a pixel."""
    declared = params(StackFrames)["subpixel"]
    return CheckBox(
        name="subpixel",
        text="shift by fractions of a pixel",
        value=declared.default,
        tooltip=declared.text,
    )
