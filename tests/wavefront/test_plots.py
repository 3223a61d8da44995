"""What the pictures of a wavefront show is what was measured."""

from itertools import pairwise

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from made_wavefront import STATIC, made, made_of_stacks
from napari_lucky.wavefront.plots import (
    draw_coefficients,
    draw_mode_variances,
    draw_pictures,
    draw_running,
    draw_selection_bias,
    draw_wavefront,
    draw_wavefront_page,
    write_wavefront_page,
)


@pytest.fixture
def figure():
    made = Figure(figsize=(8, 6), layout="constrained")
    FigureCanvasAgg(made)
    yield made
    made.canvas.draw()  # what cannot be drawn fails here


def test_bars_are_coefficients_and_errors(figure):
    axes = figure.subplots()
    draw_coefficients(axes, STATIC, np.arange(12.0))
    assert [bar.get_height() for bar in axes.patches] == list(STATIC)
    assert [round(bar.get_x() + bar.get_width() / 2) for bar in axes.patches] == list(range(4, 16))
    (errors,) = (c for c in axes.collections if len(c.get_segments()) == 12)
    lengths = [float(np.ptp(segment[:, 1])) for segment in errors.get_segments()]
    assert lengths == pytest.approx(2 * np.arange(12.0))
    labels = [label.get_text() for label in axes.get_xticklabels()]
    assert labels[0] == "defocus 4"
    assert labels[-1] == "15"


@pytest.mark.parametrize("width", [2.9, 8.0])
def test_names_of_many_modes_do_not_touch(figure, width):
    figure.set_size_inches(width, 4)
    axes = figure.subplots()
    draw_coefficients(axes, np.zeros(133), np.ones(133))
    figure.canvas.draw()
    names = [label.get_window_extent() for label in axes.get_xticklabels()]
    assert len(names) > 8
    assert all(one.x1 < other.x0 for one, other in pairwise(names))


def test_running_means_end_at_the_result(figure):
    wavefront, axes = made(), figure.subplots()
    draw_running(axes, wavefront.running_nm)
    ends = sorted(float(line.get_ydata()[-1]) for line in axes.lines)
    assert ends == pytest.approx(sorted(wavefront.coefficients_nm))
    assert list(axes.lines[0].get_xdata()) == [1, 2, 3, 4, 5]
    told = [text.get_text() for text in axes.get_legend().get_texts()]
    assert told[0] == "defocus 4"
    assert told[-1] == "spherical 11"


def test_the_map_is_in_nm_with_y_down(figure):
    wavefront, axes = made(), figure.subplots()
    draw_wavefront(axes, wavefront)
    (shown,) = axes.images
    np.testing.assert_array_equal(shown.get_array().filled(np.nan), wavefront.image_nm)
    assert shown.origin == "upper"
    low, high = shown.get_clim()
    assert low == -high == pytest.approx(-np.nanmax(np.abs(wavefront.image_nm)))
    assert figure.axes[-1].get_ylabel() == "nm"  # the colour bar's
    assert f"{wavefront.rms_nm:.3g} nm rms" in axes.get_title()


def test_measured_model_and_residual_of_both_planes(figure):
    axes = figure.subplots(2, 3).ravel()
    pictures = made().pictures
    draw_pictures(axes, pictures)
    for at in range(2):
        one, two, three = (axes[3 * at + k].images[0] for k in range(3))
        np.testing.assert_array_equal(one.get_array().filled(np.nan), pictures.measured[at])
        np.testing.assert_array_equal(two.get_array().filled(np.nan), pictures.model[at])
        np.testing.assert_array_equal(three.get_array().filled(np.nan), pictures.residual[at])
        assert one.get_clim() == two.get_clim()
        assert three.get_clim()[1] == pytest.approx((4, 3)[at], rel=1e-4)


def test_variances_stand_beside_kolmogorovs(figure):
    wavefront, axes = made(), figure.subplots()
    draw_mode_variances(axes, wavefront)
    frames, theory = axes.lines
    np.testing.assert_array_equal(frames.get_ydata(), wavefront.variance_rad2)
    np.testing.assert_array_equal(theory.get_ydata(), wavefront.kolmogorov_rad2)
    assert axes.get_title() == "D/r0 = 3.25 ± 0.12"


def test_selection_is_shown_from_the_best_frame_to_all(figure):
    wavefront, axes = made(), figure.subplots()
    draw_selection_bias(axes, wavefront)
    curve, result = axes.lines
    best = wavefront.frames.coefficients_nm[-1]
    assert curve.get_ydata()[0] == pytest.approx(wavefront.pupil.rms(best))
    assert curve.get_xdata()[-1] == 1
    assert curve.get_ydata()[-1] == pytest.approx(result.get_ydata()[0])


@pytest.mark.parametrize(
    ("wavefront", "panels"), [(made(), 11), (made(1), 11), (made_of_stacks(), 8)]
)
def test_the_page_holds_all(wavefront, panels, figure):
    figure.set_size_inches(15, 11.5)
    draw_wavefront_page(figure, wavefront)
    assert len(figure.axes) == panels + 1  # and the colour bar


def test_the_page_is_the_same_bits_again(tmp_path):
    for name in ("one.png", "two.png"):
        write_wavefront_page(tmp_path / name, made(), "run $ 星")
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()
