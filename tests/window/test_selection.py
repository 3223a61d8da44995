"""The kept frames: by a quality, by hand in the graph, with the button, and in tables."""

import numpy as np
import pytest
from hands import layer
from napari.layers import Layer, Vectors
from qtpy.QtCore import QPoint, Qt

from napari_lucky import Window, select, stack_mean
from napari_lucky.frames import ArrayFrames
from napari_lucky.imaging import Shifted
from napari_lucky.plots.panels import BY_HAND, KEPT, LEFT
from napari_lucky.ranking import ManualSelection, apply_selection
from napari_lucky.viewer.from_layers import frames_of
from napari_lucky.viewer.to_layers import image_tuple, windows_tuple

N = 60
CTRL, PLAIN = Qt.KeyboardModifier.ControlModifier, Qt.KeyboardModifier.NoModifier


def stars():
    """Return frames of a wandering Gaussian star whose height differs from frame to frame."""
    rng = np.random.default_rng(6)
    y, x = np.mgrid[:64, :64]
    frames = [
        100 + height * np.exp(-((y - dy) ** 2 + (x - dx) ** 2) / 12)
        for height, (dy, dx) in zip(
            rng.permutation(np.linspace(300, 900, N)), rng.uniform(27, 37, (N, 2)), strict=True
        )
    ]
    return ArrayFrames((frames + rng.normal(0, 2, (N, 64, 64))).astype(np.float32))


class Ranked:
    """A run, registered and ranked, ten frames kept."""

    def __init__(self, viewer, hand, frames=""):
        self.viewer, self.hand = viewer, hand
        run = image_tuple(stars(), "run", contrast_limits=(0, 1000))
        for made in (run, windows_tuple([Window(8, 8, 48, 48)])):
            viewer.add_layer(Layer.create(*made))
        if frames:
            calibration = hand.dock("calibration")
            calibration.frames.value = frames
            hand.run(calibration)
        hand.run(hand.dock("registration"))
        self.dock = hand.dock("ranking")
        self.dock.cut.keep_box.value = 10
        hand.run(self.dock)
        self.shifts = layer(viewer, "shifts", Vectors)
        self.quality = self.shifts.features["quality"].to_numpy()
        self.order = np.argsort(-self.quality).tolist()

    @property
    def kept(self):
        return set(np.flatnonzero(self.shifts.features["selected"]))

    @property
    def step(self):
        rank, select = self.shifts.metadata["history"][-2:]
        assert (rank.name, select.name) == ("rank", "select")
        return rank.parameters | select.parameters | select.facts

    def shown_kept(self):
        """Return the frames of the layer of kept ones, found by their pixels."""
        registered = layer(self.viewer, "registered").data
        block = np.nan_to_num(registered[:])
        kept = np.nan_to_num(layer(self.viewer, "kept, best first").data[:])
        return [int(np.flatnonzero((block == one).all(axis=(1, 2)))[0]) for one in kept]

    def mouse(self, kind, axes, x, y, button=Qt.MouseButton.LeftButton, keys=PLAIN):
        graph = self.dock.graph
        px, py = axes.transData.transform((x, y))
        ratio = graph.device_pixel_ratio
        at = QPoint(round(px / ratio), round(graph.height() - py / ratio))
        if kind == "mouseMove":
            self.hand.qtbot.mouseMove(graph, pos=at)
        else:
            getattr(self.hand.qtbot, kind)(graph, button, keys, pos=at)

    def click(self, frame, **how):
        self.hand.wait(lambda: self.dock.graph.width() > 50)
        self.dock.graph.draw()
        self.mouse("mouseClick", self.dock.graph._over_frame, frame, self.quality[frame], **how)

    def drag(self, count):
        self.hand.wait(lambda: self.dock.graph.width() > 50)
        self.dock.graph.draw()
        axes = self.dock.graph._sorted
        middle = np.mean(axes.get_ylim())
        self.mouse("mousePress", axes, 5.5, middle)
        self.mouse("mouseMove", axes, count + 0.5, middle)
        self.mouse("mouseRelease", axes, count + 0.5, middle)


@pytest.fixture
def ranked(viewer, hand):
    return Ranked(viewer, hand)


def test_frames_above_a_quality_are_kept(ranked, messages):
    cut = ranked.dock.cut
    cut.above_box.native.stepUp()
    assert isinstance(cut.above_box.value, float)
    assert ranked.kept == set(ranked.order[:10])  # the cut stays where it was
    wanted = float(ranked.quality[ranked.order[17]])
    cut.above_box.value = wanted
    assert ranked.kept == set(ranked.order[:18])
    assert ranked.step["above"] == wanted
    assert ranked.dock.summary.text() == "18 of 60 frames (30 %) kept"
    ranked.drag(25)
    count = len(ranked.kept)
    assert 23 <= count <= 27
    assert ranked.kept == set(ranked.order[:count])
    above = cut.above_box.value
    assert ranked.quality[ranked.order[count]] < above <= ranked.quality[ranked.order[count - 1]]
    assert messages() == []
    cut.above_box.value = 1e9
    assert "the best has" in ranked.dock.summary.text()
    assert len(ranked.kept) == count  # as before
    ranked.hand.run(ranked.dock)
    ((severity, text),) = messages()
    assert severity == "error"
    assert f"{ranked.quality.max():g}" in text


