import numpy as np
import pytest
from scipy import ndimage, special
from scipy.signal import correlate2d

from napari_lucky import LuckyError, Window
from napari_lucky.fits import FrameTable
from napari_lucky.frames import ArrayFrames
from napari_lucky.imaging import Shifted
from napari_lucky.imaging.interpolation import MARGIN, _weight_beside, interpolate, kernel
from napari_lucky.imaging.shifts import as_shifts
from napari_lucky.registration import Registration

RNG = np.random.default_rng(2)


def test_whole_pixels_move_exactly_and_nothing_wraps():
    frame = RNG.normal(size=(20, 30)).astype(np.float32)
    shifts = np.array([[0, 0], [3, -4], [-5, 6], [25, 0]], float)
    made = Shifted(ArrayFrames(np.stack([frame] * 4)), shifts).read(slice(None))
    for image, (dy, dx) in zip(made, shifts.astype(int), strict=True):
        expected = np.full((20, 30), np.nan, np.float32)
        for y in range(20):
            for x in range(30):
                if 0 <= y + dy < 20 and 0 <= x + dx < 30:
                    expected[y + dy, x + dx] = frame[y, x]
        assert np.array_equal(image, expected, equal_nan=True)


def test_a_window_takes_real_pixels_from_beyond_its_edge():
    frame = RNG.normal(size=(40, 50)).astype(np.float32)
    window = Window(10, 20, 12, 14)
    made = Shifted(ArrayFrames(frame), np.array([[4.0, -6.0]])).read(slice(None), window)
    assert np.array_equal(made[0], frame[6:18, 26:40])


@pytest.mark.parametrize("subpixel", [True, False])
def test_windows_agree_with_the_whole_frame(subpixel):
    frames = RNG.normal(size=(5, 40, 50)).astype(np.float32)
    frames[:, 20, 20] = np.nan
    shifted = Shifted(ArrayFrames(frames), RNG.uniform(-8, 8, (5, 2)), subpixel)
    window = Window(0, 30, 25, 20)
    whole = shifted.read(slice(None))[(slice(None), *window.slices)]
    part = shifted.read(np.array([4, 0, 2]), window)
    np.testing.assert_allclose(part, whole[[4, 0, 2]], rtol=1e-5, atol=1e-5)


def test_fractions_of_a_pixel_move_a_star_and_keep_its_flux():
    y, x = np.mgrid[:60, :60]

    def star(y0, x0):
        return np.exp(-((y - y0) ** 2 + (x - x0) ** 2) / 18).astype(np.float32)

    for dy, dx in [(0.5, -0.5), (2.3, -3.7), (-0.01, 0.49)]:
        made = Shifted(ArrayFrames(star(30, 30)), np.array([[dy, dx]])).read(slice(None))[0]
        inner = np.isfinite(made)
        np.testing.assert_allclose(made[inner], star(30 + dy, 30 + dx)[inner], atol=2e-3)
        assert np.nansum(made) == pytest.approx(star(30, 30).sum(), rel=1e-4)


def test_interpolation_keeps_a_quadratic():
    y, x = np.mgrid[-10:10, -10:10].astype(np.float32)

    def surface(y, x):
        return 3 + 2 * y - x + 0.25 * y * y + 0.1 * x * y

    made = interpolate(surface(y, x), np.array([0.3, -0.4]))
    inner = (slice(MARGIN, -MARGIN),) * 2
    np.testing.assert_allclose(made, surface(y - 0.3, x + 0.4)[inner], rtol=1e-5, atol=3e-4)


def test_a_masked_pixel_is_masked_and_its_neighbours_are_not():
    image = np.full((21, 21), 7, np.float32)
    image[10, 10] = np.nan
    made = interpolate(image, np.array([0.2, 0.1]))
    assert np.argwhere(np.isnan(made)).tolist() == [[10 - MARGIN, 10 - MARGIN]]
    np.testing.assert_allclose(made[np.isfinite(made)], 7, rtol=1e-6)


def test_rounding_instead_of_interpolating():
    frame = RNG.normal(size=(20, 20)).astype(np.float32)
    made = Shifted(ArrayFrames(frame), np.array([[1.4, -2.6]]), subpixel=False).read(slice(None))
    expected = ndimage.shift(frame, (1, -3), order=0, cval=np.nan)
    assert np.array_equal(made[0], expected, equal_nan=True)


def test_a_frame_without_a_shift_is_masked():
    shifts = np.array([[0, 0], [np.nan, np.nan]])
    made = Shifted(ArrayFrames(np.ones((2, 9, 9), np.float32)), shifts).read(slice(None))
    assert np.isnan(made[1]).all()
    assert (made[0] == 1).all()


def test_shifts_of_another_run_are_reported():
    with pytest.raises(LuckyError, match="3 shifts for 2 frames"):
        Shifted(ArrayFrames(np.ones((2, 9, 9))), np.zeros((3, 2)))


