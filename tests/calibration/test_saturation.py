"""The level at which stars are clipped, on simulated speckles whose level is known."""

import numpy as np
import pytest
from astropy.io import fits

from made_speckles import exposed, speckles
from napari_lucky import Calibrate, Job, Recipe, Window, calibrate, open_run, process, register
from napari_lucky.calibration.calibrate import Calibrated, with_saturation
from napari_lucky.calibration.saturation import _is_piled_up, clipping_level, plateau_notes
from napari_lucky.frames.frames import ArrayFrames
from napari_lucky.registration.step import Register

WHOLE = Window(0, 0, 128, 128)


def found(frames, **parameters):
    return clipping_level(Calibrated(ArrayFrames(frames), **parameters), WHOLE)


def star(highest, sampling=3.5, d_over_r0=3, n=40):
    """Return exposures of which the brightest pixel is about so high, in ADU over 100."""
    light = speckles(sampling, d_over_r0, n)
    return exposed(light, highest / light.max(), np.random.default_rng(1))


@pytest.mark.parametrize("d_over_r0", [0, 3, 8])
@pytest.mark.parametrize(
    ("clip", "bits", "dtype"),
    [
        (4095, 1, np.uint16),
        (16383, 1, np.uint16),
        (4095, 16, np.uint16),
        (3217, 1, np.float32),
        (250, 1, np.uint8),
    ],
)
def test_the_level_of_a_clipped_star_is_found(clip, bits, dtype, d_over_r0):
    frames = bits * np.minimum(star(1.6 * clip, d_over_r0=d_over_r0), clip)
    assert found(frames.astype(dtype)) == clip * bits


def test_the_level_is_found_where_every_frame_has_hundreds_of_clipped_pixels():
    frames = np.minimum(star(60000, 12.0, 0, 3), 3000)
    assert (frames == 3000).sum() > 600
    assert found(frames.astype(np.uint16)) == 3000


@pytest.mark.parametrize(("sampling", "d_over_r0"), [(2.0, 0), (7.0, 0), (7.0, 2), (12.0, 2)])
def test_no_alarm_in_few_frames(sampling, d_over_r0):
    light = star(3000, sampling, d_over_r0, 6)
    for frames in (light, light[:1], light[:4], np.rint(light / 4), light[:, :, ::-1] ** 1.02):
        seen = Calibrated(ArrayFrames(frames))
        assert clipping_level(seen, WHOLE) is None
        assert plateau_notes(seen, WHOLE) == ()


@pytest.mark.parametrize(("sampling", "d_over_r0"), [(2.0, 0), (3.5, 3), (7.0, 8)])
def test_no_alarm_without_clipping(sampling, d_over_r0):
    frames = star(3000, sampling, d_over_r0)
    assert found(frames.astype(np.uint16)) is None
    assert found(frames) is None
    for levels in (200, 30):  # few grey levels
        assert found(np.rint(frames * levels / frames.max()).astype(np.uint8)) is None
    own = frames - frames.min(axis=(1, 2), keepdims=True)  # each frame stretched by itself
    own = np.rint(255 * own / own.max(axis=(1, 2), keepdims=True))
    assert found(own.astype(np.uint8)) is None
    assert found(np.repeat(frames[:1], 20, axis=0)) is None  # without noise: one frame again
    assert found(np.tile(frames[:8], (20, 1, 1))) is None  # copies
    assert found(np.full((9, 128, 128), 7, np.uint16)) is None


