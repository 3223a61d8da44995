import numpy as np
import pytest
from napari.layers import Image, Surface

from napari_lucky.frames import LazyArray
from napari_lucky.frames.frames import ArrayFrames
from napari_lucky.imaging import cutout, radial_profile, row_cut
from napari_lucky.viewer.to_layers import image_tuple


class Counted(ArrayFrames):
    """A run that knows which frames were read."""

    def __init__(self, array):
        super().__init__(array)
        object.__setattr__(self, "reads", [])

    def read(self, frames, window=None):
        self.reads.append(np.arange(len(self.array))[frames])
        return super().read(frames, window)


def star(y, x, height, shape=(96, 128)):
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    level = np.random.default_rng(int(y)).normal(5, 1, shape)
    return (level + height * np.exp(-((rows - y) ** 2 + (columns - x) ** 2) / 18)).astype(
        np.float32
    )


@pytest.fixture
def frames():
    return np.stack([star(30 + k, 60 - 2 * k, 100 * (k + 1)) for k in range(5)])


@pytest.fixture
def layers(viewer, frames):
    run = viewer.add_layer(Image.create(*image_tuple(Counted(frames), "run")))
    stack = viewer.add_image(star(50, 70, 4000), name="stack")
    return run, stack


@pytest.fixture
def dock(hand, layers):
    made = hand.dock("compare")
    made.side.value = 64
    tick(made, *layers)
    hand.wait(lambda: names(made) == ["stack", "run"])
    return made


def tick(dock, *layers, on=True):
    from qtpy.QtCore import Qt

    for layer in layers:
        item = dock.layers.item(dock.layers.layers.index(layer))
        item.setCheckState(Qt.CheckState.Checked if on else Qt.CheckState.Unchecked)


def names(dock):
    return dock.canvas._built[0] if dock.canvas._built else []


def line(dock, number):
    return dock.canvas.comparison.lines[number].get_xydata()


def limits(dock):
    return [panel.image.get_clim() for panel in dock.canvas.comparison.panels]


def test_the_slider_draws_the_frame_it_shows_and_reads_no_other(viewer, hand, dock, layers, frames):
    run, stack = layers
    for k, centre in ((0, (30, 60)), (3, (33, 54))):
        run.data.frames.reads.clear()
        viewer.dims.set_current_step(0, k)
        expected = row_cut(cutout(frames[k], centre, 64), (32, 32))
        hand.wait(lambda e=expected: np.array_equal(line(dock, 1)[:, 1], e.value))
        np.testing.assert_array_equal(line(dock, 1)[:, 0], np.arange(64) - 32)
        assert {int(n) for read in run.data.frames.reads for n in read} <= {k}
    shown = dock.canvas.comparison.panels
    np.testing.assert_array_equal(shown[1].image.get_array(), cutout(frames[3], (33, 54), 64))
    np.testing.assert_array_equal(shown[0].image.get_array(), cutout(stack.data, (50, 70), 64))


def test_profiles_contrast_and_scales_are_what_is_chosen(hand, dock, layers):
    _, stack = layers
    own = limits(dock)
    assert own[0][1] == stack.data.max()
    assert own[1][1] < own[0][1]
    dock.same.value = True
    hand.wait(lambda: limits(dock)[0] == limits(dock)[1])
    assert limits(dock)[1] == (min(low for low, _ in own), own[0][1])
    dock.profile.value = "radial"
    expected = radial_profile(cutout(stack.data, (50, 70), 64), (32, 32))
    hand.wait(lambda: np.array_equal(line(dock, 0)[:, 1], expected.value))
    dock.normalise.value = dock.log.value = True
    hand.wait(lambda: line(dock, 0)[:, 1].max() == line(dock, 1)[:, 1].max() == 1)
    assert dock.canvas.comparison.axes.get_yscale() == "log"


def test_layers_are_followed_when_changed_renamed_and_removed(viewer, hand, dock, layers, messages):
    run, stack = layers
    stack.data = star(40, 45, 900)
    hand.wait(lambda: line(dock, 0)[:, 1].max() == stack.data.max())
    stack.data[40, 45] = 5000
    stack.refresh()
    hand.wait(lambda: line(dock, 0)[:, 1].max() == 5000)
    stack.name = "lucky"
    hand.wait(lambda: names(dock) == ["lucky", "run"])
    viewer.layers.move(0, 2)
    hand.wait(lambda: names(dock) == ["run", "lucky"])
    viewer.layers.remove(run)
    hand.wait(lambda: names(dock) == ["lucky"])
    viewer.layers.remove(stack)
    hand.wait(lambda: names(dock) == [])
    assert messages() == []


