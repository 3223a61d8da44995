"""Make the pictures of docs/images from a real napari window on the sample run.

Usage: xvfb-run -a -s "-screen 0 1600x1000x24" .venv/bin/python docs/screenshots.py
"""

import tempfile
import time
from pathlib import Path

import napari
from qtpy.QtCore import QSettings
from qtpy.QtWidgets import QApplication

from napari_lucky.docks.look_at import look_at
from napari_lucky.viewer.open_docks import open_dock

DOCKS = ("calibration", "cleaning", "registration", "ranking", "stacking")
IMAGES = Path(__file__).parent / "images"


def forget_settings() -> None:
    """Show the defaults, whatever docks remember on this machine."""
    folder = tempfile.mkdtemp()
    QSettings.setPath(QSettings.Format.NativeFormat, QSettings.Scope.UserScope, folder)


def settle(seconds: float = 0.5) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        QApplication.processEvents()
        time.sleep(0.01)


def compare(viewer: napari.Viewer) -> None:
    dock = open_dock(viewer, "compare")
    outer = dock.parent()
    dock.profile.value, dock.same.value = "radial", False
    dock.log.value = dock.normalise.value = True
    dock.layers.tick([layer for layer in viewer.layers if layer.name.endswith("long exposure")])
    outer.setFloating(True)
    outer.resize(460, 850)
    outer.raise_()
    settle(1)
    dock.widget().grab().save(str(IMAGES / "compare.png"))
    outer.setFloating(False)


def figures(viewer: napari.Viewer) -> None:
    dock = open_dock(viewer, "figures")
    outer = dock.parent()
    layers = {layer.name.rsplit(maxsplit=1)[-1]: layer for layer in viewer.layers}
    dock.run_layer.value, dock.shifts.value = layers["calibrated"], layers["shifts"]
    for name in ("exposure", "focus"):
        dock.image.value = layers[name]
        dock.run_button.native.click()
        while dock.busy:
            settle(0.05)
    outer.setFloating(True)
    outer.resize(460, 1300)
    outer.raise_()
    settle(1)
    dock.widget().grab().save(str(IMAGES / "figures.png"))
    outer.setFloating(False)


def wavefront(viewer: napari.Viewer) -> None:
    dock = open_dock(viewer, "wavefront")
    outer = dock.parent()
    form = dock.forms["wavefront"]
    form["defocus_waves"].value, form["modes"].value, form["choice"].value = 1.8, 36, "all"
    dock.run_button.native.click()
    while dock.busy:
        settle(0.05)
    outer.setFloating(True)
    outer.resize(560, 1640)
    outer.raise_()
    settle(1)
    dock.widget().grab().save(str(IMAGES / "wavefront_dock.png"))
    outer.setFloating(False)


def main() -> None:
    IMAGES.mkdir(exist_ok=True)
    forget_settings()
    viewer = napari.Viewer()
    viewer.window.resize(1500, 940)
    viewer.open_sample("napari-lucky", "simulated")
    for name in DOCKS:
        dock = open_dock(viewer, name)
        while dock.height() < 500:  # not yet a tab of its own height
            settle()
        settle()
        if name == "cleaning":
            dock.grab().save(str(IMAGES / "cleaning.png"))
            continue
        dock.run_button.native.click()
        while dock.busy:
            settle(0.05)
        if name == "ranking":
            dock.curve_button.native.click()
            while dock.busy:
                settle(0.05)
        settle()
        dock.grab().save(str(IMAGES / f"{name}.png"))
    compare(viewer)
    figures(viewer)
    wavefront(viewer)
    dock = open_dock(viewer, "ranking")
    shifts = dock.registration.value
    viewer.dims.set_current_step(0, int(shifts.features["quality"].argmax()))
    viewer.layers.selection = {shifts}
    shown = ("focus", "calibrated", "shifts", "windows", "tracked")
    for layer in viewer.layers:
        layer.visible = layer.name.endswith(shown)
    look_at(viewer, [layer for layer in viewer.layers if layer.name.endswith("calibrated")])
    for name in ("compare", "figures", "wavefront"):
        open_dock(viewer, name).parent().hide()
    open_dock(viewer, "ranking")
    settle(1)
    viewer.window.screenshot(str(IMAGES / "window.png"), flash=False, canvas_only=False)
    viewer.close()


if __name__ == "__main__":
    main()
