"""Time what a user of the window waits for, on a run of 2,000 frames of 1280 x 1024.

Usage: xvfb-run -a -s "-screen 0 1500x1000x24" python benchmarks/viewer.py
"""

import os
import statistics
import tempfile
import time
from pathlib import Path

import napari
from qtpy.QtWidgets import QApplication

from memory import link_run, make

FRAMES, REPEATS = 2000, 5


def pump(until, limit: float = 60.0) -> float:
    start = time.perf_counter()
    while not until() and time.perf_counter() - start < limit:
        QApplication.processEvents()
        time.sleep(0.001)
    return time.perf_counter() - start


def cancel_time(dock) -> float:
    """Press Run, then Cancel in mid-job, and return how long the dock is busy after that."""
    dock.run_button.native.click()
    pump(lambda: bool(dock._jobs) and dock._jobs[0]._bar is not None, 5)
    dock.cancel_button.native.click()
    return pump(lambda: not dock.busy)


def scrub_rate(viewer, count: int = 40) -> float:
    start = time.perf_counter()
    for k in range(count):
        viewer.dims.set_current_step(0, k * 37 % FRAMES)
        QApplication.processEvents()
    return count / (time.perf_counter() - start)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        frames, _ = make(Path(folder))
        run = link_run(Path(folder), frames, FRAMES)
        viewer = napari.Viewer()
        start = time.perf_counter()
        viewer.open(str(run), plugin="napari-lucky")
        rows = [("open the folder (s)", time.perf_counter() - start)]
        names = ("1. Flat calibration", "2. Speckle registration")
        calibration, registration = (
            viewer.window.add_plugin_dock_widget("napari-lucky", name)[1] for name in names
        )
        calibration.dark_path.line.value = f"{folder}/dark.fits"
        calibration.flat_path.line.value = f"{folder}/flat.fits"
        calibration.run_button.native.click()
        rows.append(("calibrate (s)", pump(lambda: not calibration.busy)))
        rows.append(("scrub the calibrated run (frames/s)", scrub_rate(viewer)))
        registration.place_button.native.click()
        pump(lambda: not registration.busy)
        times = [cancel_time(registration) for _ in range(REPEATS)]
        rows.append((f"cancel a registration, median of {REPEATS} (s)", statistics.median(times)))
        rows.append((f"cancel a registration, longest of {REPEATS} (s)", max(times)))
        registration.run_button.native.click()
        rows.append(("register (s)", pump(lambda: not registration.busy)))
        viewer.close()
    print(f"{FRAMES} frames of 1280 x 1024, {os.cpu_count()} cores\n")
    print("| what | figure |\n|---|---:|")
    for name, value in rows:
        print(f"| {name} | {value:.2f} |")


if __name__ == "__main__":
    main()
