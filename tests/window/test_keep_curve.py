"""The keep-fraction curve of the ranking dock: pressed, drawn, dragged, cancelled, outdated."""

import numpy as np
import pytest
from hands import layer
from test_selection import Ranked

from napari_lucky import Rank, stack_mean
from napari_lucky.imaging import Shifted
from napari_lucky.imaging.star_image import levelled
from napari_lucky.optics import Diffraction
from napari_lucky.plots.panels import KEPT
from napari_lucky.ranking import METRICS, metric
from napari_lucky.viewer.from_layers import frames_of, recipe_of_shifts, recorded_windows_of


@pytest.fixture
def ranked(viewer, hand):
    return Ranked(viewer, hand)


def press_curve(ranked):
    ranked.hand.press(ranked.dock.curve_button)
    ranked.hand.wait(lambda: not ranked.dock.busy)


def drag_in_curve(ranked, fractions):
    """Press on the first fraction, move over the others and let go on the last."""
    graph = ranked.dock.graph
    graph.draw()
    middle = np.mean(graph._under.get_ylim())
    told = []
    for kind, fraction in zip(
        ["mousePress"] + ["mouseMove"] * (len(fractions) - 1), fractions, strict=True
    ):
        ranked.mouse(kind, graph._under, fraction, middle)
        told.append((graph._count, graph._under.get_title(), ranked.dock.summary.text()))
    ranked.mouse("mouseRelease", graph._under, fractions[-1], middle)
    return told


def test_the_curve_drawn_is_of_the_stacks_and_moves_the_cut(ranked, messages):
    dock, graph = ranked.dock, ranked.dock.graph
    assert graph.curve is None
    assert dock.curve_button.enabled
    press_curve(ranked)
    assert messages() == []
    (drawn,) = [line for line in graph._under.lines if line is not graph._line]
    (noise,) = graph._right.lines
    assert graph._under.get_xscale() == "log"
    run, (focus, _) = dock.image.value, recorded_windows_of(ranked.shifts)
    shifted = Shifted(frames_of(run), ranked.shifts.features[["dy", "dx"]].to_numpy())
    n = len(ranked.order)
    for count in (1, 10, n):
        image = stack_mean(shifted, np.array(ranked.order[:count]), focus).image
        star = np.nan_to_num(levelled(image[None]))
        expected = METRICS["peak-over-flux"](star)[0]
        fraction, sharpness = drawn.get_xydata()[count - 1]
        assert fraction == pytest.approx(count / n)
        assert sharpness == pytest.approx(expected, rel=1e-5)
    assert np.all(np.diff(noise.get_ydata()[5:]) < 0)

    assert graph._line.get_xdata()[0] == pytest.approx(10 / n)
    assert graph._under.get_title() == graph.curve.describe(10)
    assert graph._under.get_title().startswith("10 of 60 frames (16.7 %): peak/flux 0.0")
    ranked.hand.wait(lambda: graph.height() >= 500)
    told = drag_in_curve(ranked, [10 / n, 20 / n, 40 / n])
    for (count, title, kept), wanted in zip(told, (10, 20, 40), strict=True):
        assert abs(count - wanted) <= 2
        assert title == graph.curve.describe(count)  # while the mouse drags
        assert kept.startswith(f"{count} of {n} frames (")
    count = told[-1][0]
    assert ranked.kept == set(ranked.order[:count])
    assert dock.cut.keep_box.value == count
    assert graph._cut[0].get_xdata()[0] == count + 0.5  # the other line came along
    assert graph._cut[0].get_color() == graph._line.get_color() == KEPT

    ranked.drag(25)  # in the sorted graph, and the curve's line comes along
    count = len(ranked.kept)
    assert 23 <= count <= 27
    assert graph._line.get_xdata()[0] == pytest.approx(count / n)
    assert graph._under.get_title() == graph.curve.describe(count)
    dock.cut.keep_box.value = 33
    assert graph._under.get_title() == graph.curve.describe(33)


def test_with_the_sampling_it_is_the_strehl_ratio(ranked):
    ranked.dock.forms["rank"]["sampling"].value = 6
    ranked.dock.forms["rank"]["obstruction"].value = 0.3
    press_curve(ranked)
    assert ranked.dock.graph._under.get_ylabel() == "Strehl ratio"
    assert ranked.dock.graph.curve.strehl is not None


def test_it_is_dropped_with_its_ranking(ranked, messages):
    press_curve(ranked)
    ranked.hand.run(ranked.dock)
    assert ranked.dock.graph.curve is None
    assert len(ranked.dock.graph.figure.axes) == 2
    ranked.drag(25)
    assert 23 <= len(ranked.kept) <= 27
    ranked.viewer.layers.remove(ranked.shifts)
    ranked.hand.press(ranked.dock.curve_button)
    ((severity, text),) = messages()
    assert severity == "error"
    assert "press Run first" in text


def test_it_can_be_cancelled(ranked, slow_frames, monkeypatch, messages):
    frames = slow_frames(n=len(ranked.order), seconds=0.5)
    monkeypatch.setattr("napari_lucky.docks.ranking_result.frames_of", lambda layer: frames)
    ranked.hand.press(ranked.dock.curve_button)
    ranked.hand.wait(lambda: frames.reads > 0)
    assert not ranked.dock.run_button.enabled
    ranked.hand.press(ranked.dock.cancel_button)
    ranked.hand.wait(lambda: not ranked.dock.busy)
    assert ranked.dock.graph.curve is None
    assert ranked.dock.notes.text() == "Cancelled; nothing was changed."


def test_a_metric_of_ones_own_shows_in_the_dock_and_ranks(ranked, messages):
    form = ranked.dock.forms["rank"]
    try:

        @metric("dullness")
        def dullness(image):
            """−max I."""
            return -image.max((1, 2))

        ranked.viewer.add_points([[0, 0, 0]])  # the dock takes up its choices
        assert "dullness" in form["metric"].choices
        assert "dullness: −max I" in form["metric"].tooltip
        assert form["metric"].value == "peak"
        form["metric"].value = "dullness"
        ranked.hand.run(ranked.dock)
        worst_first = layer(ranked.viewer, "kept, best first").data
        assert ranked.kept == set(ranked.order[-10:])
        assert ranked.step["metric"] == "dullness"
        assert worst_first.shape[0] == 10
    finally:
        METRICS.pop("dullness", None)


def test_what_a_metric_needs_is_asked_for_and_recorded(ranked, messages):
    form = ranked.dock.forms["rank"]
    form["metric"].value = "psf-correlation"
    ranked.hand.run(ranked.dock)
    ((severity, text),) = messages()
    assert severity == "error"
    assert "px per λ/D" in text
    form["sampling"].value, form["obstruction"].value = 6, 0.25
    ranked.hand.run(ranked.dock)
    assert messages() == []
    assert (ranked.step["sampling"], ranked.step["obstruction"]) == (6, 0.25)
    assert recipe_of_shifts(ranked.shifts)[Rank].diffraction == Diffraction(
        6, 0.25
    )  # all frames get it
    assert np.isfinite(ranked.shifts.features["quality"]).all()
