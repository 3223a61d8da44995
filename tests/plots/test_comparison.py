import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from napari_lucky import LuckyError
from napari_lucky.imaging import row_cut
from napari_lucky.plots.comparison import Compared, Comparison, Look, limits_of, save_figure


def compared(name, level, side=32):
    image = np.full((side, side), level, np.float32)
    image[side // 2, side // 2] = 10 * level
    return Compared(name, image, row_cut(image, (side // 2, side // 2)))


def drawn(layers, look, width=400):
    figure = Figure(figsize=(width / 100, 6))
    FigureCanvasAgg(figure)
    made = Comparison(figure, [layer.name for layer in layers], look, width)
    figure.set_size_inches(width / 100, made.height / 100)
    made.show(layers)
    figure.canvas.draw()
    return made


def test_limits_are_own_or_shared():
    images = [np.arange(101.0), None, np.array([-5.0, np.nan, 7, 7]), np.array([np.nan])]
    own = limits_of(images, False)
    assert own[0] == (5, 100)
    assert np.isnan(own[1]).all()
    assert np.isnan(own[3]).all()
    assert own[2][1] == 7
    assert limits_of(images, True) == [(own[2][0], 100)] * 4
    assert limits_of([], True) == []


def test_panels_show_the_pixels_at_their_offsets_and_are_linked():
    layers = [compared("one", 1), compared("two", 5)]
    made = drawn(layers, Look(side=32))
    for panel, layer in zip(made.panels, layers, strict=True):
        np.testing.assert_array_equal(panel.image.get_array(), layer.image)
        assert panel.image.get_extent() == [-16.5, 15.5, 15.5, -16.5]
    assert made.view == made.whole
    made.panels[1].axes.set(xlim=(-3, 4), ylim=(4, -3))
    assert made.view == ((-3, 4), (4, -3))
    assert [panel.image.get_clim() for panel in made.panels] == [(1, 10), (5, 50)]
    same = drawn(layers, Look(side=32, same=True))
    assert [panel.image.get_clim() for panel in same.panels] == [(1, 50), (1, 50)]


@pytest.mark.parametrize("log", [False, True])
def test_lines_are_the_profiles_or_normalised(log):
    layers = [compared("one", 1), compared("two", 5)]
    made = drawn(layers, Look(side=32, log=log))
    np.testing.assert_array_equal(made.lines[1].get_ydata(), layers[1].profile.value)
    np.testing.assert_array_equal(made.lines[1].get_xdata(), np.arange(32) - 16)
    made = drawn(layers, Look(side=32, log=log, normalise=True))
    assert [line.get_ydata().max() for line in made.lines] == [1, 1]
    assert made.axes.get_yscale() == ("log" if log else "linear")


@pytest.mark.parametrize("log", [False, True])
@pytest.mark.parametrize("normalise", [False, True])
def test_layers_without_light_or_pixels_are_no_trouble(log, normalise):
    dark, nothing = compared("dark", 0), Compared("a $ b $ c", note="All pixels are masked.")
    made = drawn([dark, nothing], Look(side=32, log=log, normalise=normalise, same=True))
    assert not made.panels[1].image.get_visible()
    assert len(made.lines[1].get_xdata()) == 0


@pytest.mark.parametrize(("width", "columns"), [(120, 1), (290, 2), (420, 3), (900, 5)])
def test_panels_stand_side_by_side_where_there_is_room(width, columns):
    layers = [compared(f"a layer with a long name {k}", 1) for k in range(5)]
    made = drawn(layers, Look(side=32), width)
    boxes = [panel.axes.get_position() for panel in made.panels]
    assert len({round(box.x0, 6) for box in boxes}) == columns
    high = [box.height * made.height for box in boxes]
    assert min(high) > 60
    low = min(box.y0 for box in boxes)
    assert low > made.axes.get_position().y1
    assert max(box.y1 for box in boxes) < 1


def test_a_figure_is_written_whole_and_only_as_a_figure(tmp_path):
    made = drawn([compared("a star", 1)], Look(side=32))
    for suffix, start in ((".png", b"\x89PNG"), (".pdf", b"%PDF"), (".SVG", b"<?xml")):
        path = tmp_path / f"figure{suffix}"
        save_figure(path, made.figure)
        assert path.read_bytes().startswith(start)
    assert len(list(tmp_path.iterdir())) == 3
    with pytest.raises(LuckyError, match="png"):
        save_figure(tmp_path / "figure.fits", made.figure)
    with pytest.raises(LuckyError, match="cannot be written"):
        save_figure(tmp_path / "nowhere" / "figure.png", made.figure)
