import numpy as np
import pytest
from scipy import ndimage, special
from scipy.signal import correlate2d

from napari_lucky import ArrayFrames, LuckyError, Shifted, Window
from napari_lucky.shifting import MARGIN, _weight_beside, interpolate, kernel

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


def test_interpolation_keeps_a_quadratic_exactly():
    y, x = np.mgrid[-10:10, -10:10].astype(np.float32)

    def surface(y, x):
        return 3 + 2 * y - x + 0.25 * y * y + 0.1 * x * y

    made = interpolate(surface(y, x), np.array([0.3, -0.4]))
    inner = (slice(MARGIN, -MARGIN),) * 2
    np.testing.assert_allclose(made, surface(y - 0.3, x + 0.4)[inner], rtol=1e-5, atol=1e-4)


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


def test_shifts_of_another_run_are_told():
    with pytest.raises(LuckyError, match="3 shifts for 2 frames"):
        Shifted(ArrayFrames(np.ones((2, 9, 9))), np.zeros((3, 2)))


@pytest.mark.parametrize("sampling", [2, 7])
def test_it_neither_rings_nor_loses_flux(sampling):
    """Against an Airy pattern, integrated over pixels, computed where it lands."""
    y, x = np.mgrid[-64:64, -64:64]
    within = (np.arange(8) - 3.5) / 8

    def airy(dy, dx):
        radius = [np.hypot(y - dy + a, x - dx + b) for a in within for b in within]
        v = np.pi * np.maximum(radius, 1e-9) / sampling
        return ((2 * special.j1(v) / v) ** 2).mean(axis=0)

    star = airy(0, 0).astype(np.float32)
    for rest in [(0.5, 0.5), (0.25, -0.4), (0.0, 0.1)]:
        truth = airy(*rest)[MARGIN:-MARGIN, MARGIN:-MARGIN]
        made = interpolate(star, np.array(rest))
        assert made.sum() == pytest.approx(truth.sum(), rel=1e-4)
        ring = np.hypot(y - rest[0], x - rest[1])[MARGIN:-MARGIN, MARGIN:-MARGIN] > 1.22 * sampling
        assert (made - truth)[ring].min() > -0.005 * truth.max()
        assert made.min() > -0.005 * truth.max()


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
