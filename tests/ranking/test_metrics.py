"""Each metric on images whose value is known by hand; how they rank is tested in test_ranking."""

import numpy as np
import pytest
from scipy import ndimage, signal

from napari_lucky import LuckyError, Rank, Recipe, Window, rank
from napari_lucky.frames import ArrayFrames
from napari_lucky.imaging.star_image import border_spread
from napari_lucky.optics import Diffraction, diffraction_psf
from napari_lucky.ranking import METRICS, metric
from napari_lucky.ranking.metrics import Metric, correlated, flux_of

SIGMA = 3.0
Y, X = np.mgrid[:80, :96]


def gaussian(height=100.0, centre=(40, 50)):
    square = (Y - centre[0]) ** 2 + (X - centre[1]) ** 2
    return (height * np.exp(-square / (2 * SIGMA**2))).astype(np.float32)


def of(name, *images, psf=None):
    return METRICS[name](np.array(images, np.float32), psf)


# Integrals of a Gaussian star of flux F = 2 pi sigma² and height 1, which so fine a grid sums
# exactly: I² to pi sigma², |grad I|² to pi, (Laplacian I)² to 2 pi / sigma²; differences of pixels
# fall a little short of derivatives.
FLUX = 2 * np.pi * SIGMA**2


@pytest.mark.parametrize(
    ("name", "expected", "rtol"),
    [
        ("peak", 100.0, 1e-6),
        ("peak-over-flux", 1 / FLUX, 1e-5),
        ("sum-of-squares", np.pi * SIGMA**2 / FLUX**2, 1e-5),
        ("gradient", np.pi / FLUX**2, 0.05),
        ("laplacian", 2 * np.pi / SIGMA**2 / FLUX**2, 0.08),
        ("fwhm", 1 / (2 * np.sqrt(2 * np.log(2)) * SIGMA), 2e-3),
    ],
)
def test_a_gaussian_star_gives_what_the_integrals_say(name, expected, rtol):
    assert of(name, gaussian()) == pytest.approx(expected, rel=rtol)


@pytest.mark.parametrize("obstruction", [0.0, 0.3])
def test_the_diffraction_limited_psf_is_like_itself(obstruction):
    psf = Diffraction(5.0, obstruction)
    image = diffraction_psf(psf, (99, 99))
    assert of("psf-correlation", image, psf=psf) == pytest.approx(1, abs=2e-3)
    assert of("psf-correlation", 7 * np.roll(image, (9, -7), (0, 1)), psf=psf) == pytest.approx(
        1, abs=2e-3
    )
    assert of("psf-correlation", gaussian(), psf=psf)[0] < 0.97
    wide = np.pad(image, ((0, 0), (40, 60)))  # sides of different lengths
    assert of("psf-correlation", wide, psf=psf) == pytest.approx(1, abs=2e-3)
    two = image + np.roll(image, (20, 0), (0, 1))
    assert of("psf-correlation", two, psf=psf) == pytest.approx(np.sqrt(0.5), abs=0.02)


def test_the_psf_reaches_to_three_lambda_over_d():
    """What has no more than that is exactly like it, and anything more is less so."""
    psf = Diffraction(5.0, 0.3)
    for side, exact in ((31, True), (29, False), (33, False)):
        image = np.pad(diffraction_psf(psf, (side, side)), 30)
        likeness = of("psf-correlation", image, psf=psf)[0]
        assert (likeness == pytest.approx(1, abs=1e-6)) == exact
        assert likeness <= 1 + 1e-6


@pytest.mark.parametrize("shape", [(40, 64), (64, 40), (41, 41)])
def test_the_correlation_has_the_shape_of_the_frames_and_is_scipys(shape):
    image = np.random.default_rng(3).normal(0, 1, (2, *shape)).astype(np.float32)
    psf = diffraction_psf(Diffraction(2.5), (17, 17))
    found = correlated(image, psf)
    expected = [signal.correlate(frame, psf, "same", "direct") for frame in image]
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_the_first_dark_ring_of_an_open_pupil_holds_83_8_percent():
    psf = Diffraction(6.0)
    image = diffraction_psf(psf, (301, 301))
    inside = of("encircled-energy", image, psf=psf) * image.sum()
    assert inside == pytest.approx(0.838, abs=3e-3)


@pytest.mark.parametrize("name", METRICS)
def test_metrics_do_not_see_where_the_star_is(name):
    psf = Diffraction(5.0)
    there = of(name, gaussian(), gaussian(centre=(45, 38)), psf=psf)
    assert there[1] == pytest.approx(there[0], rel=1e-3)


@pytest.mark.parametrize("name", [name for name in METRICS if name != "peak"])
def test_all_metrics_but_the_peak_do_not_see_a_cloud(name):
    clouded = of(name, gaussian(), 0.3 * gaussian(), psf=Diffraction(5.0))
    assert clouded[1] == pytest.approx(clouded[0], rel=1e-4)


def test_nothing_of_a_psf_wraps_around():
    psf = Diffraction(5.0)
    edge = diffraction_psf(psf, (64, 64)).copy()
    corner = np.roll(edge, (-30, -30), (0, 1))
    corner[40:], corner[:, 40:] = 0, 0
    quality = of("psf-correlation", corner, psf=psf)
    twin = np.pad(corner, 60)
    assert quality == pytest.approx(of("psf-correlation", twin, psf=psf), rel=1e-4)


@pytest.fixture
def own():
    yield
    METRICS.pop("own", None)


