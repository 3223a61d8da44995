"""Time what a user of the window waits for, on a run of 2,000 frames of 1280 x 1024.

    xvfb-run -a -s "-screen 0 1500x1000x24" python benchmarks/viewer.py [--frames 2000]

For every job of the docks, the longest time between two ticks of a timer of 5 ms is given, once
while the job works and once from its end until its layers are drawn: so long the window stood
still. Of the latter, the processor time that the window's own thread took stands beside it; the
rest is waiting. What napari itself takes to add one image stands at the top.
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import napari
import numpy as np
from napari.layers import Shapes
from qtpy.QtCore import QEventLoop, Qt, QTimer
from qtpy.QtWidgets import QApplication

from memory import link_run, make
from napari_lucky.viewer.background_work import RUNNING
from napari_lucky.viewer.open_docks import open_dock

TICK_MS = 5
CANCEL_AFTER = 0.1, 0.5, 1.5  # seconds


class Pulse:
    """A timer in the window's event loop, and the longest time that it was kept waiting."""

    def __init__(self) -> None:
        self._timer = QTimer()
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.timeout.connect(self.tick)
        self._timer.start(TICK_MS)
        self.reset()

    def reset(self) -> None:
        """Count from now."""
        self._last, self._cpu = time.perf_counter(), time.thread_time()
        self.working, self.showing = (0.0, 0.0), (0.0, 0.0)

    def tick(self) -> None:
        """Take note of how long ago the last tick was."""
        now, cpu = time.perf_counter(), time.thread_time()
        pause = now - self._last, cpu - self._cpu
        if any(getattr(job, "_pieces", None) is None for job in RUNNING):
            self.working = max(self.working, pause)
        else:  # nothing runs, or its layers come
            self.showing = max(self.showing, pause)
        self._last, self._cpu = now, cpu


def wait(until: Callable[[], bool], limit: float = 1200.0) -> float:
    """Let the window work until something is so; return the seconds."""
    start = time.perf_counter()
    loop, timer = QEventLoop(), QTimer()
    timer.timeout.connect(
        lambda: loop.quit() if until() or time.perf_counter() - start > limit else None
    )
    timer.start(TICK_MS)
    loop.exec()
    timer.stop()
    return time.perf_counter() - start


def settle() -> None:
    """Let the window draw what it has to."""
    end = time.perf_counter() + 0.5
    wait(lambda: time.perf_counter() > end)


class Bench:
    """A window, and a table of its jobs."""

    def __init__(self) -> None:
        self.viewer = napari.Viewer()
        self.pulse = Pulse()

    def dock(self, name: str):
        found = open_dock(self.viewer, name)
        settle()
        return found

    def row(self, name: str, job: Callable[[], object]) -> None:
        """Do a job, and print its line of the table."""
        settle()
        self.pulse.reset()
        start = time.perf_counter()
        job()
        took = time.perf_counter() - start
        settle()  # what a job brings has to be drawn as well
        working, showing, busy = (
            f"{1e3 * seconds:.0f}" for seconds in (self.pulse.working[0], *self.pulse.showing)
        )
        print(f"| {name} | {took:.2f} | {working} | {showing} | {busy} |", flush=True)

    def press(self, dock, button) -> None:
        button.native.click()
        wait(lambda: not dock.busy)

    def run(self, name: str, dock) -> None:
        self.row(name, lambda: self.press(dock, dock.run_button))

    def named(self, ending: str):
        """Return the layer of a name that was added last."""
        plain = ((la.name.rstrip(" []0123456789"), la) for la in self.viewer.layers)
        return [la for name, la in plain if name.endswith(ending)][-1]

    def remove(self, *endings: str) -> None:
        """Remove layers, so that each method finds as many as the one before."""
        for ending in endings:
            put_away(self.viewer, self.named(ending))


def put_away(viewer, layer) -> None:
    """Remove a layer; hide one of shapes, as vispy may crash when it is removed."""
    layer.visible = False
    if not isinstance(layer, Shapes):
        viewer.layers.remove(layer)


def open_run(viewer, run: Path) -> None:
    """Open a folder, and wait until its first frame is on the screen."""
    (layer,) = viewer.open(str(run), plugin="napari-lucky")
    wait(lambda: layer.loaded)
    viewer.window._qt_viewer.canvas._scene_canvas.native.repaint()


