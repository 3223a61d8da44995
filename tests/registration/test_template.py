"""The template method, against the Cramér-Rao bound and spoiled frames."""

import numpy as np
import pytest

from made_speckles import pattern
from made_stars import PUPIL, exposed, screens, stars
from napari_lucky import LuckyError, Window, calibrate, register, stack_mean
from napari_lucky.frames import ArrayFrames
from napari_lucky.imaging import Shifted
from napari_lucky.imaging.brightest_speckle import track_brightest
from napari_lucky.registration.learn_template import _inner
from napari_lucky.registration.template import Noise, _mean_power, aliased_detail, make_template
from napari_lucky.registration.template_tracking import NO_STAR

SIDE = 128
READ, GAIN = 6.0, 2.0  # e-, e-/ADU
FREQUENCY = 2 * np.pi * np.fft.fftfreq(SIDE)


PATTERN = pattern()


def moved(shift):
    tilt = np.exp(-1j * (FREQUENCY[:, None] * shift[0] + FREQUENCY * shift[1]))
    return np.maximum(np.fft.ifft2(np.fft.fft2(PATTERN) * tilt).real, 0)


def run_of(shifts, peak, seed=0):
    """Frames in ADU of a pattern with a peak in electrons."""
    rng = np.random.default_rng(seed)
    light = np.array([peak * moved(shift) for shift in shifts])
    return ((rng.poisson(light) + rng.normal(0, READ, light.shape)) / GAIN).astype(np.float32)


def bound(peak):
    """Return the Cramér-Rao bound of the shift for a known pattern, (dy, dx) in pixels."""
    spectrum = np.fft.fft2(peak * PATTERN)
    down = np.fft.ifft2(spectrum * 1j * FREQUENCY[:, None]).real
    across = np.fft.ifft2(spectrum * 1j * FREQUENCY).real
    gradient = np.stack([down.ravel(), across.ravel()])
    fisher = gradient / (READ**2 + peak * PATTERN.ravel()) @ gradient.T
    return np.sqrt(np.diag(np.linalg.inv(fisher)))


SHIFTS = np.random.default_rng(7).uniform(-6, 6, (150, 2))
WHOLE = Window(0, 0, SIDE, SIDE)


@pytest.mark.parametrize("peak", [400, 2800, 27000])
def test_errors_are_at_the_cramer_rao_bound_and_reported_truly(peak):
    made = register(ArrayFrames(run_of(SHIFTS, peak)), WHOLE, method="template")
    error = made.points - SHIFTS
    error -= error.mean(axis=0)
    assert np.abs(error).max() < 1
    assert np.sqrt(np.mean((error / bound(peak)) ** 2)) < 1.15
    pulls = error / made.sigma
    assert 0.9 < pulls.std() < 1.2
    np.testing.assert_allclose(made.sigma, np.tile(bound(peak), (150, 1)), rtol=0.15)


def test_masked_and_hot_pixels_do_not_move_the_star():
    frames = run_of(SHIFTS[:60], 2800)
    frames[:, 40:44, 70:80] = np.nan
    frames[:, ::17, ::13] = np.nan
    frames[:, 20, 20] = 3000  # a hot pixel over twice as bright as the star, not masked
    made = register(ArrayFrames(frames), WHOLE, method="template")
    error = made.points - SHIFTS[:60]
    error -= error.mean(axis=0)
    assert made.found.all()
    assert np.sqrt(np.mean((error / made.sigma) ** 2)) < 1.3
    assert np.abs(error).max() < 0.05


def test_frames_that_cannot_be_registered_are_reported_and_left_out():
    frames = run_of(SHIFTS[:80], 2800)
    rng = np.random.default_rng(2)
    noise = rng.normal(0, READ / GAIN, (4, SIDE, SIDE))
    frames[3] = 100  # blank
    frames[10] = noise[0]  # the star is gone
    frames[11] = noise[1] + 0.03 * frames[11]  # behind a cloud
    frames[20] = noise[2] + 3 * frames[21, ::-1, ::-1]  # another thing altogether
    frames[30, 90:92, 30] += 20000  # a cosmic ray, brighter than the star
    frames[31, 60, 66] += 9000
    frames[32] = np.nan
    frames[33, 80:86, 40:50] += 8000  # not a pixel, and brighter than the star
    made = register(ArrayFrames(frames), WHOLE, method="template")
    lost = np.flatnonzero(~made.found)
    assert {3, 10, 11, 20, 32} <= set(lost.tolist()) <= {3, 10, 11, 20, 30, 31, 32, 33}
    assert "all pixels" in made.reasons[3] and "all pixels" in made.reasons[32]
    assert "noise" in made.reasons[10]
    assert "cloud" in made.reasons[11]
    assert all(
        bool(reason) != found for reason, found in zip(made.reasons, made.found, strict=True)
    )
    assert np.isnan(made.sigma[lost]).all()
    error = (made.points - SHIFTS[:80])[made.found]
    assert np.abs(error - np.median(error, axis=0)).max() < 0.05


