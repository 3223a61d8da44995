"""A star is found if it stands out of the noise, and only then."""

import numpy as np
import pytest
from astropy.io import fits

from made_stars import exposed, screens, stars
from napari_lucky import Recipe, Select, Window, find_star, process, register
from napari_lucky.cli.main import main
from napari_lucky.errors import NoStarError
from napari_lucky.frames import ArrayFrames
from napari_lucky.steps.registry import load_steps

METHODS = tuple(load_steps()["register"])
SHAPE = (48, 80, 96)
Y, X = (np.linspace(-1, 1, side) for side in SHAPE[1:])


def noise_with(kind, seed=1):
    """Return frames without a star, of noise and of what else there may be."""
    rng = np.random.default_rng(seed)
    frames = rng.normal(100, 5, SHAPE)
    if kind == "a gradient":
        frames += 8 * Y[:, None] + 5 * X
    elif kind == "a steep gradient":
        frames += 15 * Y[:, None] - 12 * X
    elif kind == "few photons":
        frames = rng.poisson(0.5, SHAPE)
    elif kind == "pairs of hot pixels":
        for y, x, step in ((30, 40, (0, 1)), (50, 21, (1, 1)), (20, 60, (1, 0))):
            frames[:, y, x] += 900
            frames[:, y + step[0], x + step[1]] += 500
    elif kind == "vignetting":
        frames -= 3 * (Y[:, None] - 0.4) ** 2 + 3 * (X + 0.6) ** 2
    elif kind == "columns":
        frames += rng.normal(0, 2, SHAPE[2])
    elif kind == "rows that vary":
        frames += rng.normal(0, 2, (*SHAPE[:2], 1))
    elif kind == "a fixed pattern":
        frames += rng.normal(0, 3, SHAPE[1:])
    elif kind == "a shadow":
        frames -= 8 * np.exp(-8 * (Y[:, None] ** 2 + (X - 0.3) ** 2))
    elif kind == "a brighter sky":
        frames[::3] = rng.normal(400, 15, frames[::3].shape)
    elif kind == "a cosmic ray":
        frames[7, 30, 40] += 3000
    return frames.astype(np.float32)


KINDS = [
    "nothing",
    "a gradient",
    "a steep gradient",
    "few photons",
    "pairs of hot pixels",
    "vignetting",
    "columns",
    "rows that vary",
    "a fixed pattern",
    "a shadow",
    "a brighter sky",
    "a cosmic ray",
]


@pytest.mark.parametrize("kind", KINDS)
def test_a_night_without_a_star_has_none(kind):
    frames = ArrayFrames(noise_with(kind))
    with pytest.raises(NoStarError, match="nothing there stands out of the noise"):
        register(frames, Window(4, 4, 64, 64))
    if kind != "a cosmic ray":  # told when the window is looked at
        with pytest.raises(NoStarError, match="stands out of the noise in 48 frames"):
            find_star(frames, 64)


@pytest.mark.parametrize("method", METHODS)
def test_no_method_finds_a_star_in_noise(method):
    with pytest.raises(NoStarError):
        register(ArrayFrames(noise_with("nothing")), Window(4, 4, 64, 64), method=method)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_few_frames_of_noise_hold_no_star(count):
    frames = ArrayFrames(noise_with("nothing")[:count])
    with pytest.raises(NoStarError):
        register(frames, Window(4, 4, 64, 64))
    with pytest.raises(NoStarError):
        find_star(frames, 64)


def test_many_runs_of_noise_give_no_false_alarm():
    rng = np.random.default_rng(2)
    for _ in range(40):
        frames = ArrayFrames(rng.normal(0, 3, (12, 40, 40)).astype(np.float32))
        with pytest.raises(NoStarError):
            register(frames, Window(4, 4, 32, 32), smooth=1.0)


def cloud(sampling, d_over_r0, n=60, seed=4):
    """Return speckle images of total light 1, up to 128 px wide, that dance about a little."""
    rng = np.random.default_rng(seed)
    side = min(128, int(30 * sampling))
    return stars(screens(n, d_over_r0, rng), sampling, side, rng.normal(0, sampling / 2, (n, 2)))


