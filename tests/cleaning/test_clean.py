import numpy as np
import pytest

from napari_lucky import LuckyError, Window, clean
from napari_lucky.cleaning import outliers
from napari_lucky.cleaning.background import BackgroundRemoved
from napari_lucky.cleaning.dust import DustRemoved
from napari_lucky.cleaning.low_pass import LowPass
from napari_lucky.cleaning.noise_cut import NoiseCut
from napari_lucky.cleaning.outliers import OutliersRemoved
from napari_lucky.frames import ArrayFrames
from napari_lucky.steps import (
    CutNoise,
    LowPassFilter,
    RemoveBackground,
    RemoveDust,
    RemoveFlicker,
    RemoveOutliers,
)

RNG = np.random.default_rng(21)
SHAPE = (160, 200)
ROWS, COLUMNS = np.mgrid[: SHAPE[0], : SHAPE[1]]
WINDOW = Window.centred(80, 120, 64)
SPOT = (40.0, 50.0, 8.0)


def bump(y, x, sigma):
    return np.exp(-((ROWS - y) ** 2 + (COLUMNS - x) ** 2) / (2 * sigma**2))


@pytest.fixture(scope="module")
def run():
    """Stray light that slopes, a shadow of 20 %, a star that wanders, noise and one outlier."""
    sky = 1000 + ROWS + 0.5 * COLUMNS
    shadow = 1 - 0.2 * bump(*SPOT[:2], 3)
    path = [(80 + 6 * np.sin(k), 120 + 6 * np.cos(k)) for k in range(12)]
    frames = np.stack([(sky + 3000 * bump(y, x, 4)) * shadow for y, x in path])
    frames += np.random.default_rng(21).normal(0, 4, frames.shape)
    frames[5, 100, 30] += 400
    return ArrayFrames(frames.astype(np.float32))


def test_off_costs_nothing(run):
    made = clean(run, [], windows=[WINDOW])
    assert made.frames is run
    assert (made.steps, made.history, made.notes, made.views) == ((), (), (), {})


def test_everything_on_is_a_chain_in_the_order_reported(run):
    made = clean(
        run,
        [
            RemoveOutliers(sigma=6),
            RemoveFlicker(sigma=7),
            RemoveDust(count=1, radius=8),
            RemoveBackground(order=1),
            CutNoise(sigma=2),
            LowPassFilter(cutoff=0.2),
        ],
        windows=[WINDOW],
    )
    kinds, view = [], made.frames
    while view is not run:
        kinds.append(type(view))
        view = view.frames
    assert kinds[::-1] == [DustRemoved, BackgroundRemoved, OutliersRemoved, NoiseCut, LowPass]
    names = ["dust", "background", "outliers", "flicker", "noise-cut", "low-pass"]
    assert [step.name for step in made.history] == names
    assert made.notes[0] == "Dust: 1 shadow divided out."
    told = "Masked 0 outlier pixels in the windows of 12 frames"  # the outlier is elsewhere
    assert told in made.notes[1]


def test_dust_stray_light_and_outliers_are_gone(run):
    cleaning = [
        RemoveOutliers(sigma=6, action="replace"),
        RemoveDust(count=3, radius=8),
        RemoveBackground(order=1),
    ]
    made = clean(run, cleaning, windows=[WINDOW])
    (spot,) = made.views["dust"].spots
    assert np.hypot(spot.y - SPOT[0], spot.x - SPOT[1]) < 1
    rest = made.frames.read(slice(None))
    far = np.hypot(ROWS - 80, COLUMNS - 120) > 30
    assert np.abs(rest.mean(axis=0)[far].mean()) < 0.1  # of 1180
    shadowed = np.hypot(ROWS - SPOT[0], COLUMNS - SPOT[1]) < 4
    assert abs(rest.mean(axis=0)[shadowed].mean()) < 0.01 * 1060
    assert abs(rest[5, 100, 30]) < 20


def test_outliers_are_counted_in_whole_frames_where_no_windows_are(run):
    made = clean(run, [RemoveOutliers(sigma=6)])
    assert made.notes == ("Masked 1 outlier pixel in 12 frames looked at: 0.00026 %.",)


