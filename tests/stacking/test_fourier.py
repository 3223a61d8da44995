import numpy as np
import pytest

from napari_lucky import LuckyError, Window, stack_mean
from napari_lucky.execution.job import QUIET
from napari_lucky.frames import ArrayFrames
from napari_lucky.pieces import pieces
from napari_lucky.stacking import fourier, fourier_choice, stack_fourier
from napari_lucky.stacking.fourier import StackFourier
from napari_lucky.stacking.padded_window import PaddedWindow

RNG = np.random.default_rng(10)
WINDOW = Window(16, 20, 48, 48)
Y, X = np.mgrid[:80, :88]


def star(sigma_y, sigma_x):
    light = np.exp(-((Y - 40) ** 2 / sigma_y**2 + (X - 44) ** 2 / sigma_x**2) / 2)
    return light / light.sum() * 1e5


def test_all_frames_at_every_frequency_is_the_mean():
    frames = RNG.normal(100, 10, (30, 80, 88)).astype(np.float32)
    frames[:, 30, 30] = np.nan
    made = stack_fourier(ArrayFrames(frames), np.arange(30), WINDOW, fraction=1.0)
    plain = stack_mean(ArrayFrames(frames), np.arange(30), WINDOW)
    good = plain.coverage > 0
    np.testing.assert_allclose(made.image[good], plain.image[good], atol=2e-3)
    assert np.argwhere(np.isnan(made.image)).tolist() == [[14, 10]]
    np.testing.assert_array_equal(made.coverage, plain.coverage)


def test_each_direction_is_taken_from_the_frames_that_are_sharp_in_it():
    """Half the frames are sharp along y, the others along x; no frame is sharp in both."""
    tall, wide, sharp = star(5, 2), star(2, 5), star(2, 2)
    frames = np.array([tall, wide] * 10, np.float32) + 100
    made = stack_fourier(ArrayFrames(frames), np.arange(20), WINDOW, fraction=0.5)
    spectra = [np.abs(np.fft.rfft2(image)) for image in (tall, wide, sharp)]
    expected = np.fft.irfft2(np.maximum(spectra[0], spectra[1]), tall.shape)
    expected = np.roll(expected, (40, 44), axis=(0, 1))
    peak = made.image.max() - 100
    assert peak == pytest.approx(expected.max(), rel=0.03)
    assert tall.max() * 1.15 < peak < sharp.max()
    assert (made.image - 100).sum() == pytest.approx(expected[WINDOW.slices].sum(), rel=0.01)


def test_a_frame_without_detail_is_never_taken():
    frames = np.array([star(6, 6)] * 15 + [star(2, 2)] * 10, np.float32)
    made = stack_fourier(ArrayFrames(frames), np.arange(25), WINDOW, fraction=0.4)
    np.testing.assert_allclose(made.image, star(2, 2)[WINDOW.slices], atol=0.005 * star(2, 2).max())
    assert made.count == 10


@pytest.mark.parametrize(
    ("n", "fraction", "kept", "why"),
    [(200, 0.1, 20, ""), (40, 0.1, 10, "instead of 10 %"), (6, 0.1, 6, "fewer than 10")],
)
def test_ten_frames_are_used_at_least(n, fraction, kept, why):
    """And what is said of them, without those that have no star."""
    frames = ArrayFrames(RNG.normal(100, 7, (n, 32, 32)).astype(np.float32))
    made = stack_fourier(frames, np.arange(n), Window(0, 0, 32, 32), fraction=fraction)
    assert made.count == kept
    step = StackFourier(fraction=fraction)
    said = step.describe(n, 2 * n)
    assert said == f"{kept} of {2 * n} frames ({50 * kept / n:.3g} %) at each frequency"
    assert [why in note and said in note for note in step.notes(n, 2 * n)] == [True] * bool(why)


def test_nothing_wraps_around():
    """A bright star just outside the window leaves nothing on the other side of it."""
    frames = np.full((20, 80, 88), 100, np.float32)
    frames += np.roll(star(2, 2), (0, -44 + 19), axis=(0, 1)).astype(np.float32)
    made = stack_fourier(ArrayFrames(frames), np.arange(20), WINDOW, fraction=0.5)
    np.testing.assert_allclose(made.image[:, 24:], 100, atol=0.05)