@pytest.mark.parametrize(("sampling", "worst"), [(2, 6e-3), (3, 3e-4), (5, 3e-5), (12, 5e-6)])
def test_a_star_is_moved_exactly_its_core_included(sampling, worst):
    """Against an obstructed Airy pattern, integrated over pixels, computed where it lands."""
    nodes, parts = np.polynomial.legendre.leggauss(6)

    def airy(at, side=64 + 2 * MARGIN):
        y, x = ((np.arange(side)[:, None] - side // 2 - d + nodes / 2).ravel() for d in at)
        v = np.pi * np.maximum(np.hypot(y[:, None], x), 1e-9) / sampling
        light = (2 * special.j1(v) - 0.3 * 2 * special.j1(0.3 * v)) / v / 0.91
        return np.einsum("yaxb,a,b->yx", (light**2).reshape(side, 6, side, 6), parts, parts) / 4

    inner = (slice(MARGIN, -MARGIN),) * 2
    for start in np.array([[0.0, 0.0], [0.5, -0.5]]):
        star = airy(start)
        for rest in np.array([[0.5, 0.5], [0.25, -0.4], [0.0, -0.1]]):
            truth = airy(start + rest)[inner]
            made = interpolate(star.astype(np.float32), rest)
            assert np.abs(made - truth).max() < worst * truth.max()
            assert made.sum(dtype=float) == pytest.approx(truth.sum(), rel=2e-5)


def test_a_kernel_keeps_the_sum_and_moves_no_slope_and_its_mirror_image_moves_back():
    for fraction in (0, 0.1, 0.25, 0.5):
        weights = kernel(fraction)
        assert weights.sum() == pytest.approx(1, abs=1e-14)
        assert weights @ np.arange(-MARGIN, MARGIN + 1) == pytest.approx(-fraction, abs=2e-6)
        if fraction:
            np.testing.assert_array_equal(kernel(-fraction), weights[::-1])
    np.testing.assert_allclose(kernel(0), np.eye(13)[MARGIN], atol=1e-12)


@pytest.mark.parametrize("shift", [-0.5, 1.5, 2.5, -3.5])
def test_a_shift_of_half_a_pixel_is_rounded_up(shift):
    """Frame and window agree on which whole pixels are read, whatever numpy rounds to even."""
    frame = RNG.normal(size=(30, 30)).astype(np.float32)
    made = Shifted(ArrayFrames(frame), np.array([[shift, 0.0]]), subpixel=False).read(slice(None))
    expected = ndimage.shift(frame, (np.ceil(shift), 0), order=0, cval=np.nan)
    assert np.array_equal(made[0], expected, equal_nan=True)


def test_a_hole_on_a_slope_is_filled_from_its_neighbours():
    image = np.add.outer(3 * np.arange(33.0), 5 * np.arange(33.0)).astype(np.float32)
    expected = interpolate(image, np.array([0.3, -0.2]))
    image[16, 16] = np.nan
    image[:, :5] = np.nan  # beyond the sensor
    made = interpolate(image, np.array([0.3, -0.2]))
    good = np.isfinite(made)
    assert (~good).sum() == 1  # the margin hides what lies beyond
    np.testing.assert_allclose(made[:, 6:][good[:, 6:]], expected[:, 6:][good[:, 6:]], rtol=1e-5)


def test_masked_pixels_are_moved_as_if_their_weights_were_convolved():
    """The weight that is left beside holes and edges is that of a convolution of the mask."""
    rng = np.random.default_rng(2)
    weights = kernel(0.31), kernel(-0.44)
    for part in (0.001, 0.01, 0.2):  # few holes, and many
        mask = rng.random((90, 110)) < part
        mask[:9], mask[:, -4:], mask[40:52, 30:45] = True, True, True
        expected = correlate2d(~mask, np.multiply.outer(*weights), "valid")
        assert (
            np.abs(_weight_beside(*np.nonzero(mask), mask.shape, weights) - expected).max() < 2e-6
        )


def test_shifts_are_an_array_or_stand_in_what_was_measured():
    shifts = np.array([[0.5, 1], [np.nan, np.nan], [2, 3]])
    registered = Registration(-shifts, (0.0, 0.0), Window(0, 0, 8, 8))
    table = FrameTable(np.arange(3), [""] * 3, shifts, np.ones(3), np.ones(3, bool))
    for given in (shifts, shifts.tolist(), registered, table):
        np.testing.assert_array_equal(as_shifts(given, 3), shifts)
    with pytest.raises(LuckyError, match="There are 3 shifts for 5 frames"):
        as_shifts(registered, 5)
    with pytest.raises(LuckyError, match="Shifts cannot be a str; give an array"):
        as_shifts("frames.csv", 3)