@pytest.mark.parametrize("scatter", ["noise", "flat"])
@pytest.mark.parametrize("clip", [1.0, 0.4])
def test_a_plateau_that_is_not_all_even_is_said_and_a_stars_top_is_not(scatter, clip):
    rng = np.random.default_rng(3)
    frames = star(4000, 5.0, 1)
    level = np.floor(clip * frames.max())
    frames = np.minimum(frames, level if clip < 1 else np.inf)
    frames = (
        frames + rng.normal(0, 0.004 * level, frames.shape)
        if scatter == "noise"
        else frames / rng.normal(1, 0.01, frames.shape[1:])
    )
    seen = Calibrated(ArrayFrames(np.rint(frames).astype(np.uint16)))
    said = []
    job = Job(progress=lambda done, total, what: said.append(what))
    assert clipping_level(seen, WHOLE, job=job) is None
    notes = plateau_notes(seen, WHOLE, job=job)
    assert list(dict.fromkeys(said)) == ["looking for clipped light", "looking for a flat top"]
    assert plateau_notes(seen, Window(0, 0, 4, 4)) == ()  # too few pixels to tell
    assert len(notes) == (clip < 1)
    if notes:
        asked = float(notes[0].split("--saturation ")[1].rstrip(")."))
        assert 0.85 * level < asked < level
        assert "flat top" in " ".join(register(seen.frames, WHOLE).notes)


@pytest.mark.parametrize(("masked", "said"), [(1.1, True), (0.999, True), (0.8, False)])
def test_what_is_masked_of_a_plateau_is_not_said(masked, said):
    """Where only its top is, the rest is a plateau still."""
    rng = np.random.default_rng(3)
    frames = star(4000, 5.0, 1)
    level = np.floor(0.4 * frames.max())
    frames = np.minimum(frames, level) + rng.normal(0, 0.004 * level, frames.shape)
    raw = ArrayFrames(np.rint(frames).astype(np.uint16))
    notes = plateau_notes(Calibrated(raw, saturation=masked * level), WHOLE)
    assert ["flat top" in note for note in notes] == [True] * said


@pytest.mark.parametrize(("pixels", "said"), [(12, False), (13, True)])
def test_a_plateau_has_more_than_twelve_pixels_a_frame(pixels, said):
    """Of a block whose pixels differ a little, on an even sky."""
    frames = np.random.default_rng(3).normal(100, 2, (24, 64, 64))
    top = 1000 + np.arange(20).reshape(4, 5) % 5
    frames[:, 30:34, 30:35] = np.where(np.arange(20).reshape(4, 5) < pixels, top, 100)
    raw = ArrayFrames(np.rint(frames).astype(np.uint16))
    notes = plateau_notes(Calibrated(raw), Window(0, 0, 64, 64))
    assert ["flat top" in note for note in notes] == [True] * said


def test_hot_pixels_at_the_maximum_are_not_the_star():
    frames = star(1000).astype(np.uint16)
    frames[:, [20, 40, 70], [90, 30, 80]] = 4095
    assert found(frames) is None
    bad = np.zeros((128, 128), bool)
    frames[:, 50:52, 20:22] = 4095
    bad[50:52, 20:22] = True
    assert found(frames, bad=bad) is None


