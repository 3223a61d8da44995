"""The noise of a pixel, and errors that are true or not told, whatever the star and the camera."""

import numpy as np
import pytest
from scipy import ndimage

from made_stars import PUPIL, exposed, screens, stars
from napari_lucky import LuckyError, Window, register
from napari_lucky.calibration import Calibrated
from napari_lucky.frames import ArrayFrames
from napari_lucky.imaging.noise import sample_noise

OTHERS = ("brightest", "centroid", "correlation")
METHODS = (*OTHERS, "template")


def still_star(sampling, photons, d_over_r0=0, n=100, side=64, seed=1):
    """Return images of a star that only moves, in photons, and its places."""
    rng = np.random.default_rng(seed)
    phase = screens(1, d_over_r0, rng) if d_over_r0 else np.zeros((1, PUPIL, PUPIL))
    places = rng.uniform(-4, 4, (n, 2))
    return photons * stars(np.repeat(phase, n, axis=0), sampling, side, places), places, rng


def pulls_of(frames, places, method, smooth):
    made = register(frames, Window.whole(frames.shape), method=method, smooth=smooth)
    error = made.points - places
    pulls = (error - np.median(error, axis=0)) / made.sigma
    return np.sqrt(np.mean(pulls**2)) if np.isfinite(made.sigma).all() else np.nan


@pytest.mark.parametrize(
    ("sampling", "photons", "told"), [(1.5, 1e5, False), (2, 3e4, True), (2, 2e5, True)]
)
def test_an_undersampled_star_is_not_taken_for_noise(sampling, photons, told):
    images, places, rng = still_star(sampling, photons)
    frames = ArrayFrames(exposed(images, 1, rng))
    for method in OTHERS:
        pull = pulls_of(frames, places, method, 1)
        assert 0.8 < pull < 1.3 or (not told and np.isnan(pull)), method
    if told:
        noise = sample_noise(frames, Window.whole(frames.shape))
        assert noise.photon == pytest.approx(1, rel=0.25)
        assert noise.floor == pytest.approx(25, rel=0.1)


@pytest.mark.parametrize(("step", "flat"), [(1, None), (16, 2.0)])
def test_coarse_numbers_hide_no_noise(step, flat):
    """111 e- a number, an even sky: nothing varies there but by rounding."""
    images, places, rng = still_star(3.5, 3e5)
    electrons = rng.poisson(images) + rng.normal(0, 5, images.shape)
    raw = np.clip(np.rint(electrons / 111 + 10), 0, 255) * step
    frames = ArrayFrames(raw.astype(np.uint8 if step == 1 else np.uint16))
    if flat:
        frames = Calibrated(frames, flat=np.full(raw.shape[1:], flat, np.float32))
    unit = step / (flat or 1)
    noise = sample_noise(frames, Window.whole(frames.shape))
    assert noise.floor == pytest.approx(unit**2 / 12, rel=0.05)
    assert noise.photon == pytest.approx(unit / 111, rel=0.2)
    for method in (*OTHERS, "template"):
        assert 0.8 < pulls_of(frames, places, method, 1.2) < 1.3, method


def test_errors_of_a_faint_star_in_eight_bits_are_true():
    """40 e- a number: the even sky is all rounding, of which the finest details show nothing."""
    images, places, rng = still_star(2.5, 3e3, n=80)
    electrons = rng.poisson(images) + rng.normal(0, 5, images.shape)
    frames = ArrayFrames(np.clip(np.rint(electrons / 40 + 10), 0, 255).astype(np.uint8))
    for method in OTHERS:
        assert 0.8 < pulls_of(frames, places, method, 1) < 1.25, method


def test_errors_of_a_faint_undersampled_star_are_not_reported():
    """Its detail is lost in the noise of a frame, but not in that of the run."""
    images, places, rng = still_star(1.6, 2e3, n=60)
    for method in OTHERS:
        assert np.isnan(pulls_of(ArrayFrames(exposed(images, 1, rng)), places, method, 1))


def test_errors_of_a_small_star_in_turbulence_are_true():
    """Another speckle is nearly as bright, but never brighter, wherever the pixels are."""
    images, places, rng = still_star(2, 3e4, d_over_r0=5, n=60, seed=3)
    frames = ArrayFrames(exposed(images, 1, rng))
    assert 0.8 < pulls_of(frames, places, "brightest", 1) < 1.25


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("rows", "columns"), [((54, 54, 55), (50, 51, 50)), ((45,) * 3, (52, 53, 54))]
)
def test_three_hot_pixels_that_touch_do_not_move_a_star(method, rows, columns):
    """In its wing and beside its core, twice as bright as it is: they are masked."""
    images, places, rng = still_star(7, 3e4, n=40, side=96)
    frames = exposed(images, 1, rng)
    frames[:, rows, columns] += np.float32([936, 1329, 566])
    assert 0.75 < pulls_of(ArrayFrames(frames), places, method, 2) < 1.3