@pytest.mark.parametrize(
    "how", [{"keys": CTRL}, {"button": Qt.MouseButton.RightButton}], ids=["ctrl", "right"]
)
def test_a_click_in_the_graph_keeps_and_drops(ranked, how):
    worst, best = ranked.order[-1], ranked.order[0]
    frame = ranked.viewer.dims.current_step[0]
    ranked.click(worst, **how)
    ranked.click(best, **how)
    assert ranked.viewer.dims.current_step[0] == frame  # only a plain click shows the frame
    expected = set(ranked.order[1:10]) | {worst}
    assert ranked.kept == expected
    assert ranked.dock.summary.text() == (
        "10 of 60 frames (16.7 %) kept: 10 by the cut, 1 added, 1 dropped"
    )
    assert (ranked.step["add"], ranked.step["drop"]) == ([worst], [best])
    assert (ranked.step["keep"], ranked.step["kept"]) == (10, 10)
    assert ranked.shown_kept() == [f for f in ranked.order if f in expected]
    from matplotlib.colors import to_rgb

    points = ranked.dock.graph._points
    rings, faces = (some[:, :3] for some in (points.get_edgecolors(), points.get_facecolors()))
    ringed = np.flatnonzero((rings == to_rgb(BY_HAND)).all(axis=1))
    assert set(ringed) == {worst, best}
    np.testing.assert_allclose(faces[worst], to_rgb(KEPT))
    np.testing.assert_allclose(faces[best], to_rgb(LEFT))
    ranked.click(worst, **how)  # and back
    assert ranked.dock.summary.text() == (
        "9 of 60 frames (15 %) kept: 10 by the cut, 1 dropped; few for a stack"
    )


def test_changes_by_hand_outlive_the_cut_until_undone_or_run(ranked):
    worst, best = ranked.order[-1], ranked.order[0]
    ranked.dock.toggle(worst)
    ranked.dock.toggle(best)
    ranked.dock.cut.keep_box.value = 20
    assert ranked.kept == set(ranked.order[1:20]) | {worst}
    ranked.drag(30)
    count = ranked.dock.cut.keep_box.value
    assert 28 <= count <= 32
    assert ranked.kept == set(ranked.order[1:count]) | {worst}
    ranked.hand.press(ranked.dock.undo_button)
    assert ranked.kept == set(ranked.order[:count])
    assert not ranked.dock.undo_button.enabled
    assert ranked.step["add"] == []
    ranked.dock.toggle(worst)
    assert ranked.dock.undo_button.enabled
    ranked.hand.run(ranked.dock)
    assert ranked.kept == set(ranked.order[:count])


def test_the_button_says_what_it_does_to_the_frame_shown(ranked):
    worst, best = ranked.order[-1], ranked.order[0]
    button = ranked.dock.toggle_button
    ranked.viewer.dims.set_current_step(0, worst)
    assert button.text == f"Keep the frame shown ({worst})"
    ranked.hand.press(button)
    assert worst in ranked.kept
    assert button.text == f"Drop the frame shown ({worst})"
    ranked.viewer.dims.set_current_step(0, best)
    assert button.text == f"Drop the frame shown ({best})"
    ranked.hand.press(button)
    assert ranked.kept == set(ranked.order[1:10]) | {worst}


def test_the_last_frame_cannot_be_dropped(ranked, messages):
    ranked.dock.cut.keep_box.value = 1
    ranked.dock.toggle(ranked.order[0])
    ((severity, text),) = messages()
    assert severity == "error"
    assert "keep one" in text
    assert ranked.kept == {ranked.order[0]}


def test_the_table_shows_sorts_and_changes_the_choice(ranked):
    table = ranked.dock.table
    model = table.model()
    assert (model.rowCount(), model.columnCount()) == (N, 4)
    table.sortByColumn(2, Qt.SortOrder.DescendingOrder)
    assert [model.index(row, 0).data() for row in range(N)] == ranked.order
    role = Qt.ItemDataRole.CheckStateRole

    def checked():
        cells = [model.index(row, 3) for row in range(N)]
        return [cell.data(role) == Qt.CheckState.Checked for cell in cells]

    assert checked() == [True] * 10 + [False] * 50
    ranked.hand.wait(lambda: table.isVisible())
    ranked.hand.qtbot.mouseClick(
        table.viewport(),
        Qt.MouseButton.LeftButton,
        pos=table.visualRect(model.index(1, 0)).center(),
    )
    assert ranked.viewer.dims.current_step[0] == ranked.order[1]
    assert model.setData(model.index(0, 3), Qt.CheckState.Unchecked, role)
    assert model.setData(model.index(40, 3), Qt.CheckState.Checked, role)
    assert ranked.kept == set(ranked.order[1:10]) | {ranked.order[40]}
    assert checked() == [False] + [True] * 9 + [False] * 30 + [True] + [False] * 19
    ranked.dock.cut.keep_box.value = 12
    assert sum(checked()) == 12
    table.sortByColumn(3, Qt.SortOrder.DescendingOrder)
    assert checked() == [True] * 12 + [False] * 48