def in_colour(frames, folder, kind):
    """Write frames as a mosaic or as three planes; return them, and what each pixel is made of."""
    n, ny, nx = frames.shape
    if kind == "superpixel":
        fits.PrimaryHDU(frames, fits.Header({"BAYERPAT": "RGGB"})).writeto(folder / "c.fits")
        cells = frames.reshape(n, ny // 2, 2, nx // 2, 2).transpose(0, 2, 4, 1, 3)
        return open_run(folder / "c.fits", kind), cells.reshape(n, 4, ny // 2, nx // 2)
    planes = np.stack([frames // 2, frames, frames // 3], axis=1)
    header = fits.Header({"CTYPE3": "RGB"})
    fits.PrimaryHDU(planes.reshape(-1, ny, nx), header).writeto(folder / "c.fits")
    return open_run(folder / "c.fits"), planes


@pytest.mark.parametrize("kind", ["superpixel", "luminance"])
def test_a_mean_is_masked_if_one_of_its_numbers_is_clipped(tmp_path, kind):
    frames = np.minimum(star(4500), 3000).astype(np.uint16)
    run, parts = in_colour(frames, tmp_path, kind)
    window = Window.whole(run.shape)
    raw = calibrate(run)
    assert raw.saturation == 65535
    assert clipping_level(raw, window) == 3000
    assert np.isfinite(raw.read(slice(None))).all()
    masked = with_saturation(raw, 3000).read(slice(None))
    clipped = (parts == 3000).any(axis=1)
    assert clipped.sum() > (parts == 3000).all(axis=1).sum()  # what the means alone would show
    assert np.array_equal(np.isnan(masked), clipped)
    mean = parts.mean(axis=1, dtype=np.float32)
    np.testing.assert_array_equal(masked[~clipped], mean[~clipped])
    colour = kind if kind == "superpixel" else None
    given = {"colour": colour, "focus": (run.shape[1] // 2, run.shape[2] // 2, 48)}
    recipe = Recipe((str(tmp_path / "c.fits"),)).updated(input=given)
    assert process(recipe).recipe[Calibrate].saturation == 3000


def test_the_greatest_value_of_the_files_numbers_is_clipped_in_means_too(tmp_path):
    frames = np.random.default_rng(0).integers(900, 1100, (9, 16, 16)).astype(np.uint16)
    frames[1, 5, 8] = 65535
    run, _ = in_colour(frames, tmp_path, "superpixel")
    assert np.argwhere(np.isnan(calibrate(run).read(slice(None)))).tolist() == [[1, 2, 4]]


def test_a_job_masks_what_is_clipped_and_replays(tmp_path):
    frames = np.minimum(star(4500), 3000).astype(np.uint16)
    fits.PrimaryHDU(frames).writeto(tmp_path / "cube.fits")
    recipe = Recipe((str(tmp_path / "cube.fits"),), focus=(64, 64, 96))
    result = process(recipe)
    notes = " ".join(result.notes)
    assert "at 3000 ADU, the greatest value there. They are masked (--saturation 3000)" in notes
    bright = (frames >= 3000).any(axis=(1, 2)).sum()
    assert f"Masked the saturated pixels (3000 ADU and more) of the star in {bright} f" in notes
    assert result.recipe[Calibrate].saturation == 3000
    again = process(result.recipe)
    np.testing.assert_array_equal(again.images["focus"].data, result.images["focus"].data)
    given = process(recipe.changed(Calibrate, saturation=5000.0))
    assert "clipped" not in " ".join(given.notes)
    assert given.recipe[Calibrate].saturation == 5000


def test_a_job_looks_for_the_level_once(tmp_path, monkeypatch):
    looks = []

    def look(calibrated, window, **given):
        looks.append(window)
        return clipping_level(calibrated, window, **given)

    for room in ("calibration.sampling", "calibration.saturation", "pipeline.build"):
        monkeypatch.setattr(f"napari_lucky.{room}.clipping_level", look)
    frames = np.minimum(star(4500, n=20), 3000).astype(np.uint16)
    fits.PrimaryHDU(frames).writeto(tmp_path / "cube.fits")
    result = process(Recipe(frames=(str(tmp_path / "cube.fits"),)))
    assert len(looks) == 1
    assert result.recipe[Calibrate].saturation == 3000
    assert result.recipe[Register].smooth == pytest.approx(3.5 / 3, abs=0.2)


def test_registration_says_that_clipped_pixels_are_not_masked():
    frames = ArrayFrames(np.minimum(star(4500), 3000).astype(np.uint16))
    (told,) = register(calibrate(frames), WHOLE).notes
    assert "not masked: set the saturation to 3000 ADU" in told
    assert register(calibrate(frames, saturation=3000), WHOLE).notes == ()
    assert register(frames, WHOLE).notes == (told,)  # raw ones


@pytest.mark.parametrize(("each", "clipped"), [(1, False), (3, False), (8, True)])
def test_values_pile_up_by_their_number_at_the_levels_just_below(each, clipped):
    """Where 25 frames have one value each at 980 to 999, about 25 a level are usual: five times
    that is clipped. How many are darker says nothing."""
    dark = np.linspace(0, 900, 44 - each).astype(int)
    row = np.concatenate([dark, np.arange(980, 1000), np.full(each, 1000)]).astype(float)
    faint = np.concatenate([[0.0] * each, dark, np.arange(980, 1000)])
    top = np.array([np.sort(row)] * 20 + [np.sort(faint)] * 5)
    assert _is_piled_up(top, 1000.0) == clipped