def test_a_metric_of_ones_own_serves_everywhere(own):
    @metric("own")
    def spread(image):
        """Max I − min I.

        More is told here.
        """
        return image.max((1, 2)) - image.min((1, 2))

    assert METRICS["own"].formula == "Max I − min I"
    assert spread(gaussian()[None]) == pytest.approx(100)  # the function stays as it is
    frames = ArrayFrames(np.array([gaussian(50), gaussian(80), gaussian(20)]))
    quality = rank(frames, Window.whole(frames.shape), metric="own", smooth=0)
    np.testing.assert_allclose(quality, [50, 80, 20], rtol=1e-4)
    assert Recipe(None, Rank(metric="own"))[Rank].metric == "own"

    @metric("own")  # a cell that is run again
    def other(image):
        return -image.max((1, 2))

    assert rank(frames, Window.whole(frames.shape), metric="own", smooth=0).argmax() == 2
    assert METRICS["own"].formula == ""


def test_a_metric_of_ones_own_may_need_the_psf(own):
    @metric("own", needs_diffraction=True)
    def width(image, diffraction):
        return np.full(len(image), diffraction.sampling)

    frames = ArrayFrames(gaussian()[None])
    whole = Window.whole(frames.shape)
    assert rank(frames, whole, metric="own", diffraction=Diffraction(6.5)).tolist() == [6.5]
    with pytest.raises(LuckyError, match="own needs the diffraction-limited PSF"):
        rank(frames, whole, metric="own")


def test_what_a_metric_must_not_be_is_reported(own):
    with pytest.raises(LuckyError, match="'peak' already"):
        metric("peak")

    @metric("own")
    def wrong(image):
        return image.max()

    frames = ArrayFrames(np.array([gaussian(), gaussian()]))
    with pytest.raises(LuckyError, match=r"wrong gave numbers of shape \(\) for 2 frames"):
        rank(frames, Window.whole(frames.shape), metric="own")
    with pytest.raises(LuckyError, match="beauty"):
        Recipe(None, Rank(metric="beauty"))


def scene(n=8):
    """A patch of surface whose border is brighter than its middle, moved a little, more and
    more blurred from frame to frame."""
    rng = np.random.default_rng(5)
    ground = ndimage.gaussian_filter(rng.standard_normal((160, 160)), 2)
    y, x = np.mgrid[:160, :160] - 80
    ground = 1000 * (1 + 0.1 * ground / ground.std() + 0.3 * np.hypot(y, x) / 80)
    frames = [ndimage.gaussian_filter(np.roll(ground, k, 1), 0.5 + 0.2 * k) for k in range(n)]
    return np.array(frames, np.float32)[:, 48:112, 48:112]


@pytest.mark.parametrize("name", ["gradient", "laplacian", "sum-of-squares", "peak-over-flux"])
@pytest.mark.parametrize("brightness", [1.0, 0.01])
def test_surfaces_with_a_bright_border_have_a_quality(name, brightness):
    frames = ArrayFrames(brightness * scene())
    quality = rank(frames, Window.whole(frames.shape), metric=name, smooth=1.0)
    assert np.isfinite(quality).all()
    assert (quality > 0).all()
    if name in ("gradient", "laplacian"):  # the others do not know a surface's sharpness
        assert np.array_equal(np.argsort(-quality), np.arange(8))


def test_the_flux_of_a_star_is_its_light_and_never_nothing():
    star = np.array([gaussian(), 0 * gaussian() - 1, np.where(gaussian() > 1, 1, -1)], np.float32)
    level = np.full(3, 50, np.float32)
    flux = flux_of(star, level)
    assert flux[0] == pytest.approx(100 * FLUX, rel=1e-4)  # and nothing of the sky
    assert flux[1] > 0
    assert flux[2] > 0
    assert np.isnan(flux_of(np.zeros((1, 8, 8), np.float32), level[:1]))[0]
    uneven = np.tile(np.array([-20, 20], np.float32), (1, 80, 48))
    assert flux_of(uneven, level[:1])[0] == pytest.approx(50 * uneven.size)


def test_the_flux_is_half_of_all_that_is_not_zero_at_least():
    odd = np.zeros((1, 8, 8), np.float32)
    odd[0, 4, 4:7] = 3, -2, -2
    assert flux_of(odd)[0] == pytest.approx(3.5)
    odd[0, 4, 4] = 30
    assert flux_of(odd)[0] == pytest.approx(26)


def test_the_background_counts_by_the_fourth_power_of_the_borders_spread():
    """Half of all pixels ±s and a peak of 10 s: w = (s / 2 s)^4."""
    checked = np.where((np.indices((64, 64)).sum(axis=0)) % 2, 3.0, -3.0).astype(np.float32)
    checked[30, 30] = 30
    (flux,) = flux_of(checked[None], np.array([7], np.float32))
    spread = border_spread(checked[None])[0]
    own, weight = float(checked.sum()), (spread / 6) ** 4
    assert 0.05 < weight < 0.9
    assert flux == pytest.approx(max(own + weight * 7 * 64**2, np.abs(checked).sum() / 2))
    (bright,) = flux_of(checked[None], np.array([700], np.float32))
    assert bright == pytest.approx(own + weight * 700 * 64**2, rel=1e-6)


@pytest.mark.parametrize("name", METRICS)
def test_without_light_there_is_no_quality(name):
    (quality,) = METRICS[name](
        np.zeros((1, 32, 32), np.float32), Diffraction(3.0), np.zeros(1, np.float32)
    )
    assert quality == 0 if name == "peak" else np.isnan(quality)


def test_a_metric_takes_the_images_alone_unless_it_says_more():
    own = Metric(lambda image: image.max((1, 2)) - image.min((1, 2)))
    assert own(gaussian()[None]) == pytest.approx(100)
    with_flux = Metric(lambda image, flux: flux, needs_flux=True)
    assert with_flux(gaussian()[None]) == pytest.approx(100 * FLUX, rel=1e-4)
