"""Docks of 300 pixels, with names of 60 characters: nothing is cut off, at any step."""

import pytest
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QAbstractItemView, QComboBox, QFormLayout, QLabel, QWidget

from made_wavefront import made
from napari_lucky.docks.elided_combo import shown_text, tooltip_of_choice
from napari_lucky.docks.help_page import help_text
from napari_lucky.wavefront.job import MeasuredWavefront
from napari_lucky.wavefront.summary import mode_rows

LONG = "a_very_long_name_of_a_star_that_was_observed_on_2026-03-14"
DOCKS = [
    ("lead", False),
    ("calibration", True),
    ("cleaning", False),
    ("registration", True),
    ("ranking", True),
    ("stacking", True),
    ("wavefront", False),
    ("compare", False),
    ("figures", True),
]
"""Names, and whether their button is pressed; the others are shown a result."""


def too_wide(dock):
    """Return what reaches beyond a dock, but for cells of a table or a list."""
    inside, room = dock.widget(), dock.viewport().width()
    found = []
    for widget in inside.findChildren(QWidget):
        cells = [view.viewport() for view in inside.findChildren(QAbstractItemView)]
        if widget.isVisible() and not any(cell.isAncestorOf(widget) for cell in cells):
            left = widget.mapTo(inside, widget.rect().topLeft()).x()
            if left < 0 or left + widget.width() > room:
                found.append((type(widget).__name__, widget.objectName(), left, widget.width()))
    return found


def bare_labels(dock):
    """Return the labels beside a field that have no tooltip while the field has one."""
    bare = []
    for layout in dock.widget().findChildren(QFormLayout):
        for row in range(layout.rowCount()):
            item = layout.itemAt(row, QFormLayout.ItemRole.LabelRole)
            if item is not None and isinstance(item.widget(), QLabel) and item.widget().text():
                bare += [] if item.widget().toolTip() else [item.widget().text()]
    return bare


def test_nothing_is_cut_off_in_a_narrow_dock(viewer, hand, messages):
    viewer.open_sample("napari-lucky", "simulated")
    for layer in viewer.layers:
        layer.name = layer.name.replace("sample", LONG)
    window = viewer.window._qt_window
    window.resize(1400, 900)
    for name, press in DOCKS:
        dock = hand.dock(name)
        outer = dock.parent()
        outer.raise_()

        def fits(dock=dock, name=name):
            assert dock.width() <= 300, name
            assert dock.horizontalScrollBar().maximum() == 0, name
            assert too_wide(dock) == [], name

        def check(outer=outer, fits=fits):
            window.resizeDocks([outer], [300], Qt.Orientation.Horizontal)
            hand.qtbot.wait(20)
            hand.wait(fits)

        check()
        assert bare_labels(dock) == []
        if name == "lead":
            hand.wait(lambda dock=dock: not dock.looking)
        if press:
            hand.run(dock)
            assert "error" not in [severity for severity, _ in messages()], name
        if name == "wavefront":
            found = made()
            dock.view.show_wavefront(MeasuredWavefront(found), LONG, mode_rows(found))
            dock.result_buttons.native.show()
        dock.note(f"“{LONG} calibrated” in /runs/{LONG}/{LONG}.fits is long.")
        check()
        for combo in dock.widget().findChildren(QComboBox):
            if LONG in combo.currentText() and combo.isVisible():
                whole, seen = combo.currentText(), shown_text(combo)
                assert len(seen) < len(whole) and seen[-3:] == whole[-3:]
                assert tooltip_of_choice(combo).startswith(f"{whole}\n")


def test_a_graph_is_looked_at_in_a_window_and_comes_back(viewer, hand):
    viewer.open_sample("napari-lucky", "simulated")
    dock = hand.dock("calibration")
    hand.run(dock)
    canvas = dock.graph.canvas
    narrow = canvas.width()
    assert canvas.isVisible() and narrow > 0.85 * dock.viewport().width()
    hand.qtbot.mouseClick(dock.graph.larger.button, Qt.MouseButton.LeftButton)
    hand.wait(lambda: canvas.width() > 2 * narrow)
    assert canvas.window() is dock.graph.larger.window_open
    dock.graph.row.value = 7  # what is changed in the dock is seen in the window
    assert "row 7" in " ".join(axes.get_title() for axes in canvas.figure.axes)
    dock.graph.larger.window_open.close()
    hand.wait(lambda: canvas.window() is dock.window() and canvas.width() <= dock.width())


def test_each_dock_opens_its_help(viewer, hand, qtbot):
    for name, _ in DOCKS:
        dock = hand.dock(name)
        qtbot.mouseClick(dock.help_button, Qt.MouseButton.LeftButton)
        title = dock.parent().windowTitle()
        text = help_text(title)
        assert text.startswith(f"## {title}\n")
        assert len(text.split("## In every dock")[0]) > 300
        assert "](../" not in text and "<img" not in text
        assert dock.findChildren(QWidget, "help")[-1].windowTitle() == f"Help: {title}"


@pytest.mark.parametrize("word", ["auto", "auto: 2.37 px"])
def test_the_word_of_an_open_number_is_no_number(hand, word):
    dock = hand.dock("ranking")
    box = dock.forms["rank"]["smooth"]
    box.word = word
    box.native.interpretText()
    assert box.value is None
    assert not dock.notes.text()
