"""The window goes on while jobs run: what they read, when their layers come, what goes wrong."""

import sys
import threading
from importlib import import_module

import numpy as np
import pytest
from astropy.io import fits
from napari.layers import Image, Layer, Points, Vectors
from qtpy.QtCore import QTimer

from napari_lucky import Window
from napari_lucky.execution.helper import CannotBeSent, do_in_helper, start_helper
from napari_lucky.viewer import background_work as beside
from napari_lucky.viewer.to_layers import image_tuple, windows_tuple

WINDOW = Window(10, 10, 40, 40)


@pytest.fixture
def reads_here(monkeypatch):
    """Return what the window's thread read of files meanwhile."""
    from napari_lucky.fits.run import Run

    read, here = Run.read, []

    def counted(self, frames, window=None):
        if threading.current_thread() is threading.main_thread():
            here.append((self.name, frames, window))
        return read(self, frames, window)

    monkeypatch.setattr(Run, "read", counted)
    return here


@pytest.fixture
def kept_here(monkeypatch):
    """Return the jobs that were not done in the helper."""
    jobs, here = import_module("napari_lucky.docks.jobs"), []
    do_there = jobs.do_in_helper

    def do(work, progress):
        try:
            return do_there(work, progress)
        except CannotBeSent as error:
            here.append((work.__qualname__, error.__cause__))
            raise

    monkeypatch.setattr(jobs, "do_in_helper", do)
    return here


def named(viewer, ending, kind=Image):
    return [la for la in viewer.layers if la.name.endswith(ending) and isinstance(la, kind)][-1]


def test_no_job_reads_files_in_the_windows_thread(
    viewer, hand, folder, reads_here, kept_here, tmp_path
):
    viewer.open(str(folder), plugin="napari-lucky")
    lead = hand.dock("lead")
    hand.wait(lambda: not lead.looking)
    calibration = hand.dock("calibration")
    calibration.dark_path.line.value = str(tmp_path / "dark.fits")
    calibration.flat_path.line.value = str(tmp_path / "flat.fits")
    hand.run(calibration)
    registration = hand.dock("registration")
    hand.press(registration.place_button)
    hand.wait(lambda: not registration.busy)
    cleaning = hand.dock("cleaning")
    for table in ("outliers", "background"):
        cleaning.forms[table].on.value = True
    hand.run(cleaning)
    hand.run(registration)
    ranking = hand.dock("ranking")
    hand.run(ranking)
    hand.press(ranking.curve_button)
    hand.wait(lambda: not ranking.busy)
    hand.run(hand.dock("stacking"))
    if start_helper():
        assert kept_here == []
        assert not do_in_helper(lambda job: {"napari", "qtpy"} & set(sys.modules), lambda *_: None)
    viewer.layers.selection = {named(viewer, "kept, best first")}
    assert viewer.layers.save(str(tmp_path / "kept.fits"), selected=True)
    assert reads_here == []
    viewer.dims.set_current_step(0, 7)
    assert reads_here  # or this test could not fail


def test_the_frame_read_ahead_is_the_one_shown(viewer, hand, folder, reads_here):
    viewer.open(str(folder), plugin="napari-lucky")
    viewer.dims.set_current_step(0, 7)
    reads_here.clear()
    hand.run(hand.dock("calibration"))
    calibrated = named(viewer, "calibrated")
    assert reads_here == []
    expected = calibrated.data.frames.read(slice(7, 8))[0]
    assert np.array_equal(calibrated._slice.image.raw, expected, equal_nan=True)
    part = calibrated.data[7, 3:9, 4]
    assert np.array_equal(part, expected[3:9, 4], equal_nan=True)


def test_the_window_works_between_two_layers_of_a_result(viewer, hand, slow_frames, add_run):
    add_run(slow_frames(n=20, seconds=0), WINDOW)
    dock = hand.dock("registration")
    before, seen = len(viewer.layers), set()
    timer = QTimer()
    timer.timeout.connect(lambda: seen.add(len(viewer.layers) - before))
    timer.start(0)
    hand.run(dock)
    timer.stop()
    assert {1, 2} <= seen
    assert dock.run_button.enabled


