"""Real napari windows, with docks whose buttons are really pressed."""

import functools
import gc
import os
import sys

import numpy as np
import pytest
from hands import Hand

from napari_lucky.execution.helper import CannotBeSent

if sys.platform == "linux" and not os.environ.get("DISPLAY"):
    collect_ignore_glob = ["test_*.py", "real/*"]


@pytest.fixture(scope="module", autouse=True)
def lasting_objects_apart():
    """Keep modules and caches out of the garbage collections, of which each window has several."""
    import napari._qt.qt_main_window
    import napari.viewer  # noqa: F401

    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def one_sample():
    """Simulate the sample once: many tests open it, and none changes its pixels."""
    from napari_lucky.viewer import sample_data

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sample_data, "simulate_run", functools.cache(sample_data.simulate_run))
        yield


@pytest.fixture(autouse=True)
def own_settings(tmp_path):
    """Keep the parameters that docks remember apart from the user's and from other tests'."""
    from qtpy.QtCore import QSettings

    folder = str(tmp_path / "settings")
    QSettings.setPath(QSettings.Format.NativeFormat, QSettings.Scope.UserScope, folder)


@pytest.fixture
def work_here(monkeypatch):
    """Let jobs run on threads of this process, where a test has changed what they call."""

    def refuse(work, progress):
        raise CannotBeSent

    monkeypatch.setattr("napari_lucky.docks.jobs.do_in_helper", refuse)


@pytest.fixture
def viewer(make_napari_viewer):
    return make_napari_viewer(show=True)


@pytest.fixture
def hand(viewer, qtbot):
    return Hand(viewer, qtbot)


@pytest.fixture
def messages():
    """Return a function that gives the messages shown since the last call."""
    from napari.utils.notifications import notification_manager

    notification_manager.records.clear()

    def take():
        told = [(str(note.severity), note.message) for note in notification_manager.records]
        notification_manager.records.clear()
        return told

    return take


class SlowFrames:
    """A run whose every read takes a while, and that may break."""

    dtype = np.dtype(np.float32)

    def __init__(self, n=400, seconds=0.05, error=None, noise=5.0):
        self.shape, self.seconds, self.error = (n, 64, 64), seconds, error
        self.noise = noise
        self.reads = 0

    def __reduce__(self):
        raise TypeError("its reads are counted here: not to be sent to another process")

    def read(self, frames, window=None):
        import time

        from napari_lucky import Window

        self.reads += 1
        time.sleep(self.seconds)
        if self.error is not None and self.reads > 8:
            raise self.error
        y, x = np.mgrid[:64, :64]
        star = 1000 * np.exp(-((y - 30) ** 2 + (x - 33) ** 2) / 8)
        index = np.arange(self.shape[0])[frames]
        assert len(index) <= 512, "so many frames are never read at once"
        noisy = [star + np.random.default_rng(k).normal(0, self.noise, star.shape) for k in index]
        part = (window or Window.whole(self.shape)).slices
        return np.array(noisy, np.float32)[(slice(None), *part)]


@pytest.fixture
def slow_frames():
    return SlowFrames


@pytest.fixture
def folder(tmp_path):
    """A run of files, with dark and flat beside it."""
    from made_files import write_masters, write_run
    from napari_lucky import simulate_run

    simulated = simulate_run(12, (128, 192), focus_size=64, defocus_size=64)
    write_masters(tmp_path, simulated)
    return write_run(tmp_path / "run", simulated.frames, name="AF_{:02d}.fits", first=0)


@pytest.fixture
def add_run(viewer):
    from napari.layers import Layer

    from napari_lucky.viewer.to_layers import image_tuple, windows_tuple

    def add(frames, window):
        run = viewer.add_layer(Layer.create(*image_tuple(frames, "run", contrast_limits=(0, 1000))))
        viewer.add_layer(Layer.create(*windows_tuple([window])))
        return run

    return add