def test_what_cannot_be_shown_says_so_in_its_panel(viewer, hand, dock, layers, messages):
    run, _ = layers
    viewer.add_image(np.zeros((9, 96, 128)), name="longer")
    viewer.dims.set_current_step(0, 7)
    panel = dock.canvas.comparison.panels[1]
    hand.wait(lambda: "the run has 5" in panel._note.get_text().replace("\n", " "))
    assert not panel.image.get_visible()
    run.data = np.full((8, 96, 128), np.nan)
    hand.wait(lambda: "masked" in dock.canvas.comparison.panels[1]._note.get_text())
    assert messages() == []


def test_the_frame_is_found_where_a_run_is_scaled_and_moved(viewer, hand, dock, layers, frames):
    run, _ = layers
    run.scale, run.translate = (0.1, 2, 2), (7, 0, 0)
    viewer.dims.set_point(0, 7.2)
    expected = row_cut(cutout(frames[2], (32, 56), 64), (32, 32))
    hand.wait(lambda: np.array_equal(line(dock, 1)[:, 1], expected.value))


def test_nothing_is_read_or_drawn_while_the_dock_is_hidden(viewer, hand, dock, layers, qtbot):
    run, _ = layers
    run.visible = False
    dock.parent().hide()
    run.data.frames.reads.clear()
    viewer.dims.set_current_step(0, 4)
    qtbot.wait(300)
    assert run.data.frames.reads == []
    dock.parent().show()
    hand.wait(lambda: bool(run.data.frames.reads))


def test_wheel_and_mouse_zoom_and_move_all_panels_and_a_double_click_resets(hand, dock, qtbot):
    from qtpy.QtCore import QPoint, QPointF, Qt
    from qtpy.QtGui import QWheelEvent
    from qtpy.QtWidgets import QApplication

    canvas = dock.canvas
    comparison = canvas.comparison
    hand.wait(lambda: canvas.height() == comparison.height)
    canvas.draw()
    axes = comparison.panels[1].axes

    def at(x, y):
        px, py = axes.transData.transform((x, y)) / canvas.device_pixel_ratio
        return QPoint(round(px), round(canvas.height() - py))

    def wheel(place):
        none, up = QPoint(), QPoint(0, 120)
        keys = (Qt.MouseButton.NoButton, Qt.KeyboardModifier.NoModifier)
        where = QPointF(place), QPointF(canvas.mapToGlobal(place))
        event = QWheelEvent(*where, none, up, *keys, Qt.ScrollPhase.NoScrollPhase, False)
        QApplication.sendEvent(canvas, event)

    wheel(at(10, 10))
    zoomed = comparison.view
    assert np.ptp(zoomed[0]) == pytest.approx(64 / 1.25)
    assert np.ptp(zoomed[1]) == pytest.approx(64 / 1.25)
    left = Qt.MouseButton.LeftButton
    start, end = at(0, 0), at(10, -5)
    qtbot.mousePress(canvas, left, pos=start)
    qtbot.mouseMove(canvas, pos=end)
    qtbot.mouseRelease(canvas, left, pos=end)
    moved = comparison.view
    np.testing.assert_allclose(np.subtract(moved, zoomed), [[-10, -10], [5, 5]], atol=1)
    other = comparison.panels[0].axes
    assert (other.get_xlim(), other.get_ylim()) == moved
    dock.same.value = True
    hand.wait(lambda: dock.canvas.comparison is not comparison)
    comparison = dock.canvas.comparison
    assert comparison.view == moved  # a new drawing keeps the view
    axes = comparison.panels[0].axes
    qtbot.mouseDClick(canvas, left, pos=at(*np.mean(moved, axis=1)))
    assert comparison.view == comparison.whole