def cancel_times(viewer, dock) -> float:
    """Cancel early and late, and return the longest time that took."""
    before, times = list(viewer.layers), []
    for seconds in CANCEL_AFTER:
        dock.run_button.native.click()
        end = time.perf_counter() + seconds
        wait(lambda end=end: time.perf_counter() > end or not dock.busy)
        dock.cancel_button.native.click()
        times.append(wait(lambda: not dock.busy))
        for layer in [la for la in viewer.layers if la not in before]:  # it was done already
            put_away(viewer, layer)
    return max(times)


def scrub_rate(viewer, axis_length: int, count: int = 60) -> float:
    """Move the slider and draw; return frames a second."""
    start = time.perf_counter()
    for k in range(count):
        viewer.dims.set_current_step(0, (1 + k * 37) % axis_length)
        QApplication.processEvents()
    return count / (time.perf_counter() - start)


def show_only(viewer, *layers) -> None:
    for layer in viewer.layers:
        layer.visible = layer in layers
    settle()


def frame_time(layer, count: int = 20) -> float:
    """Return the milliseconds that a frame takes until it can be drawn."""
    times = []
    for frame in range(count):
        start = time.perf_counter()
        layer.data[frame, :, :]
        times.append(time.perf_counter() - start)
    return 1e3 * statistics.median(times)


def idle_draw(viewer, count: int = 20) -> float:
    """Return the milliseconds that drawing the window takes where nothing has changed."""
    canvas = viewer.window._qt_viewer.canvas._scene_canvas
    times = []
    for _ in range(count):
        start = time.perf_counter()
        canvas.update()
        QApplication.processEvents()
        times.append(time.perf_counter() - start)
    return 1e3 * statistics.median(times)


EVERYTHING = (
    ("outliers", "sigma", 5),
    ("flicker", "sigma", 8),
    ("background", "order", 4),
    ("noise-cut", "sigma", 3),
    ("low-pass", "cutoff", 0.15),
)
REGISTERED = ("registered", "tracked", "shifts")
STACKED = ("focus", "long exposure")


def lead_jobs(bench: Bench, folder: Path) -> None:
    """Time the lead dock: what it finds by itself, and the whole job."""
    viewer, before = bench.viewer, list(bench.viewer.layers)
    lead = bench.dock("lead")
    bench.row("lead dock: find the stars", lambda: (lead.run_layer.changed.emit(0), look(lead)))
    for name, edit in lead.masters.items():
        edit.line.value = f"{folder}/{name}.fits"
    bench.run("lead dock: Process", lead)
    viewer.window.remove_dock_widget(lead)
    for layer in [one for one in viewer.layers if one not in before]:
        put_away(viewer, layer)


def look(lead) -> None:
    """Wait until the lead dock has found what it looks for."""
    wait(lambda: not lead.looking)


