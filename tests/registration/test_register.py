import numpy as np
import pytest

from made_speckles import exposed as seen
from made_speckles import speckles
from made_stars import PUPIL, exposed, stars
from napari_lucky import LuckyError, Window, register
from napari_lucky.frames import ArrayFrames
from napari_lucky.registration.correlation import _best_whole
from napari_lucky.registration.register import method_of, registration_record
from napari_lucky.steps.registry import load_steps

METHODS = tuple(load_steps()["register"])
SHAPE = (100, 140)
FOCUS = Window(20, 60, 60, 64)  # not square, not centred: rows and columns cannot be swapped
RNG = np.random.default_rng(1)


def run_of(points, sigma=2.5, height=1000.0, noise=5.0, level=200.0):
    rows, columns = np.mgrid[: SHAPE[0], : SHAPE[1]]
    frames = [
        level + height * np.exp(-((rows - y) ** 2 + (columns - x) ** 2) / (2 * sigma**2))
        for y, x in points
    ]
    return (np.array(frames) + RNG.normal(0, noise, (len(points), *SHAPE))).astype(np.float32)


POINTS = np.array([48.0, 90.0]) + RNG.uniform(-15, 15, (40, 2))


@pytest.mark.parametrize("method", METHODS)
def test_shifts_are_right_to_a_tenth_of_a_pixel(method):
    made = register(ArrayFrames(run_of(POINTS)), FOCUS, method=method)
    assert np.abs(made.points - POINTS).max() < 0.1
    np.testing.assert_allclose(made.shifts, np.asarray(made.reference) - made.points)
    assert made.found.all()


@pytest.mark.parametrize("method", METHODS)
def test_shifts_have_their_sign_and_do_not_wrap(method):
    """Old error 3: shifts were unsigned 16-bit numbers, −1 became 65535."""
    points = np.array([[50.0, 90.0], [44.0, 97.0], [56.0, 83.0], [50.0, 90.0], [50.0, 90.0]])
    made = register(ArrayFrames(run_of(points)), FOCUS, method=method)
    expected = [[0, 0], [6, -7], [-6, 7], [0, 0], [0, 0]]
    np.testing.assert_allclose(made.shifts, expected, atol=0.1)
    assert made.reference == (50.0, 90.0)


def test_only_the_window_is_looked_at_rows_as_rows():
    """Old error 4: the speckle mask was built transposed, rows for columns."""
    frames = run_of(POINTS)
    frames[:, 30, 10] += 5000  # outside the window, inside it if rows and columns were swapped
    frames[:, 90, 30] += 5000
    made = register(ArrayFrames(frames), FOCUS)
    assert np.abs(made.points - POINTS).max() < 0.1


@pytest.mark.parametrize("method", METHODS)
def test_masked_pixels_do_not_attract_the_tracker(method):
    frames = run_of(POINTS)
    frames[:, 40:43, 70] = np.nan
    frames[:, ::17, ::13] = np.nan
    made = register(ArrayFrames(frames), FOCUS, method=method)
    assert np.median(np.abs(made.points - POINTS)) < 0.15
    assert np.abs(made.points - POINTS).max() < 0.6


def test_brightest_follows_the_brightest_speckle_and_centroid_the_light_around_it():
    two = run_of(POINTS[:5], sigma=2) + 0.7 * (run_of(POINTS[:5] + np.array([0, 8]), sigma=2) - 200)
    brightest = register(ArrayFrames(two), FOCUS, method="brightest")
    centroid = register(ArrayFrames(two), FOCUS, method="centroid")
    assert np.abs(brightest.points - POINTS[:5]).max() < 0.4
    pulled = centroid.points[:, 1] - brightest.points[:, 1]
    assert np.all((pulled > 0.1) & (pulled < 2))


@pytest.mark.parametrize("method", METHODS)
def test_frames_without_a_star_are_flagged(method):
    frames = run_of(POINTS)
    frames[3], frames[7] = 100, np.nan
    made = register(ArrayFrames(frames), FOCUS, method=method)
    assert np.flatnonzero(~made.found).tolist() == [3, 7]
    assert np.isnan(made.shifts[[3, 7]]).all()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("value", [np.nan, 7.0])
def test_a_run_without_any_star_is_reported(method, value):
    with pytest.raises(LuckyError, match="No star in rows 20 to 79"):
        register(ArrayFrames(np.full((4, *SHAPE), value, np.float32)), FOCUS, method=method)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"method": "guess"}, "brightest, centroid, correlation"),
        ({"smooth": -1.0}, "smooth is -1.0"),
        ({"focus": Window(50, 60, 60, 64)}, "rows 50 to 109"),
        ({"focus": Window(10, 10, 4, 64)}, "at least 8"),
    ],
)
def test_bad_arguments_are_reported(arguments, told):
    with pytest.raises(LuckyError, match=told):
        register(ArrayFrames(run_of(POINTS[:2])), **{"focus": FOCUS, **arguments})


