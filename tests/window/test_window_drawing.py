"""Windows being drawn: hints on the canvas, squares, and a refusal of other shapes."""

import numpy as np


def rectangle(y0, x0, y1, x1):
    return np.array([[y0, x0], [y0, x1], [y1, x1], [y1, x0]]) - 0.5


def hint(viewer):
    canvas = getattr(viewer, "canvas", None)
    overlay = viewer.text_overlay if canvas is None else canvas.overlays.text
    return overlay.text if overlay.visible else ""


def test_windows_are_drawn_with_hints_and_become_squares(viewer, hand, messages):
    viewer.open_sample("napari-lucky", "simulated")
    lead, register = hand.dock("lead"), hand.dock("registration")
    hand.wait(lambda: not lead.looking)
    hand.press(register.draw_button)
    windows = viewer.layers["sample run windows"]
    assert register.windows.value is windows and len(windows.data) == 0  # drawn anew
    assert hint(viewer) == "Draw a rectangle around the focused star"
    windows.add_rectangles(rectangle(60, 350, 180, 450))
    assert "Now draw one around the defocused star" in hint(viewer)
    assert "focus 120 x 100 px" in hint(viewer)
    hand.wait(lambda: "focus 120 x 120 px" in hint(viewer))
    windows.add_rectangles(rectangle(40, -20, 200, 100))  # beyond the edge
    hand.wait(lambda: "defocus 160 x 160 px" in hint(viewer))
    assert windows.mode == "select"
    assert windows.data[1].min(axis=0).tolist() == [39.5, -0.5]
    assert list(windows.features["window"]) == ["focus", "defocus"]
    windows.add_ellipses(rectangle(10, 10, 30, 50))
    ((severity, text),) = messages()
    assert severity == "warning" and "holds an ellipse: a window is a rectangle" in text
    assert "a window is a rectangle" in hint(viewer).replace("\n", " ")
    windows.selected_data = {2}
    windows.remove_selected()
    assert hint(viewer).startswith("Drag a window to move it")
    viewer.layers.selection.active = viewer.layers["sample run"]
    assert hint(viewer) == ""

    assert lead.stars.lines["focus"].value == "120,400,120"
    hand.press(lead.stars.draw_button)
    assert len(windows.data) == 0 and windows.mode == "add_rectangle"
    assert lead.stars.windows == (None, None)
    windows.add_rectangles(rectangle(70, 350, 170, 420))
    hand.wait(lambda: windows.data[0].min(axis=0).tolist() == [69.5, 334.5])
    assert lead.stars.lines["focus"].value == "120,385,100"
    assert "focus 100 x 100 px" in hint(viewer)