def test_faint_frames_have_no_star_and_are_not_said_to_fit_badly():
    frames, _, images = seen(3, 0, 2e4, n=40)
    rng = np.random.default_rng(5)
    frames[5:15] = rng.normal(100, 5, (10, *frames.shape[1:]))
    frames[15:20] = exposed(images[15:20], 60, rng)
    made = register(ArrayFrames(frames), Window.whole(frames.shape), method="template", smooth=1)
    assert set(made.reasons[5:20]) == {NO_STAR}
    assert not any(made.reasons[:5] + made.reasons[20:])


def test_a_template_of_frames_moved_by_parts_of_a_pixel_is_not_blurred():
    rests = np.random.default_rng(1).uniform(-0.5, 0.5, (50, 2))
    mean = np.mean([1000 * moved(rest) for rest in rests], axis=0).astype(np.float32)
    made = make_template(mean, rests, Noise(1.0))
    inner = slice(8, -8)
    expected = 1000 * moved((0, 0))
    assert np.abs(made.image - expected)[inner, inner].max() < 0.3
    assert np.abs(mean - expected)[inner, inner].max() > 3
    found = track_brightest(expected[np.newaxis].astype(np.float32), 0)[0, :2]
    np.testing.assert_allclose(made.point, found, atol=0.01)


def test_a_faint_star_in_one_frame_is_registered_too():
    made = register(ArrayFrames(run_of(SHIFTS[:1], 2800)), WHOLE, method="template")
    assert made.found.all()
    assert np.isfinite(made.sigma).all()


def seen(sampling, d_over_r0, photons, n=60, side=64, seed=1):
    """Return frames of a star, its places, and the frames without noise."""
    rng = np.random.default_rng(seed)
    phases = screens(n, d_over_r0, rng) if d_over_r0 else np.zeros((n, PUPIL, PUPIL))
    places = rng.uniform(-4, 4, (n, 2))
    images = stars(phases, sampling, side, places)
    return exposed(images, photons, rng), places, images.astype(np.float32)


@pytest.mark.parametrize(("sampling", "d_over_r0"), [(2, 12), (2, 5), (3, 7), (3.5, 8)])
def test_speckles_do_not_make_a_star_too_faint(sampling, d_over_r0):
    frames, _, images = seen(sampling, d_over_r0, 1e5)
    frames[5] = np.random.default_rng(0).normal(100, 5, frames[5].shape)
    whole = Window.whole(frames.shape)
    made = register(ArrayFrames(frames), whole, method="template", smooth=1)
    assert [k for k, reason in enumerate(made.reasons) if reason] == [5]
    assert "noise" in made.reasons[5]
    lit = np.flatnonzero(made.found)
    by_peak = register(ArrayFrames(frames), whole, method="brightest", smooth=1)
    stack, other = (
        stack_mean(Shifted(ArrayFrames(images), one.shifts), lit, whole).image.max()
        for one in (made, by_peak)
    )
    assert stack > 0.9 * other


@pytest.mark.parametrize(("sampling", "photons"), [(2, 3e4), (3, 2e5)])
def test_errors_of_a_small_bright_star_are_true(sampling, photons):
    """Its noise moves with it by parts of a pixel, where the weights do not."""
    frames, places, _ = seen(sampling, 0, photons, n=150)
    made = register(ArrayFrames(frames), Window.whole(frames.shape), method="template", smooth=1)
    error = made.points - places
    pulls = (error - error.mean(axis=0)) / made.sigma
    assert 0.85 < np.sqrt(np.mean(pulls**2)) < 1.2


