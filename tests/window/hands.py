"""What a user's hand does in a window, and the layers that are there then."""

from collections.abc import Callable

from napari.layers import Image

from napari_lucky.viewer.open_docks import open_dock

TITLES = {
    "lead": "Lucky imaging",
    "calibration": "1 Calibrate",
    "cleaning": "Clean",
    "registration": "2 Register",
    "ranking": "3 Rank",
    "stacking": "4 Stack",
    "wavefront": "5 Wavefront",
    "compare": "Compare",
    "figures": "PSF",
}


class Hand:
    """What a user's hand does: open a dock, press a button, wait."""

    def __init__(self, viewer, qtbot):
        self.viewer, self.qtbot = viewer, qtbot

    def dock(self, name, extras=True):
        dock = open_dock(self.viewer, name)
        if getattr(dock, "extras", "") and extras:
            dock.by_products.value = True
        return dock

    def press(self, button):
        from qtpy.QtCore import Qt

        self.qtbot.mouseClick(button.native, Qt.MouseButton.LeftButton)

    def wait(self, condition: Callable[[], bool], timeout: int = 600_000):
        self.qtbot.waitUntil(condition, timeout=timeout)

    def run(self, dock):
        self.press(dock.run_button)
        self.wait(lambda: not dock.busy)


def newest(viewer, ending):
    return [layer for layer in viewer.layers if layer.name.endswith(ending)][-1]


def layer(viewer, ending, kind=Image):
    (found,) = [la for la in viewer.layers if la.name.endswith(ending) and isinstance(la, kind)]
    return found