def test_a_choice_written_into_the_features_is_followed(ranked):
    features = ranked.shifts.features.copy()
    features.loc[[ranked.order[0], ranked.order[-1]], "selected"] = [False, True]
    ranked.shifts.features = features
    expected = set(ranked.order[1:10]) | {ranked.order[-1]}
    assert set(ranked.shown_kept()) == expected
    assert ranked.dock.summary.text() == (
        "10 of 60 frames (16.7 %) kept: 10 by the cut, 1 added, 1 dropped"
    )
    assert (ranked.step["add"], ranked.step["drop"]) == ([ranked.order[-1]], [ranked.order[0]])


@pytest.mark.parametrize("by", ["dock", "features table"])
def test_exactly_the_chosen_frames_are_stacked_and_recorded(ranked, by):
    worst, best = ranked.order[-1], ranked.order[0]
    if by == "dock":
        ranked.dock.toggle(worst)
        ranked.dock.toggle(best)
    else:  # napari's own table writes into the features and tells nobody
        window = ranked.viewer.window
        table = window.add_plugin_dock_widget("napari", "Features table widget")[1]
        ranked.viewer.layers.selection = {ranked.shifts}
        table.toggle.setChecked(True)
        model = table.table.model().sourceModel()
        column = 1 + list(model.df.columns).index("selected")
        for frame, state in ((worst, Qt.CheckState.Checked), (best, Qt.CheckState.Unchecked)):
            cell = model.index(frame, column)
            assert model.setData(cell, state, Qt.ItemDataRole.CheckStateRole)
    expected = np.array(sorted(set(ranked.order[1:10]) | {worst}))
    assert ranked.kept == set(expected)
    ranked.hand.run(ranked.hand.dock("stacking"))
    stacked = layer(ranked.viewer, "run focus")
    run = ranked.dock.image.value
    shifts = ranked.shifts.features[["dy", "dx"]].to_numpy()
    y, x = stacked.metadata["origin"]
    window = Window(y, x, *stacked.data.shape)
    by_us = stack_mean(Shifted(frames_of(run), shifts), expected, window).image
    np.testing.assert_array_equal(stacked.data, by_us)
    step = next(s for s in stacked.metadata["history"] if s.name == "select")
    assert (step.parameters["add"], step.parameters["drop"]) == ([worst], [best])
    assert step.facts["kept"] == 10
    ranked.dock.cut.keep_box.value = 11  # what was changed in the table is not lost
    assert ranked.kept == set(expected) | {ranked.order[10]}


def test_frame_numbers_recorded_are_those_of_the_run(viewer, hand):
    ranked = Ranked(viewer, hand, frames="10:50:2")
    assert len(ranked.quality) == 20
    worst, best = ranked.order[-1], ranked.order[0]
    ranked.dock.toggle(worst, best)
    assert ranked.kept == set(ranked.order[1:10]) | {worst}
    assert ranked.step["add"] == [10 + 2 * worst]
    assert ranked.step["drop"] == [10 + 2 * best]
    told, numbers = ranked.step, np.arange(10, 50, 2)
    cut = select(ranked.quality, told["keep"], above=told.get("above"))
    by_hand = ManualSelection(tuple(told["add"]), tuple(told["drop"]))  # as a recipe does it
    assert set(apply_selection(ranked.quality, cut, by_hand, numbers)) == ranked.kept
    model, points = ranked.dock.table.frames, ranked.dock.graph._points
    assert [int(model.data(model.index(row, 0))) for row in range(20)] == numbers.tolist()
    np.testing.assert_array_equal(points.get_offsets()[:, 0], numbers)
    ranked.viewer.dims.set_current_step(0, 5)
    assert ranked.dock.toggle_button.text.endswith("the frame shown (20)")


def test_a_closed_dock_follows_no_more(ranked, messages):
    kept = layer(ranked.viewer, "kept, best first").data
    ranked.viewer.window.remove_dock_widget("all")
    ranked.hand.qtbot.wait(50)
    features = ranked.shifts.features.copy()
    features.loc[ranked.order[-1], "selected"] = True
    ranked.shifts.features = features
    ranked.viewer.dims.set_current_step(0, 5)
    assert messages() == []
    assert ranked.kept == set(ranked.order[:10]) | {ranked.order[-1]}
    ranked.hand.run(ranked.hand.dock("stacking"))
    history = layer(ranked.viewer, "run focus").metadata["history"]
    assert next(s for s in history if s.name == "select").parameters["add"] == [ranked.order[-1]]
    assert kept.shape[0] == 10
