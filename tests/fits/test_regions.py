"""Windows as regions of DS9; expected are the lines that DS9 itself writes."""

import numpy as np
import pytest

from napari_lucky.errors import LuckyError
from napari_lucky.fits.regions import (
    point_region,
    read_windows,
    region_file,
    shape_region,
    window_region,
)
from napari_lucky.frames.window import Window
from napari_lucky.viewer.to_layers import rectangle


@pytest.mark.parametrize("window", [Window(0, 0, 4, 6), Window(10, 20, 7, 3), Window(5, 5, 1, 1)])
def test_a_window_comes_back_whichever_way_it_was_written(window, tmp_path):
    for name, line in (
        ("defocus", window_region(window, "defocus")),
        ("focus", shape_region("rectangle", rectangle(window))),
        ("focus", shape_region("rectangle", np.roll(rectangle(window), 1, axis=0))),
    ):
        (tmp_path / "w.reg").write_text(region_file([line]))
        assert read_windows(tmp_path / "w.reg") == {name: window}


def test_pixels_count_from_one_and_x_comes_first():
    """The first pixel is at (1, 1); 4 rows of 6 columns from there are around (3.5, 2.5)."""
    assert window_region(Window(0, 0, 4, 6), "focus") == "box(3.5,2.5,6,4,0) # text={focus}\n"
    assert point_region((7, 9.5, 19)) == "point(20,10.5)\n"
    corners = rectangle(Window(0, 0, 4, 6))
    assert shape_region("ellipse", corners) == "ellipse(3.5,2.5,3,2,0)\n"
    three = np.column_stack([np.full(4, 2.0), corners])  # of a frame
    assert shape_region("rectangle", three, "a {b}") == "box(3.5,2.5,6,4,0) # text={a (b)}\n"
    assert shape_region("line", np.array([[0.0, 1], [2, 3]])) == "line(2,1,4,3)\n"
    assert shape_region("path", np.array([[0.0, 1], [2, 3], [4, 5]])) == "polygon(2,1,4,3,6,5)\n"


def test_regions_of_ds9_are_read(tmp_path):
    text = (
        "# Region file format: DS9 version 4.1\n# Filename: a.fits\n"
        'global color=green font="helvetica 10 normal roman" text={x}\nimage\n'
        "circle(100.5,50.5,8) # color=red\n-box(1,1,1,1,0)\npolygon(1,2,3,4,5,6)\n"
        "box(20.2, 30.1, 10, 12, 180) # text={guide star}\nimage; box 40.5 60.5 20 20 0\n"
    )
    (tmp_path / "w.reg").write_text(text)
    assert read_windows(tmp_path / "w.reg") == {
        "focus": Window(42, 92, 16, 16),
        "guide star": Window(24, 15, 12, 10),
        "defocus": Window(50, 30, 20, 20),
    }


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "no box and no circle"),
        ('fk5\nbox(83.6,22.0,3",3",0)', "its coordinates are fk5"),
        ("image\nbox(10,20,5,5,30)", "cannot be rotated by 30 degrees"),
        ("image\nbox(a,b,5,5)", r"box\(a,b,5,5\) is not understood; expected box\(x,y,width"),
        ("box(3,4)", "is not understood"),
        ("circle(3,4,1e999)", r"expected circle\(x,y,radius\) in pixels"),
    ],
)
def test_what_holds_no_window_is_reported(text, told, tmp_path):
    (tmp_path / "w.reg").write_text(text)
    with pytest.raises(LuckyError, match=rf"w\.reg: .*{told}"):
        read_windows(tmp_path / "w.reg")