def test_by_tiles_or_at_once_is_the_same(monkeypatch):
    frames = RNG.normal(100, 10, (25, 80, 88)).astype(np.float32)
    whole = stack_fourier(ArrayFrames(frames), np.arange(25), WINDOW)
    for held, spectra in ((1 << 24, 0), (2_000, 0), (25 * 300, 1 << 23)):
        monkeypatch.setattr(fourier_choice, "HELD", held)
        monkeypatch.setattr(fourier, "SPECTRA", spectra)
        made = stack_fourier(ArrayFrames(frames), np.arange(25), WINDOW)
        np.testing.assert_array_equal(made.image, whole.image)
        np.testing.assert_array_equal(made.variance, whole.variance)


@pytest.mark.parametrize("fraction", [0.1, 0.3])
def test_the_variance_is_that_of_many_runs(fraction):
    window = Window(0, 0, 32, 32)
    scene = 100 + star(4, 4)[24:56, 28:60] / 10

    def run():
        frames = (scene + RNG.normal(0, 7, (200, 32, 32))).astype(np.float32)
        return stack_fourier(ArrayFrames(frames), np.arange(200), window, fraction=fraction)

    runs = [run() for _ in range(12)]
    images = np.array([made.image for made in runs], float)
    pulls = (images - images.mean(axis=0)) / np.sqrt([made.variance for made in runs])
    assert 0.9 < pulls.std() * np.sqrt(12 / 11) < 1.1


@pytest.mark.parametrize("n", [20, 80])
def test_the_variance_of_the_sky_is_true_of_few_frames_too(n):
    def run():
        frames = RNG.normal(100, 7, (n, 32, 32)).astype(np.float32)
        return stack_fourier(ArrayFrames(frames), np.arange(n), Window(0, 0, 32, 32), fraction=0.2)

    runs = [run() for _ in range(16)]
    true = np.var([made.image for made in runs], axis=0, ddof=1).mean()
    told = np.mean([made.variance for made in runs])
    assert np.sqrt(told / true) == pytest.approx(1, abs=0.1)


def test_the_variance_of_the_mean_of_all_is_that_of_a_pixel_over_their_number():
    """On average over 4608 pixels, of each of which it is known to sqrt(2 / 14)."""
    frames = np.random.default_rng(8).normal(100, 10, (45, 64, 72)).astype(np.float32)
    made = stack_fourier(frames, np.arange(45), Window(0, 0, 64, 72), fraction=1.0)
    assert np.mean(made.variance) == pytest.approx(100 / 45, rel=0.03)


def test_the_window_has_a_margin_of_an_eighth_of_each_side_and_8_pixels_at_least():
    frames = np.random.default_rng(8).normal(100, 10, (3, 80, 400)).astype(np.float32)
    window = Window(20, 60, 30, 320)
    padded = PaddedWindow.around(ArrayFrames(frames), np.arange(3), window, "stack", QUIET)
    for axis, (side, least) in enumerate(((30, 8), (320, 40))):
        inner, whole = padded.inner[axis], padded.shape[axis]
        assert inner.stop - inner.start == side
        assert least <= min(inner.start, whole - inner.stop)
        assert whole < 1.5 * side + 2 * least
    spectra = padded.spectra(frames[:, *padded.window.slices])
    image = padded.images(spectra.astype(complex))[0] + padded.background
    np.testing.assert_allclose(image, frames[0][window.slices], atol=1e-3)


@pytest.mark.parametrize("held", [1, 700, 1 << 20])
def test_the_greatest_amplitudes_are_found_in_any_memory(held, monkeypatch):
    monkeypatch.setattr(fourier_choice, "HELD", held)
    choice = fourier_choice.Choice.of(60, 0.3)
    assert (choice.kept, choice.about, choice.groups) == (18, 9, 15)
    amplitudes = np.random.default_rng(8).random((60, 25)).astype(np.float32)
    greatest = fourier_choice.Greatest(25, 60, choice)
    for at in range(0, 60, 7):
        greatest.add(amplitudes[at : at + 7])
    known = -np.sort(-amplitudes, axis=0)[[9, 17, 26]]
    np.testing.assert_array_equal(greatest.bounds(), known)


def test_a_run_of_one_frame_is_that_frame_with_no_variance():
    frame = RNG.normal(100, 10, (1, 80, 88)).astype(np.float32)
    made = stack_fourier(ArrayFrames(frame), np.arange(1), WINDOW)
    np.testing.assert_allclose(made.image, frame[0][WINDOW.slices], atol=1e-3)
    assert np.isnan(made.variance).all()


