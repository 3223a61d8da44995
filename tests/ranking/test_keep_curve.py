"""The keep-fraction curve, against stacks made by `stack_mean`."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from napari_lucky import LuckyError, Window, keep_curve, rank, simulate_run, stack_mean
from napari_lucky.execution.job import Cancelled, Job
from napari_lucky.frames import ArrayFrames
from napari_lucky.imaging import Shifted
from napari_lucky.imaging.star_image import border, levelled
from napari_lucky.optics import Diffraction, diffraction_psf
from napari_lucky.ranking import METRICS

N, FOCUS = 50, Window(10, 12, 48, 56)


@pytest.fixture(scope="module")
def stars():
    """Stars of ever more blur that wander, masked pixels, noise of 3 ADU, one blank frame."""
    rng = np.random.default_rng(5)
    y, x = np.mgrid[:70, :80]
    at, sigma = rng.uniform(-3, 3, (N, 2)), rng.uniform(2, 4, N)
    frames = np.array(
        [
            200
            + 0.3 * x
            + 20_000 * np.exp(-((y - 34 - a) ** 2 + (x - 40 - b) ** 2) / 2 / s**2) / s**2
            for (a, b), s in zip(at, sigma, strict=True)
        ]
    )
    frames += rng.normal(0, 3, frames.shape)
    frames[:, 30, 45] = frames[:, 12, 14] = np.nan
    quality = 1 / sigma
    quality[7] = np.nan
    frames[7] = np.nan
    return ArrayFrames(frames.astype(np.float32)), -at, quality


@pytest.mark.parametrize("count", [1, 2, 9, 30, N - 1])
def test_every_point_is_the_stack_of_so_many_frames(stars, count):
    frames, shifts, quality = stars
    curve = keep_curve(frames, shifts, quality, FOCUS)
    assert len(curve.noise) == N - 1
    kept = np.argsort(-np.nan_to_num(quality))[:count]
    shifted = Shifted(frames, shifts)
    star = np.nan_to_num(levelled(stack_mean(shifted, kept, FOCUS).image[None]))
    at = count - 1
    assert curve.peak_over_flux[at] == pytest.approx(METRICS["peak-over-flux"](star)[0], rel=1e-6)
    assert 1 / curve.fwhm[at] == pytest.approx(METRICS["fwhm"](star)[0], rel=1e-6)
    if count == 1:
        assert np.isnan(curve.noise[at])
        return
    edge = shifted.read(kept, FOCUS)[:, border(FOCUS.shape)].astype(np.float64)
    seen = np.isfinite(edge).sum(axis=0)
    some = seen > 1
    error = np.nanvar(edge[:, some], axis=0, ddof=1) / seen[some]
    assert curve.noise[at] == pytest.approx(np.sqrt(error.mean()), rel=1e-4)


def test_noise_falls_as_the_root_of_the_frames(stars):
    frames, _, quality = stars
    still = np.zeros((N, 2))
    noise = keep_curve(frames, still, quality, FOCUS).noise
    np.testing.assert_allclose(noise[[3, 15, 48]] * np.sqrt([4, 16, 49]), 3, rtol=0.05)


def test_the_best_frame_is_the_sharpest_and_the_fewest_are_reported(stars):
    curve = keep_curve(*stars, FOCUS)
    assert curve.peak_over_flux.argmax() < 3
    assert np.all(np.diff(curve.fwhm[5:]) > 0)
    assert curve.describe(1).startswith("1 of 49 frames (2.04 %): peak/flux 0.0")
    assert curve.describe(25).startswith("25 of 49 frames (51 %): peak/flux")
    assert f"noise {curve.noise[24]:.2g} ADU" in curve.describe(25)
    assert "noise" not in curve.describe(1)  # one frame has no scatter
    assert curve.fraction[-1] == 1
    for count in (0, N):
        with pytest.raises(LuckyError, match=f"1 to 49 frames, not {count}"):
            curve.describe(count)


def test_threads_do_not_change_a_bit(stars):
    made = []
    for workers in (1, 4):
        with ThreadPoolExecutor(workers) as pool:
            made.append(keep_curve(*stars, FOCUS, job=Job(executor=pool)))
    for name in ("peak_over_flux", "fwhm", "noise"):
        np.testing.assert_array_equal(*(getattr(curve, name) for curve in made))


def test_the_strehl_ratio_is_the_true_one():
    """Of the simulation's noise-free images, whose shifts are known."""
    run = simulate_run(24, d_over_r0=4, seed=3)
    truth, psf = run.truth, Diffraction(633e-3 * 58.6 / 5.3, 0.3)
    images = ArrayFrames(truth.focus_images)
    whole = Window.whole(images.shape)
    curve = keep_curve(images, truth.shifts, truth.strehl, whole, diffraction=psf)
    assert curve.sharpness[0] == "Strehl ratio"
    # the halo that the window cuts off, or that is taken for background, makes it too great
    assert curve.strehl[0] == pytest.approx(truth.strehl.max(), rel=0.1)
    perfect = diffraction_psf(psf, (128, 128))[None].repeat(3, axis=0)
    same = keep_curve(ArrayFrames(perfect), np.zeros((3, 2)), np.ones(3), whole, diffraction=psf)
    np.testing.assert_allclose(same.strehl, 1, rtol=0.02)
    quality = rank(images, whole)
    assert (quality.argmax(), "Strehl ratio" in curve.describe(3)) == (truth.strehl.argmax(), True)


def test_it_can_be_cancelled(stars):
    def stop(done, total, what):
        assert what == "keep-fraction curve"
        if done:
            raise Cancelled

    many = ArrayFrames(np.repeat(stars[0].array, 8, axis=0))
    with pytest.raises(Cancelled):
        keep_curve(
            many, np.tile(stars[1], (8, 1)), np.tile(stars[2], 8), FOCUS, job=Job(progress=stop)
        )


def test_what_cannot_be_measured_is_reported(stars):
    frames, shifts, quality = stars
    with pytest.raises(LuckyError, match="No frame has a quality"):
        keep_curve(frames, shifts, np.full(N, np.nan), FOCUS)
    with pytest.raises(LuckyError, match="49 qualities for 50 frames"):
        keep_curve(frames, shifts, quality[1:], FOCUS)
    with pytest.raises(LuckyError, match="shifts"):
        keep_curve(frames, shifts[1:], quality, FOCUS)
    with pytest.raises(LuckyError, match="focus window"):
        keep_curve(frames, shifts, quality, Window(60, 60, 40, 40))


def test_a_pixel_masked_in_some_frames_is_the_mean_of_the_others():
    """Ten frames of one star: masked pixels, on the peak and in the border, change nothing."""
    y, x = np.mgrid[:48, :56]
    star = 100 + 900 * np.exp(-((y - 24) ** 2 + (x - 28) ** 2) / 32).astype(np.float32)
    frames, still = np.repeat(star[None], 10, axis=0), np.zeros((10, 2))
    masked = frames.copy()
    masked[1:8, 24, 28] = masked[:3, 1, 5] = np.nan
    whole, quality = Window(0, 0, 48, 56), np.arange(10.0, 0, -1)
    expected = keep_curve(ArrayFrames(frames), still, quality, whole)
    found = keep_curve(ArrayFrames(masked), still, quality, whole)
    np.testing.assert_allclose(found.peak_over_flux, expected.peak_over_flux, rtol=1e-5)
    np.testing.assert_allclose(found.fwhm, expected.fwhm, rtol=1e-5)
    np.testing.assert_allclose(found.noise[1:], 0, atol=1e-6)