@pytest.mark.parametrize("method", METHODS)
def test_errors_with_hot_pixels_that_pass_for_a_star_are_not_reported(method):
    """Four in a square are not told from a small star, and hold every method."""
    images, _, rng = still_star(7, 3e4, n=40, side=96)
    frames = exposed(images, 1, rng)
    frames[:, [54, 54, 55, 55], [50, 51, 50, 51]] += np.float32([936, 1329, 866, 1100])
    try:
        made = register(ArrayFrames(frames), Window(0, 0, 96, 96), method=method)
    except LuckyError as error:
        assert method == "template" and "hot pixels side by side in it" in str(error)
        return
    assert np.isnan(made.sigma).all()
    assert sum("hot pixels side by side" in note for note in made.notes) == 1


def test_errors_on_a_slit_that_goes_on_beyond_the_window_are_not_reported():
    """Where it is along itself nobody can see; an error of 0.005 px was told, 1.5 px off."""
    rng = np.random.default_rng(1)
    across = np.arange(96) - rng.normal(48, 2, (12, 1))
    slit = np.broadcast_to(2000 * np.exp(-(across**2) / 8)[:, None], (12, 96, 96))
    made = register(rng.poisson(slit + 20).astype(np.float32), (48, 48, 96), method="correlation")
    assert np.isnan(made.sigma).all()
    assert "a scene that fills the window" in made.notes[-1]


def test_errors_on_a_scene_that_fills_the_window_are_not_reported():
    """What comes into the window moves the other methods' points more than noise does."""
    rng = np.random.default_rng(0)
    scene = 2000 * (1 + ndimage.gaussian_filter(rng.normal(size=(160, 160)), 4, mode="wrap") * 2)
    q = 2 * np.pi * np.fft.fftfreq(160)
    places = rng.uniform(-3, 3, (50, 2))
    spectrum = np.fft.fft2(scene)
    frames = [
        np.fft.ifft2(spectrum * np.exp(-1j * (q[:, None] * y + q * x))).real[32:128, 32:128]
        for y, x in places
    ]
    frames = ArrayFrames(exposed(np.array(frames), 1, rng))
    for method in (*OTHERS, "template"):
        assert np.isnan(
            register(frames, Window(0, 0, 96, 96), method=method, smooth=1.5).sigma
        ).all()


@pytest.mark.parametrize("name", ["planet", "ring"])
def test_errors_on_a_planet_or_a_ring_are_true_or_not_reported(name):
    """A ring is as bright all around: its brightest place hops by pixels, and leads others."""
    rng = np.random.default_rng(4)
    places = rng.uniform(-3, 3, (40, 2))
    y, x = np.mgrid[:96, :96] - 48.0
    images = []
    for down, across in places:
        r = np.hypot(y - down, x - across)
        clouds = 1 + 0.2 * np.cos((y - down) / 3) * np.cos((x - across) / 2.5)
        discs = {
            "planet": clouds / (1 + np.exp(2 * (r - 14))),
            "ring": np.exp(-((r - 16) ** 2) / 4),
        }
        images.append(4000 * discs[name])
    frames = ArrayFrames(exposed(np.array(images), 1, rng))
    for method in ("brightest", "centroid", "template"):
        made = register(frames, Window(0, 0, 96, 96), method=method)
        assert np.isnan(made.sigma).all()
        assert sum("does not look like a star's" in note for note in made.notes) == 1
    made = register(frames, Window(0, 0, 96, 96), method="correlation")
    off = made.points - places
    pulls = (off - off.mean(axis=0)) / made.sigma
    assert 0.75 < np.sqrt((pulls**2).mean()) < 1.3
    assert not any("errors" in note for note in made.notes)


@pytest.mark.parametrize("method", ["brightest", "correlation"])
def test_errors_are_not_known_where_noise_decides_what_is_brighter(method):
    """Two spots, equally bright in every other frame, and too far apart for the star to be one."""
    images, _, rng = still_star(3.5, 1e4, n=20)
    other = np.roll(images, 20, axis=2)
    dimmer = np.where(np.arange(20) % 2, 0.2, 1.0)[:, None, None]
    made = register(
        ArrayFrames(exposed(images + dimmer * other, 1, rng)),
        Window(0, 0, 64, 64),
        method=method,
        smooth=1.2,
    )
    known = np.isfinite(made.sigma).all(axis=1)
    assert known[1::2].all()
    assert known[::2].any() == (method == "correlation")  # which knows both spots


def test_errors_where_noise_decides_in_most_frames_are_not_reported():
    images, _, rng = still_star(3.5, 400, n=30)
    made = register(
        ArrayFrames(exposed(images, 1, rng)), Window(0, 0, 64, 64), method="correlation", smooth=1.2
    )
    assert np.isnan(made.sigma).all()
    assert sum("noise may decide" in note for note in made.notes) == 1