def test_of_a_long_run_outliers_are_counted_in_some_frames(monkeypatch, run):
    monkeypatch.setattr(outliers, "LOOK_NEAR", 3)
    made = clean(run, [RemoveOutliers(sigma=6)], windows=[WINDOW])
    assert "Masked 0 outlier pixels in the windows of 3 frames looked at" in made.notes[0]


def test_known_spots_are_taken_and_none_are_looked_for(run):
    spots = (SPOT, (120.0, 30.0, 5.0))
    masked = clean(run, [RemoveDust(spots=spots, action="mask")], windows=[WINDOW])
    assert masked.views["dust"].spots == spots
    hole = np.isnan(masked.frames.read(slice(0, 1))[0])
    assert hole[40, 50] and hole[120, 30] and not hole[80, 120]
    assert hole.sum() == pytest.approx(np.pi * (8**2 + 5**2), rel=0.1)


def test_dust_is_measured_on_the_flat_that_is_given(run):
    flat = (1 - 0.5 * bump(90, 60, 3)).astype(np.float32)
    flat += RNG.normal(0, 1e-3, SHAPE).astype(np.float32)
    made = clean(run, [RemoveDust(count=1, radius=8, on="flat.fits")], windows=[WINDOW], light=flat)
    (spot,) = made.views["dust"].spots
    assert np.hypot(spot.y - 90, spot.x - 60) < 1
    ratio = made.frames.read(slice(0, 1))[0] / run.read(slice(0, 1))[0]
    assert ratio[90, 60] == pytest.approx(2, rel=0.02)
    assert made.history[0].parameters["on"].endswith("flat.fits")


def test_discs_follow_the_speckle():
    """A halo too faint to be clipped is left out of the fit only if the disc moves with it."""
    path = [(80 + 24 * np.sin(k), 120 + 24 * np.cos(k)) for k in range(8)]
    halos = np.stack([np.hypot(ROWS - y, COLUMNS - x) < 20 for y, x in path])
    frames = RNG.normal(1000, 4, (8, *SHAPE)) + 5 * halos
    frames += [2000 * bump(y, x, 2) for y, x in path]
    far = {}
    for centre in ("window", "speckle"):
        cleaning = [RemoveBackground(order=2, radius=21, centre=centre)]
        made = clean(ArrayFrames(frames), cleaning, windows=[WINDOW])
        far[centre] = (
            np.abs(made.views["background"].model(slice(None)) - 1000).max(axis=(1, 2)).mean()
        )
        assert made.history[0].parameters["centre"] == centre
    assert far["speckle"] < 0.6 * far["window"]


@pytest.mark.parametrize(
    ("step", "given", "told"),
    [
        (RemoveOutliers, {"sigma": 1.0}, "from 2 to 1000 σ"),
        (RemoveFlicker, {"sigma": float("nan")}, "from 2 to 1000 σ"),
        (RemoveOutliers, {"action": "drop"}, "one of mask, replace"),
        (RemoveDust, {"action": "drop"}, "one of divide, mask"),
        (RemoveBackground, {"centre": "sensor"}, "one of window, speckle"),
        (RemoveDust, {"count": 0}, "of at least 1"),
        (RemoveDust, {"radius": 0.0}, "radius is 0.0"),
        (RemoveBackground, {"order": 7}, "from 0 to 6"),
        (RemoveBackground, {"radius": -1.0}, "of at least 0"),
        (CutNoise, {"sigma": 0.0}, "noise-cut: sigma is 0.0"),
        (LowPassFilter, {"cutoff": 0.0}, "cutoff is 0.0"),
        (LowPassFilter, {"cutoff": 1.0, "sampling": 0.0}, "sampling"),
        (CutNoise, {"sigma": "3"}, "noise-cut: sigma is '3'; it must be a number"),
        (CutNoise, {"sgma": 3.0}, "did you mean 'sigma'"),
    ],
)
def test_bad_parameters_are_named(step, given, told):
    with pytest.raises(LuckyError, match=told):
        step(**given)


def test_discs_that_follow_need_the_focused_star(run):
    with pytest.raises(LuckyError, match="--focus"):
        clean(run, [RemoveBackground(order=1, centre="speckle")], windows=[None, WINDOW])


def test_a_cut_off_in_diffraction_limits():
    assert LowPassFilter(cutoff=1.0, sampling=7.0).cycles == pytest.approx(1 / 7)
    assert LowPassFilter(cutoff=0.2).cycles == 0.2