def test_the_surface_button_shows_a_surface_in_3d_and_2d_goes_back(viewer, hand, dock, layers):
    run, stack = layers
    viewer.dims.set_current_step(0, 2)
    viewer.layers.selection = {run}
    run.data.frames.reads.clear()
    hand.press(dock.surface_button)
    hand.wait(lambda: not dock.busy)
    (surface,) = [layer for layer in viewer.layers if isinstance(layer, Surface)]
    assert surface.name == "run frame 2 surface"
    assert viewer.dims.ndisplay == 3
    assert [layer.visible for layer in (run, stack, surface)] == [False, False, True]
    assert {int(n) for read in run.data.frames.reads for n in read} == {2}  # not the whole run
    height, y, x = surface.data[0].T
    assert (height.max(), y[height.argmax()], x[height.argmax()]) == (32, 32, 56)
    shot = viewer.screenshot(canvas_only=True, flash=False)[..., :3].astype(float)
    lit = (shot.max(axis=-1) > 40).mean()
    assert 0.05 < lit < 0.9  # it is there, and whole
    viewer.dims.ndisplay = 2
    assert [layer.visible for layer in (run, stack, surface)] == [True, True, False]
    assert viewer.dims.current_step[0] == 2


def test_average_adds_the_mean_of_the_runs_ticked(viewer, hand, dock, layers, frames, messages):
    _, stack = layers
    hand.run(dock)
    (mean,) = [layer for layer in viewer.layers if layer.name == "run mean"]
    np.testing.assert_allclose(mean.data, frames.mean(axis=0), rtol=1e-6)
    (step,) = mean.metadata["history"]
    assert (step.name, step.facts["frames"], step.facts["shifted"]) == ("stack", 5, False)
    hand.wait(lambda: names(dock) == ["run mean", "stack", "run"])
    tick(dock, mean, on=False)
    tick(dock, layers[0], on=False)
    assert dock.layers.chosen == [stack]
    hand.press(dock.run_button)
    ((severity, text),) = messages()
    assert severity == "error"
    assert "tick a run" in text


def test_nothing_ticked_is_reported(hand, messages):
    dock = hand.dock("compare")
    for button in (dock.run_button, dock.surface_button, dock.save_button):
        hand.press(button)
        ((severity, text),) = messages()
        assert severity == "error"
        assert "first" in text


def test_the_figure_is_saved_where_it_is_asked_for(hand, dock, tmp_path, monkeypatch, messages):
    from qtpy.QtWidgets import QFileDialog

    path = tmp_path / "figure.png"
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *a: (str(path), ""))
    colours = dict(dock.canvas._colours)
    hand.press(dock.save_button)
    assert path.read_bytes().startswith(b"\x89PNG")
    assert dock.canvas._colours == colours
    path = tmp_path / "figure.txt"
    hand.press(dock.save_button)
    ((_, text),) = messages()
    assert ".pdf" in text
    assert not path.exists()


def test_a_closed_dock_follows_nothing(viewer, dock, layers):
    _, stack = layers
    viewer.window.remove_dock_widget("all")
    assert dock._followed == []
    viewer.dims.set_current_step(0, 3)
    stack.data = star(40, 45, 900)
    viewer.theme = "light"
    viewer.add_image(np.ones((20, 20)))
    stack.visible = False
    assert not dock._timer.isActive()


def test_stacks_are_ticked_at_first_and_parameters_are_remembered(viewer, hand):
    from napari_lucky.frames.history import Record

    viewer.add_image(np.ones((64, 64)), name="plain")
    history = {"history": (Record("stack"),)}
    viewer.add_image(star(40, 40, 100), name="focus", metadata=history)
    viewer.add_image(star(30, 50, 50), name="defocus", metadata=history)
    dock = hand.dock("compare")
    assert [layer.name for layer in dock.layers.chosen] == ["defocus", "focus"]
    dock.log.value, dock.profile.value = True, "column"
    viewer.window.remove_dock_widget("all")
    again = hand.dock("compare")
    assert (again.log.value, again.profile.value) == (True, "column")
    rows = [getattr(widget, "_list", [widget]) for widget in again._parameters]
    assert all(len(widget.tooltip) > 10 for row in rows for widget in row)


def test_the_dock_is_no_wider_than_the_others(viewer, hand, dock):
    assert dock.widget().minimumSizeHint().width() <= 306  # of 320, with a scroll bar
    assert isinstance(viewer.layers["run"].data, LazyArray)