def test_the_whole_frame_may_be_the_window():
    made = register(ArrayFrames(run_of(POINTS)), Window.whole(SHAPE), method="correlation")
    assert np.abs(made.points - POINTS).max() < 0.1


def test_the_reference_frame_is_not_one_cut_by_the_window():
    points = POINTS[:12].copy()
    points[5] = [48, 61]  # its star is half outside the window
    frames = run_of(points)
    frames[5] = 200 + 4 * (frames[5] - 200)  # and by far the brightest
    made = register(ArrayFrames(frames), FOCUS, method="correlation")
    others = np.arange(12) != 5
    assert np.abs(made.points - points)[others].max() < 0.1


@pytest.mark.parametrize("side", [0, 1])
def test_the_best_reference_is_an_eighth_of_the_window_from_its_edge(side):
    window = Window(0, 0, 64, 48)
    margin, far = window.shape[side] / 8, window.shape[side] * 7 / 8
    at = [margin - 0.5, margin + 0.5, far + 0.5, far - 0.5]  # the nearer to the edge, the brighter
    found = np.full((5, 7), np.nan)
    found[:4, :2] = np.array(window.shape) / 2
    found[:4, side], found[:4, 2] = at, [50, 30, 40, 20]
    assert _best_whole(found, window) == 1
    assert _best_whole(found[[0, 2, 4]], window) == 0  # none is whole: the brightest


@pytest.mark.parametrize("reference", ["best", "first", "mean", "7"])
def test_any_reference_frame_gives_the_shifts(reference):
    frames = run_of(POINTS)
    frames[0] = 100  # has no star: the first one that has is taken
    made = register(ArrayFrames(frames), FOCUS, method="correlation", reference_frame=reference)
    assert np.abs(made.points - POINTS)[1:].max() < 0.1
    assert made.reference_frame == reference


def test_the_mean_is_the_least_noisy_reference():
    frames = ArrayFrames(run_of(POINTS, height=60, noise=15))
    rms = {}
    for reference in ("first", "mean"):
        made = register(frames, FOCUS, method="correlation", smooth=2.0, reference_frame=reference)
        error = made.points - POINTS
        rms[reference] = np.sqrt(np.mean((error - np.median(error, axis=0)) ** 2))
    assert rms["mean"] < 0.85 * rms["first"]


@pytest.mark.parametrize(
    ("reference", "told"), [("40", "0 to 39"), ("-1", "not '-1'"), ("x", "mean")]
)
def test_a_reference_frame_that_is_none_is_reported(reference, told):
    with pytest.raises(LuckyError, match=told):
        register(
            ArrayFrames(run_of(POINTS)), FOCUS, method="correlation", reference_frame=reference
        )


@pytest.mark.parametrize("method", ["brightest", "centroid", "correlation", "template"])
def test_hot_pixels_are_not_tracked_without_a_dark(method):
    rng = np.random.default_rng(3)
    places = rng.uniform(-4, 4, (40, 2))
    frames = exposed(stars(np.zeros((40, PUPIL, PUPIL)), 3, 64, places), 3e3, rng)
    hot = rng.random((64, 64)) < 0.005
    frames[:, hot] += rng.uniform(300, 3000, np.count_nonzero(hot))
    made = register(ArrayFrames(frames), Window(0, 0, 64, 64), method=method, smooth=1)
    error = made.points - places
    assert np.abs(error - np.nanmedian(error, axis=0)).max() < 0.5
    assert made.found.all()


@pytest.mark.parametrize(("sampling", "known"), [(1.6, False), (4.0, True)])
def test_errors_that_are_not_known_are_said(sampling, known):
    rng = np.random.default_rng(0)
    block = seen(speckles(sampling, 3, n=24, side=64), 1e5, rng)
    made = register(ArrayFrames(block), Window(0, 0, 64, 64))
    assert np.isfinite(made.sigma).any() == known
    told = [note for note in made.notes if "errors of the shifts are not known" in note]
    assert len(told) == (not known)


def test_the_record_has_windows_and_counts_as_numbers():
    frames = run_of(POINTS)
    frames[3] = 100
    step = method_of("brightest", 2.0)
    record = registration_record(register(ArrayFrames(frames), FOCUS, method=step), step, FOCUS)
    y, x = record.facts["reference"]
    assert np.abs(np.median(np.delete(POINTS, 3, axis=0), axis=0) - (y, x)).max() < 0.6
    assert record.facts["focus"] == record.facts["defocus"] == [20, 60, 60, 64]
    assert record.facts["frames_without_star"] == 1
    assert record.parameters["smooth"] == 2.0
