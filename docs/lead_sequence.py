"""Film the way from a folder to its saved pair: a screenshot of the window after each input.

Usage: xvfb-run -a -s "-screen 0 1920x1080x24" \\
    .venv/bin/python docs/lead_sequence.py RUN OUT 1920 1080

RUN is a folder of frames, OUT a folder for the pictures and the saved pair. Without RUN, the two
pictures of docs/images are made from a simulated run.
"""

import sys
import tempfile
import time
from pathlib import Path

import napari
from astropy.io import fits
from qtpy.QtCore import QSettings
from qtpy.QtWidgets import QApplication, QFileDialog

from napari_lucky.viewer.open_docks import open_dock

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


def until(condition) -> None:
    while not condition():
        settle(0.05)


class Film:
    """Pictures of a viewer's window, numbered."""

    def __init__(self, viewer: napari.Viewer, out: Path) -> None:
        self.viewer, self.out, self.count = viewer, out, 0

    def shot(self, name: str) -> None:
        settle(0.6)
        self.count += 1
        path = self.out / f"{self.count}_{name}.png"
        self.viewer.window.screenshot(str(path), flash=False, canvas_only=False)


def film(run: Path, out: Path, size: tuple[int, int]) -> Film:
    """Do the six inputs: open, dock, Process, Save, folder, OK."""
    out.mkdir(parents=True, exist_ok=True)
    forget_settings()
    viewer = napari.Viewer()
    viewer.window.resize(*size)
    settle()
    film = Film(viewer, out)
    viewer.open(str(run), plugin="napari-lucky")
    film.shot("open")
    dock = open_dock(viewer, "lead")
    settle()
    until(lambda: not dock.looking)
    film.shot("dock")
    dock.run_button.native.click()
    until(lambda: " of " in dock.progress.text.text() or not dock.busy)
    film.shot("process")
    until(lambda: not dock.busy)
    film.shot("done")
    QFileDialog.getExistingDirectory = staticmethod(lambda *_: str(out / "pair"))
    dock.results.save_button.native.click()
    until(lambda: not dock.busy)
    film.shot("saved")
    return film


def main(*given: str) -> None:
    if given:
        run, out, *size = given
        width, height = map(int, size or ("1400", "900"))
        film(Path(run), Path(out), (width, height)).viewer.close()
        return
    from napari_lucky import simulate_run

    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "night" / "AF"
        run.mkdir(parents=True)
        simulated = simulate_run(200)
        for k, frame in enumerate(simulated.frames):
            fits.PrimaryHDU(frame).writeto(run / f"AF_{k:03d}.fits")
        for name in ("dark", "flat"):
            fits.PrimaryHDU(getattr(simulated, name)).writeto(run / f"{name}.fits")
        made = film(run, Path(folder) / "film", (1400, 900))
        for name in ("2_dock", "4_done"):
            (IMAGES / f"lead_{name[2:]}.png").write_bytes((made.out / f"{name}.png").read_bytes())
        made.viewer.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