def jobs(bench: Bench, folder: Path, run: Path, n: int) -> None:
    """Print the table of pauses, and that of other waits."""
    viewer = bench.viewer
    print("| job | takes (s) | pause in the work (ms) | pause at its end (ms) | busy in it (ms) |")
    print("|---|---:|---:|---:|---:|", flush=True)
    bench.row("none", settle)
    bench.row("napari alone: add an image", lambda: viewer.add_image(np.zeros((64, 64))))
    bench.row("napari alone: add one more", lambda: viewer.add_image(np.zeros((64, 64))))
    viewer.layers.clear()
    bench.row("open the folder, to its first frame", lambda: open_run(viewer, run))
    (raw,) = viewer.layers
    lead_jobs(bench, folder)
    calibration = bench.dock("calibration")
    calibration.dark_path.line.value = f"{folder}/dark.fits"
    calibration.flat_path.line.value = f"{folder}/flat.fits"
    bench.run("calibrate", calibration)
    calibrated = bench.named("calibrated")
    early = f"{scrub_rate(viewer, n):.1f}"
    registration = bench.dock("registration")
    registration.by_products.value = True
    bench.row("place the window", lambda: bench.press(registration, registration.place_button))
    cleaning = bench.dock("cleaning")
    cleaning.forms["dust"].on.value = True  # its button is off with it
    bench.row("find dust", lambda: bench.press(cleaning, cleaning.find_button))
    for table, name, value in EVERYTHING:
        cleaning.forms[table].on.value = True
        cleaning.forms[table][name].value = value
    bench.run("clean, everything on", cleaning)
    times = {"clean": cancel_times(viewer, cleaning)}
    bench.remove("cleaned", "background")
    calibrated.visible = True
    registration.image.value = calibrated
    for method in ("brightest", "centroid", "correlation", "template"):
        registration.forms["register"].method.value = method
        bench.run(f"register, {method}", registration)
        if method == "brightest":
            early_registered = f"{scrub_rate(viewer, n):.1f}"
            layers = len(viewer.layers)
        times[f"register, {method}"] = cancel_times(viewer, registration)
        if method != "template":
            bench.remove(*REGISTERED)
    registered = bench.named("registered")
    ranking = bench.dock("ranking")
    ranking.by_products.value = True
    ranking.image.value, ranking.registration.value = calibrated, bench.named("shifts")
    bench.run("rank", ranking)
    bench.row("keep-fraction curve", lambda: bench.press(ranking, ranking.curve_button))
    bench.row("move the cut", lambda: setattr(ranking.cut.keep_box, "value", 0.07))
    stacking = bench.dock("stacking")
    stacking.image.value, stacking.registration.value = calibrated, bench.named("shifts")
    for method in ("mean", "median", "clipped", "weighted", "fourier", "drizzle"):
        stacking.forms["stack"].method.value = method
        bench.run(f"stack, {method}", stacking)
        times[f"stack, {method}"] = cancel_times(viewer, stacking)
        if method != "drizzle":
            bench.remove(*STACKED)
    viewer.layers.selection = {bench.named("focus"), bench.named("shifts")}
    out = str(folder / "saved.fits")
    bench.row("save stack and shifts", lambda: viewer.layers.save(out, selected=True))
    viewer.layers.selection = {bench.named("kept, best first")}
    kept = str(folder / "kept.fits")
    bench.row("save the kept frames whole", lambda: viewer.layers.save(kept, selected=True))
    os.remove(kept)
    bench.remove("kept, best first", *REGISTERED[:2], *STACKED)
    calibration.image.value, calibration.frames.value = raw, f"0:{n}:20"
    bench.press(calibration, calibration.run_button)
    few = bench.named("calibrated")
    registration.image.value = few
    bench.press(registration, registration.run_button)
    ranking.image.value, ranking.registration.value = few, bench.named("shifts")
    bench.press(ranking, ranking.run_button)
    stacking.image.value, stacking.registration.value = few, bench.named("shifts")
    stacking.forms["stack"].method.value = "mean"
    bench.row("Run all frames", lambda: bench.press(stacking, stacking.all_button))
    viewer.layers.append(registered)
    compare = bench.dock("compare")
    compare.layers.tick([calibrated])
    bench.row("3-D surface of a run’s frame", lambda: bench.press(compare, compare.surface_button))
    viewer.dims.ndisplay = 2
    print("\n| what | figure |\n|---|---:|")
    print(f"| scrub the calibrated run, just calibrated (frames/s) | {early} |")
    print(
        f"| scrub the registered run, just registered, {layers} layers (frames/s) | "
        f"{early_registered} |"
    )
    waits(viewer, times, {"raw": raw, "calibrated": calibrated, "registered": registered}, n)


def waits(viewer, times: dict[str, float], runs: dict[str, object], n: int) -> None:
    """Print how fast frames are shown, and how long a cancel takes."""
    show_only(viewer)
    print(f"| draw the window with no layer shown (ms) | {idle_draw(viewer):.1f} |")
    for name, layer in runs.items():
        show_only(viewer, layer)
        print(f"| compute a {name} frame (ms) | {frame_time(layer):.1f} |")
        print(f"| draw a {name} frame again (ms) | {idle_draw(viewer):.1f} |")
        rate = f"{scrub_rate(viewer, n):.1f}"
        print(f"| scrub the {name} run, {len(viewer.layers)} layers (frames/s) | {rate} |")
    for name, longest in times.items():
        print(f"| cancel “{name}”, longest of {len(CANCEL_AFTER)} (s) | {longest:.2f} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=2000, metavar="N")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        frames, _ = make(folder)
        run = link_run(folder, frames, given.frames)
        print(f"{given.frames} frames of 1280 x 1024, {os.cpu_count()} cores\n")
        bench = Bench()
        jobs(bench, folder, run, given.frames)
        bench.viewer.close()


if __name__ == "__main__":
    main()