@pytest.mark.parametrize(
    ("sampling", "d_over_r0", "photons", "read"),
    [(2, 3, 1000, 5), (3.5, 12, 3000, 3), (7, 3, 3000, 5), (7, 8, 3000, 3), (7, 12, 3000, 1)],
)
def test_a_faint_star_is_not_lost_and_noise_is_left_out(sampling, d_over_r0, photons, read):
    rng = np.random.default_rng(5)
    images = cloud(sampling, d_over_r0)
    starless = np.arange(len(images)) % 10 == 3
    images[starless] = 0
    frames = ArrayFrames(exposed(images, photons, rng, read))
    made = register(frames, Window.whole(images.shape), smooth=max(1.0, sampling / 3))
    assert made.found[~starless].mean() > 0.9
    assert not made.found[starless].any()
    assert {made.reasons[k] for k in np.flatnonzero(starless)} == {
        "no star stands out of the noise"
    }


def test_a_star_too_faint_for_single_frames_is_found_in_their_mean():
    rng = np.random.default_rng(6)
    images = cloud(7, 12, 120)
    made = register(ArrayFrames(exposed(images, 3000, rng)), Window(0, 0, 128, 128), smooth=2.33)
    assert made.found.mean() > 0.8
    wide = rng.normal(100, 5, (120, 200, 220)).astype(np.float32)
    wide[:, 30:158, 60:188] += rng.poisson(3000 * images)
    assert np.abs(np.subtract(find_star(ArrayFrames(wide)).centre, (94, 124))).max() < 25


def test_a_scene_registers_by_correlation_though_it_has_no_star():
    rng = np.random.default_rng(7)
    f = np.hypot(np.fft.fftfreq(160)[:, None], np.fft.fftfreq(160))
    waves = np.fft.fft2(rng.normal(size=(160, 160))) * (f < 0.08)
    scene = np.fft.ifft2(waves).real
    scene /= scene.std()
    moved = rng.integers(-4, 5, (12, 2))
    for contrast in (0.7, 20.0):  # of a pixel's noise
        frames = 500 + contrast * 5 * np.array([np.roll(scene, tuple(by), (0, 1)) for by in moved])
        frames = ArrayFrames((frames + rng.normal(0, 5, frames.shape)).astype(np.float32))
        made = register(frames, Window(40, 40, 80, 80), method="correlation")
        assert made.found.all()
        error = made.points - moved
        assert np.abs(error - np.median(error, axis=0)).max() < 0.5
    assert find_star(frames, 80, scene=True).shape == (80, 80)


def test_the_command_line_ends_with_a_status_of_its_own_and_writes_nothing(tmp_path, capsys):
    fits.PrimaryHDU(noise_with("nothing")).writeto(tmp_path / "run.fits")
    for more in ([], ["--focus", "40,40,64"]):
        assert (
            main(["process", str(tmp_path / "run.fits"), "-o", str(tmp_path / "out"), *more]) == 3
        )
        told = capsys.readouterr()
        assert told.out == "" and told.err.startswith("napari-lucky: No star")
        assert not (tmp_path / "out").exists()


def test_what_is_left_out_is_neither_ranked_nor_stacked_and_is_reported_in_one_line(tmp_path):
    rng = np.random.default_rng(8)
    images = cloud(3, 4, 20)
    images[[2, 9]] = 0
    frames = exposed(images, 20000, rng)
    frames[5] = 100
    fits.PrimaryHDU(frames).writeto(tmp_path / "run.fits")
    made = process(Recipe((str(tmp_path / "run.fits"),), Select(keep=1.0), focus=(45, 45, 90)))
    assert np.flatnonzero(~made.table.selected).tolist() == [2, 5, 9]
    assert np.isnan(made.table.quality[[2, 5, 9]]).all()
    assert "Left out 2 frames (2, 9): no star stands out of the noise." in made.notes
    assert made.images["long_exposure"].combined == 17