def test_a_dock_closed_between_two_layers_leaves_no_half_a_result(
    viewer, hand, slow_frames, add_run
):
    add_run(slow_frames(n=20, seconds=0), WINDOW)
    dock = hand.dock("registration")
    before = len(viewer.layers)

    def close(*_):
        viewer.layers.events.inserted.disconnect(close)
        QTimer.singleShot(0, lambda: viewer.window.remove_dock_widget("all"))

    viewer.layers.events.inserted.connect(close)
    hand.press(dock.run_button)
    hand.wait(lambda: len(viewer.layers) > before and not beside.RUNNING)
    assert len(viewer.layers) == before + 3
    assert named(viewer, "shifts", Vectors)
    assert named(viewer, "tracked", Points)


@pytest.mark.parametrize("name", ["calibration", "registration"])
def test_cancel_ends_every_job_and_python_is_as_before(viewer, hand, slow_frames, add_run, name):
    usual = sys.getswitchinterval()
    frames = slow_frames(n=10_000_000)
    add_run(frames, WINDOW)
    dock = hand.dock(name)
    if name == "calibration":  # a master of as many frames
        viewer.add_layer(Layer.create(*image_tuple(frames, "dark", contrast_limits=(0, 1000))))
    names = [la.name for la in viewer.layers]
    hand.press(dock.run_button)
    hand.wait(lambda: frames.reads > 2)
    assert sys.getswitchinterval() < usual
    hand.press(dock.cancel_button)
    hand.wait(lambda: not dock.busy)
    hand.wait(lambda: not [t for t in threading.enumerate() if t.name.startswith("ThreadPool")])
    assert frames.reads < 100  # the first look at a run can be cancelled, too
    assert [la.name for la in viewer.layers] == names
    assert sys.getswitchinterval() == usual


def test_a_file_that_goes_bad_later_is_reported_once_and_the_slider_goes_on(
    viewer, hand, folder, messages
):
    (layer,) = viewer.open(str(folder), plugin="napari-lucky")
    hand.run(hand.dock("calibration"))
    calibrated = named(viewer, "calibrated")
    layer.visible = True
    messages()
    whole = (folder / "AF_03.fits").read_bytes()
    (folder / "AF_03.fits").write_bytes(whole[: len(whole) // 2])
    (folder / "AF_05.fits").unlink()
    fits.PrimaryHDU(np.ones((300, 100), np.uint16)).writeto(folder / "AF_07.fits", overwrite=True)
    for frame, file in ((3, "AF_03.fits"), (5, "AF_05.fits"), (7, "AF_07.fits")):
        for step in (frame, frame + 1, frame):
            viewer.dims.set_current_step(0, step)
            empty = np.isnan(calibrated._slice.image.raw).all()
            assert empty == (step == frame)
            assert (layer._slice.image.raw == 0).all() == (step == frame)
        told = messages()
        assert [severity for severity, _ in told] == ["error", "error"]  # of either layer, once
        assert all(file in text and "is blank" in text for _, text in told)


def test_a_file_that_goes_bad_later_ends_a_job_in_a_sentence(viewer, hand, folder, messages):
    viewer.open(str(folder), plugin="napari-lucky")
    viewer.add_layer(Layer.create(*windows_tuple([Window(8, 120, 48, 48)])))
    (folder / "AF_05.fits").unlink()
    names = [la.name for la in viewer.layers]
    dock = hand.dock("registration")
    hand.run(dock)
    ((severity, text),) = messages()
    assert severity == "error"
    assert "AF_05.fits" in text
    assert "cannot be read" in text
    assert [la.name for la in viewer.layers] == names


def test_what_napari_waits_for_is_done_on_a_thread_while_the_window_works(qtbot):
    main, ticks = threading.main_thread(), []
    timer = QTimer()
    timer.timeout.connect(lambda: ticks.append(1))
    timer.start(1)
    goes_on = threading.Event()
    QTimer.singleShot(20, goes_on.set)
    worked = beside.in_background(lambda: (goes_on.wait(20), threading.current_thread()))
    timer.stop()
    assert worked[0]  # the window's own timer let it go on
    assert worked[1] is not main
    assert ticks
    with pytest.raises(ZeroDivisionError):
        beside.in_background(lambda: 1 / 0)
    assert not beside.RUNNING