def test_faint_frames_of_the_template_do_not_stay_where_they_are():
    """Their own noise in the template would hold them."""
    rng = np.random.default_rng(4)
    places = rng.uniform(-4, 4, (60, 2))
    images = stars(np.repeat(screens(1, 4, rng), 60, axis=0), 3, 64, places)
    made = register(
        ArrayFrames(exposed(images, 3e3, rng)), Window(0, 0, 64, 64), method="template", smooth=1
    )
    pulls = (made.points - places - np.nanmedian(made.points - places, axis=0)) / made.sigma
    assert 0.75 < np.sqrt(np.mean(pulls**2)) < 1.25


def test_the_mean_power_of_a_filter_is_the_variance_that_it_leaves_of_white_noise():
    """By Parseval, the sum of its squares; of all frequencies one half is given."""
    y, x = np.mgrid[:96, :160]
    kernel = np.exp(-((y - 48) ** 2 + (x - 80) ** 2) / 8) * (y - 47)
    assert _mean_power(np.fft.rfft2(kernel)) == pytest.approx((kernel**2).sum(), rel=0.01)


def test_rows_and_columns_beyond_the_sensor_are_left_out():
    seen = np.ones((40, 56))
    seen[:5], seen[:, 50:] = 0.1, 0.3
    assert (_inner(seen, 0), _inner(seen, 1)) == (slice(5, 40), slice(0, 50))
    assert _inner(np.zeros((40, 56)), 0) == slice(0)


def test_frames_that_are_all_different_are_refused():
    rng = np.random.default_rng(0)
    images = stars(screens(3, 20, rng), 3, 96, np.zeros((3, 2)))
    frames = ArrayFrames(exposed(images, 1e7, rng))
    with pytest.raises(LuckyError, match="no frame agrees with the mean of the others"):
        register(frames, Window(0, 0, 96, 96), method="template", smooth=1)


def test_a_star_of_which_no_frame_is_clear_enough_for_a_template_has_reasons():
    rng = np.random.default_rng(2)
    images = stars(screens(6, 1, rng), 3, 96, np.zeros((6, 2)))
    frames = ArrayFrames(exposed(images, 120, rng))
    made = register(frames, Window(0, 0, 96, 96), method="template", smooth=1)
    assert {reason for reason in made.reasons if reason} == {NO_STAR}
    assert np.abs(made.points[made.found] - 48).max() < 4


@pytest.mark.parametrize(("sampling", "d_over_r0"), [(1.2, 0), (1.5, 0), (1.5, 8), (1.75, 3)])
def test_an_undersampled_star_is_reported(sampling, d_over_r0):
    frames, _, _ = seen(sampling, d_over_r0, 1e5)
    with pytest.raises(LuckyError, match=r"at least 2 px per λ/D.* correlation"):
        register(ArrayFrames(frames), Window.whole(frames.shape), method="template", smooth=1)


def test_where_there_is_no_light_nothing_is_undersampled():
    assert aliased_detail(np.zeros((32, 32), np.float32), 0.0) == 0


def test_a_clipped_star_is_refused_for_that():
    frames = ArrayFrames(np.rint(run_of(SHIFTS[:30], 27000) + 100).astype(np.uint16))
    peaks = frames.array.max(axis=(1, 2))
    clipped = calibrate(frames, saturation=float(np.quantile(peaks, 0.5)))
    with pytest.raises(LuckyError, match=r"In 15 of 30 frames it is clipped: pixels of \d+ ADU"):
        register(clipped, WHOLE, method="template")
    for part in (0.75, 0.8):  # a quarter of them may be
        some = calibrate(frames, saturation=float(np.quantile(peaks, part, method="higher")) + 0.5)
        assert not any(register(some, WHOLE, method="template").reasons)
    more = calibrate(frames, saturation=float(np.sort(peaks)[-8]))
    with pytest.raises(LuckyError, match=r"In [89] of 30 frames"):
        register(more, WHOLE, method="template")


def test_every_reason_is_true():
    frames, _, _ = seen(3, 0, 1e4, side=96)
    frames[7, 40:60, 40:60] = np.nan  # the star alone
    frames[9] = np.nan
    made = register(ArrayFrames(frames), Window(0, 0, 96, 96), method="template", smooth=1)
    assert made.reasons[7] and "all pixels" not in made.reasons[7]
    assert "all pixels" in made.reasons[9]
    assert not any(made.reasons[:7] + made.reasons[10:])
    starless = np.random.default_rng(0).normal(100, 5, (20, 64, 64)).astype(np.float32)
    with pytest.raises(LuckyError) as told:
        register(ArrayFrames(starless), Window(0, 0, 64, 64), method="template")
    assert "equal or masked" not in str(told.value)