def test_a_fraction_that_is_none_is_reported():
    for fraction in (0.0, 1.2):
        with pytest.raises(LuckyError, match="above 0, at most 1"):
            stack_fourier(
                ArrayFrames(np.ones((3, 80, 88))), np.arange(3), WINDOW, fraction=fraction
            )


def test_amplitudes_are_smoothed_over_two_frequencies_of_the_window():
    """One frequency becomes a Gaussian of full width 2/window, and |F(-k)| = |F(k)| counts."""
    frames = ArrayFrames(np.zeros((1, 160, 200), np.float32))
    padded = PaddedWindow.around(frames, np.arange(1), Window(40, 60, 96, 64), "stacking", QUIET)
    ny, columns = padded.shape[0], padded.shape[1] // 2 + 1
    assert padded.shape[0] >= 96 + 24 and padded.shape[1] >= 64 + 16
    spectra = np.zeros((2, ny, columns), np.complex64)
    spectra[0, 20, 15], spectra[1, 20, 0] = 3j, 2
    inside, edge = padded.amplitudes(spectra.reshape(2, -1)).reshape(2, ny, columns)
    assert inside.sum() == pytest.approx(3, rel=1e-5)
    for axis, (side, window, at) in enumerate(((ny, 96, 20), (padded.shape[1], 64, 15))):
        profile = inside.sum(axis=1 - axis)
        off = np.arange(len(profile)) - at
        width = np.sqrt((profile * off**2).sum() / profile.sum())
        # a Gaussian sampled and cut at four sigmas
        assert width == pytest.approx(2 / 2.3548 * side / window, rel=0.01)
        assert np.flatnonzero(profile).max() - at == int(4 * 2 / 2.355 * side / window + 0.5)
    # |F| is even: the other half of what is on the zero column is at -k
    assert edge[20].sum() > edge[ny - 20].sum() == 0
    spectra[1, ny - 20, 0] = 2
    even = padded.amplitudes(spectra.reshape(2, -1)).reshape(2, ny, columns)[1]
    np.testing.assert_allclose(even[1:], even[:0:-1], atol=1e-6)


@pytest.mark.parametrize("corner", [(0, 20, 48, 48), (30, 40, 48, 48), (3, 0, 64, 88)])
def test_at_the_sensors_edge_there_is_less_margin_and_all_is_in_its_place(corner):
    frames = RNG.normal(100, 10, (6, 80, 88)).astype(np.float32)
    for k in range(6):
        frames[k, corner[0] + 5 + k, corner[1] + 9] = np.nan
    window = Window(*corner)
    made = stack_fourier(ArrayFrames(frames), np.arange(6), window, fraction=1.0)
    plain = stack_mean(ArrayFrames(frames), np.arange(6), window)
    np.testing.assert_array_equal(made.coverage, plain.coverage)
    good = plain.coverage == 6
    np.testing.assert_allclose(made.image[good], plain.image[good], atol=2e-3)


class Counted(ArrayFrames):
    count = 0

    def read(self, frames, window=None):
        block = super().read(frames, window)
        Counted.count += len(block)
        return block


@pytest.mark.parametrize(
    ("n", "at_once", "fits", "again"),
    [(12, 12, 12, 0), (12, 12, 11, 12), (25, 2, 25, 0), (25, 2, 18, 9), (25, 2, 12, 25)],
)
def test_frames_whose_spectra_do_not_fit_are_read_twice(n, at_once, fits, again, monkeypatch):
    """Of those that fit, whole sums of blocks; and none if they are too few."""
    frames = Counted(RNG.normal(100, 10, (n, 80, 88)).astype(np.float32))
    monkeypatch.setattr(PaddedWindow, "blocks", lambda padded, count: pieces(count, at_once))
    size = PaddedWindow.around(frames, np.arange(n), WINDOW, "stacking", QUIET).size
    made, reads = [], []
    for spectra in (n * size, fits * size):
        monkeypatch.setattr(fourier, "SPECTRA", spectra)
        Counted.count = 0
        made.append(stack_fourier(frames, np.arange(n), WINDOW, fraction=0.5))
        reads.append(Counted.count)
    assert reads[1] == reads[0] + again
    np.testing.assert_array_equal(made[1].image, made[0].image)
    np.testing.assert_array_equal(made[1].variance, made[0].variance)
