"""The whole chain against known truth: what the old scripts got wrong, and what must hold."""

import json
from dataclasses import replace

import numpy as np
import pytest
from astropy.io import fits
from scipy import ndimage
from scipy.stats import spearmanr

from napari_lucky import (
    Calibrate,
    LuckyError,
    Rank,
    Recipe,
    Select,
    Window,
    calibrate,
    open_run,
    process,
    simulate_run,
    stack_mean,
)
from napari_lucky.execution.job import Job
from napari_lucky.fits import table_to_csv
from napari_lucky.frames import ArrayFrames
from napari_lucky.imaging import Shifted
from napari_lucky.pipeline.recipe import read_recipe, recipe_to_toml
from napari_lucky.ranking.metrics import METRICS, metric
from napari_lucky.registration.step import Register
from napari_lucky.steps import (
    CutNoise,
    LowPassFilter,
    ReadShifts,
    RemoveBackground,
    RemoveDust,
    RemoveFlicker,
    RemoveOutliers,
)
from napari_lucky.steps.registry import load_steps
from star_measures import likeness, strehl

METHODS = tuple(load_steps()["register"])


def write(path, image, **cards):
    path.parent.mkdir(parents=True, exist_ok=True)
    fits.PrimaryHDU(image, fits.Header(list(cards.items()))).writeto(path, overwrite=True)
    return str(path)


def spots(n=10, shape=(80, 160), seed=0, noise=2.0):
    """Return float32 frames of a Gaussian star at (40 + dy, 40 + dx), its amplitudes and (dy, dx).

    The right half of the sensor is free for a second star.
    """
    rng = np.random.default_rng(seed)
    y, x = np.indices(shape)
    at = rng.uniform(-6, 6, (n, 2))
    amplitude = rng.permutation(np.linspace(300, 900, n))
    frames = [
        100 + a * np.exp(-((y - 40 - dy) ** 2 + (x - 40 - dx) ** 2) / 18)
        for a, (dy, dx) in zip(amplitude, at, strict=True)
    ]
    return (frames + noise * rng.standard_normal((n, *shape))).astype(np.float32), amplitude, at


FOCUS, DEFOCUS = (40, 40, 40), (40, 120, 48)


# --- the old scripts' errors


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """200 frames at D/r0 = 5.6, as a cube with dark and flat; wide truth, so none is cut off."""
    made = simulate_run(200, d_over_r0=5.6, seed=1, focus_size=192, defocus_size=256)
    folder = tmp_path_factory.mktemp("run")
    recipe = Recipe(
        (write(folder / "cube.fits", made.frames, **made.header),),
        Calibrate(
            dark=write(folder / "dark.fits", made.dark), flat=write(folder / "flat.fits", made.flat)
        ),
        Select(keep=0.1),
        focus=(*made.focus[:2], 128),
        defocus=(*made.defocus[:2], 192),
    )
    return made, recipe, process(recipe)


def test_old_error_1_frames_are_ranked_on_one_scale(run):
    """Each frame was stretched to its own extremes first: all maxima alike, the choice void."""
    simulated, recipe, result = run
    assert spearmanr(result.table.quality, simulated.truth.strehl).statistic > 0.95
    everything = process(recipe.changed(Select, keep=1.0))
    gain = strehl(result.images["focus"].data) / strehl(everything.images["focus"].data)
    assert gain > 1.5


def test_old_error_2_the_defocused_stack_is_of_the_very_same_frames(tmp_path):
    """The donut came from file i, the star from file i + 1. Here, donut i is the constant i."""
    frames, amplitude, _ = spots(20)
    frames[:, :, 80:] = np.arange(20)[:, None, None]
    cube = write(tmp_path / "cube.fits", frames)
    result = process(Recipe((cube,), Select(keep=4), focus=FOCUS, defocus=DEFOCUS))
    kept = np.flatnonzero(result.table.selected)
    assert set(kept) == set(np.argsort(amplitude)[-4:])
    assert kept.mean() not in ((kept - 1).mean(), 9.5)
    np.testing.assert_allclose(result.images["defocus"].data, kept.mean(), rtol=1e-6)


def test_old_error_2_the_defocused_stack_has_the_very_same_shifts(tmp_path):
    frames, _, _ = spots(12, noise=0)
    frames[:, :, 80:] = frames[:, :, 10:90]  # the same star, 70 columns to the right
    cube = write(tmp_path / "cube.fits", frames)
    result = process(Recipe((cube,), Select(keep=0.5), focus=FOCUS, defocus=(40, 110, 40)))
    left, right = (result.images[name].data for name in ("focus", "defocus"))
    inner = slice(8, 32)  # away from the seam between the two halves
    np.testing.assert_allclose(right[:, inner], left[:, inner], atol=1e-3)
    assert np.ptp(left) > 400


@pytest.mark.parametrize(("keep", "kept"), [(1, 1), (3, 3), (0.25, 10), (1.0, 12)])
def test_old_error_7_flux_is_a_frame_s_whatever_is_kept(keep, kept, tmp_path):
    """Sums were divided by the frames read, not by those stacked."""
    frame = spots(1)[0][0]
    cube = write(tmp_path / "cube.fits", np.repeat(frame[None], 12, axis=0))
    result = process(Recipe((cube,), Select(keep=keep), focus=FOCUS, defocus=DEFOCUS))
    assert result.images["focus"].combined == kept
    assert result.images["focus"].history[-2].facts["of"] == 12
    told = " ".join(result.notes)
    assert ("with fewer than 10" in told) == (kept < 10)
    assert ("25 % of 12 frames is fewer than 10" in told) == (keep == 0.25)
    unshifted = result.images["long_exposure"].data
    np.testing.assert_allclose(unshifted, frame[Window.centred(*FOCUS).slices], rtol=1e-6)
    assert result.images["focus"].data.mean() == pytest.approx(unshifted.mean(), rel=1e-3)
    donut = frame[Window.centred(*DEFOCUS).slices]
    assert result.images["defocus"].data.mean() == pytest.approx(donut.mean(), rel=1e-3)


# --- what must hold: the Strehl ratio and the defocused star


def moved_mean(images, shifts):
    """Return the mean of noise-free images moved by cubic splines, by code not the program's."""
    return np.mean([ndimage.shift(i.astype(float), s) for i, s in zip(images, shifts)], axis=0)  # noqa: B905


def middle(image, size):
    cut = (len(image) - size) // 2
    return image[cut : cut + size, cut : cut + size]


def test_strehl_ratio_is_that_of_the_noise_free_best_frames(run):
    """The best tenth by true Strehl ratio, brought together by their true brightest points."""
    simulated, _, result = run
    truth = simulated.truth
    best = np.argsort(-truth.strehl)[:20]
    noise_free = middle(moved_mean(truth.focus_images[best], truth.shifts[best]), 128)
    assert strehl(result.images["focus"].data) > 0.98 * strehl(noise_free)
    assert strehl(result.images["long_exposure"].data) < 0.3 * strehl(noise_free)


def test_defocused_stack_is_as_good_as_one_with_the_true_shifts(run):
    simulated, recipe, result = run
    truth, kept = simulated.truth, np.flatnonzero(result.table.selected)
    # the program's reference is another whole pixel than the truth's
    offset = np.rint(np.median(result.table.shifts - truth.shifts, axis=0))
    shifts = truth.shifts + offset
    noise_free = middle(moved_mean(truth.defocus_images[kept], shifts[kept]), 192)
    raw = open_run(recipe.input.frames)
    calibrated = calibrate(raw, open_run(recipe[Calibrate].dark), open_run(recipe[Calibrate].flat))
    window = recipe.window("defocus")
    best_possible = likeness(
        stack_mean(Shifted(calibrated, shifts), kept, window).image, noise_free
    )
    assert likeness(result.images["defocus"].data, noise_free) > best_possible - 0.01
    assert best_possible > 0.95
    # the measure can tell: the frames before the chosen ones, or no shift, would fail
    before = stack_mean(Shifted(calibrated, result.table.shifts), kept - 1, window).image
    assert likeness(before, noise_free) < best_possible - 0.02
    assert likeness(stack_mean(calibrated, kept, window).image, noise_free) < best_possible - 0.02


# --- history


def test_every_image_tells_its_whole_history(run):
    _, recipe, result = run
    part = process(recipe.updated(input={"start": 10, "stop": 40}, stack={"subpixel": False}))
    for name, image in part.images.items():
        steps = {step.name: step for step in image.history}
        assert list(steps) == ["open", "choose frames", "calibrate", *MEASURED, "stack"]
        assert steps["open"].inputs["frames"] == 200
        assert steps["open"].inputs["name"] == "cube"
        assert steps["choose frames"].parameters == {"start": 10, "stop": 40, "step": 1}
        assert steps["calibrate"].inputs["dark"]["name"] == "dark.fits"
        assert steps["calibrate"].inputs["flat"]["name"] == "flat.fits"
        assert steps["calibrate"].facts["masked_from"] == 4095
        assert steps["calibrate"].facts["masked_pixels"] > 10
        assert steps["register"].parameters["method"] == "brightest"
        assert steps["register"].facts["frames_without_star"] == 0
        focus = recipe.window("focus")
        assert steps["register"].facts["focus"] == [focus.y0, focus.x0, 128, 128]
        assert steps["register"].parameters["smooth"] == part.recipe[Register].smooth == 2.37
        ranked = {"metric": "peak", "smooth": 2.37, "obstruction": 0.0}
        assert steps["rank"].parameters == ranked
        assert steps["select"].parameters == {"keep": 0.1, "add": [], "drop": []}
        assert steps["select"].facts == {"kept": 10, "of": 30}
        stacked = {**steps["stack"].parameters, **steps["stack"].facts}
        assert stacked["frames"] == (30 if name == "long_exposure" else 10)
        assert stacked["shifted"] == (name != "long_exposure")
        assert stacked["subpixel"] is False
        window = recipe.window("defocus" if name == "defocus" else "focus")
        assert stacked["window"] == [window.y0, window.x0, *window.shape]
        assert image.origin == (window.y0, window.x0)
        json.dumps([vars(step) for step in image.history])  # plain values only
    whole = [step.name for step in result.images["focus"].history]
    assert whole == ["open", "calibrate", *MEASURED, "stack"]
    assert [s.name for s in part.table.history] == list(steps)[:-1]


def test_the_master_s_checksum_follows_its_pixels(tmp_path):
    frames, _, _ = spots()
    cube = write(tmp_path / "cube.fits", frames)
    sums = []
    for level in (10, 11, 10):
        dark = write(tmp_path / "dark.fits", np.full(frames.shape[1:], level, np.float32))
        result = process(Recipe((cube,), Calibrate(dark=dark), focus=FOCUS))
        sums.append(result.table.history[1].inputs["dark"]["master_sha256"])
    assert sums[0] == sums[2] != sums[1]


# --- frames and pixels that cannot be used


MEASURED = ("register", "rank", "select")
BLANK, GOOD = [3, 7], [0, 1, 2, 4, 5, 6, 8, 9, 10, 11]


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("dtype", "calibrated"), [(np.uint16, True), (np.float32, False)])
def test_blank_frames_change_nothing_but_the_table(dtype, calibrated, method, metric, tmp_path):
    """A constant frame, and one of NaN or zeros; dark and flat would give them a pattern."""
    frames = np.rint(spots(12)[0]).astype(dtype)
    frames[BLANK[0]] = 100
    frames[BLANK[1]] = np.nan if dtype == np.float32 else 0
    options = {
        "input": {"focus": FOCUS, "defocus": DEFOCUS},
        "register": {"method": method},
        "rank": {"metric": metric, "sampling": 7.0},
        "select": {"keep": 4},
    }
    if calibrated:
        rng = np.random.default_rng(1)
        level = rng.normal(90, 3, frames.shape[1:]).astype(np.float32)
        light = (level + rng.normal(1000, 30, level.shape)).astype(np.float32)
        dark = write(tmp_path / "dark.fits", level)
        options["calibrate"] = {"dark": dark, "flat": write(tmp_path / "flat.fits", light)}
    whole = process(Recipe(write(tmp_path / "12.fits", frames)).updated(**options))
    good = process(Recipe(write(tmp_path / "10.fits", frames[GOOD])).updated(**options))

    assert "Left out 2 frames (3, 7): all pixels" in " ".join(whole.notes)
    assert "all pixels" not in " ".join(good.notes)
    assert whole.table.frame.tolist() == list(range(12))
    np.testing.assert_array_equal(whole.table.shifts[GOOD], good.table.shifts)
    np.testing.assert_array_equal(whole.table.quality[GOOD], good.table.quality)
    np.testing.assert_array_equal(whole.table.selected[GOOD], good.table.selected)
    assert good.table.selected.sum() == 4
    assert not whole.table.selected[BLANK].any()
    assert np.isnan(whole.table.quality[BLANK]).all()
    assert np.isnan(whole.table.shifts[BLANK]).all()
    for name, image in whole.images.items():
        np.testing.assert_array_equal(image.data, good.images[name].data)
        assert image.combined == good.images[name].combined
    (registered,) = (s for s in whole.table.history if s.name == "register")
    assert registered.facts["frames_without_star"] == 2


def test_frames_left_out_are_reported_by_their_number_in_the_run(tmp_path):
    frames, _, _ = spots(20)
    frames[4:12] = 5
    cube = write(tmp_path / "cube.fits", frames)
    result = process(Recipe((cube,), start=2, focus=FOCUS))
    assert "Left out 8 frames (4, 5, 6, 7, 8 …): all pixels" in " ".join(result.notes)
    one = process(Recipe((cube,), start=11, focus=FOCUS))
    assert "Left out 1 frame (11): all pixels" in " ".join(one.notes)


def test_more_than_there_are_cannot_be_kept(tmp_path):
    frames, _, _ = spots(12)
    frames[BLANK] = 100
    recipe = Recipe((write(tmp_path / "cube.fits", frames),), Select(keep=11), focus=FOCUS)
    with pytest.raises(LuckyError, match="only 10 have a star"):
        process(recipe)


@pytest.mark.parametrize("value", [100, np.nan])
@pytest.mark.parametrize("dark", [False, True])
def test_no_frame_at_all_has_an_image(value, dark, tmp_path):
    frames, _, _ = spots(4)
    options = {}
    frames[:, :, 80:] = value  # there is a star, but not in the window
    if dark:
        level = np.random.default_rng(0).normal(90, 3, frames.shape[1:]).astype(np.float32)
        options["calibrate"] = {"dark": write(tmp_path / "dark.fits", level)}
    cube = write(tmp_path / "cube.fits", frames)
    recipe = Recipe(cube, focus=DEFOCUS).updated(**options)
    with pytest.raises(LuckyError, match="No star in rows 16 to 63, columns 96 to 143"):
        process(recipe)


def test_saturated_pixels_are_masked_and_reported(tmp_path):
    frames = spots(12, noise=0)[0].astype(np.uint16)
    frames[:, 30, 30] = 900  # a hot pixel in saturation is not the star
    dark = np.zeros(frames.shape[1:], np.float32)
    dark[30, 30] = 800
    by = Calibrate(dark=write(tmp_path / "dark.fits", dark))
    cube = write(tmp_path / "cube.fits", frames, SATURATE=850)
    recipe = Recipe(cube, by, Select(keep=1.0), focus=FOCUS)
    result = process(recipe)
    window = Window.centred(*FOCUS).slices
    over = (frames >= 850)[(slice(None), *window)]
    over[:, 10, 10] = False
    bright = np.flatnonzero(over.any(axis=(1, 2)))
    assert 2 <= len(bright) <= 5
    told = f"(850 ADU and more) of the star in {len(bright)} frames ({', '.join(map(str, bright))})"
    assert told in " ".join(result.notes)
    assert "Masked 1 hot or dead" in " ".join(result.notes)

    values = frames[(slice(None), *window)].astype(float)
    expected = np.where(over, 0, values).sum(axis=0) / (~over).sum(axis=0)
    expected[10, 10] = np.nan
    np.testing.assert_allclose(result.images["long_exposure"].data, expected, rtol=1e-6)

    higher = process(recipe.changed(Calibrate, saturation=2000.0))
    assert "saturated" not in " ".join(higher.notes)
    assert result.table.history[1].facts["masked_from"] == 850
    assert higher.table.history[1].facts["masked_from"] == 2000


def test_masked_pixels_are_counted(tmp_path):
    frames, _, _ = spots(12)
    dark = np.random.default_rng(2).normal(50, 1, frames.shape[1:]).astype(np.float32)
    flat = dark + 1000
    dark[[10, 40, 45], [100, 42, 35]] = 400  # three hot, two of them near the star
    flat[[20, 41], [90, 38]] = 51  # two dead
    options = {
        "dark": write(tmp_path / "dark.fits", dark),
        "flat": write(tmp_path / "flat.fits", flat.astype(np.float32)),
    }
    cube = write(tmp_path / "cube.fits", frames)
    result = process(Recipe(cube, Calibrate(**options), Select(keep=1.0), focus=FOCUS))
    assert "Masked 5 hot or dead pixels of the sensor." in result.notes
    holes = np.argwhere(np.isnan(result.images["long_exposure"].data))
    assert (holes + 20).tolist() == [[40, 42], [41, 38], [45, 35]]
    # the star moves, and so other frames fill the holes of the stack
    assert np.isfinite(result.images["focus"].data[5:-5, 5:-5]).all()


def test_the_star_that_was_found_is_reported_and_written_into_the_recipe(tmp_path):
    frames, _, _ = spots(12)
    recipe = Recipe((write(tmp_path / "cube.fits", frames),))
    result = process(recipe)
    y, x, size = result.recipe.input.focus
    assert np.hypot(y - 40, x - 40) < 5
    assert size == 80  # all the rows there are
    assert f"Found the star: --focus {y},{x},{size}" in result.notes
    again = process(result.recipe)
    assert again.recipe == result.recipe
    np.testing.assert_array_equal(again.images["focus"].data, result.images["focus"].data)


def test_hot_pixels_are_masked_without_a_dark_too(tmp_path):
    frames, _, _ = spots(12)
    frames[:, 36, 47] = 2000  # brighter than the star, and steady
    result = process(Recipe((write(tmp_path / "cube.fits", frames),), focus=FOCUS))
    assert "Masked 1 hot or dead pixel of the sensor." in result.notes
    assert np.ptp(result.table.shifts, axis=0).min() > 5  # the star is tracked, not the pixel


@pytest.mark.parametrize("value", [0, 100])
def test_blank_frames_do_not_hide_hot_pixels(value, tmp_path):
    """Without a dark, hot pixels are known by their steadiness in the frames that have light."""
    frames, _, _ = spots(12)
    frames[:, 36, 47] = 2000
    frames[[3, 7, 8]] = value
    result = process(Recipe((write(tmp_path / "cube.fits", frames),), focus=FOCUS))
    assert "Masked 1 hot or dead pixel of the sensor." in result.notes
    assert np.ptp(result.table.shifts[[0, 1, 2, 4, 5, 6]], axis=0).min() > 5


def test_an_image_alone_is_a_run_of_one(tmp_path):
    frame = spots(1)[0][0]
    result = process(Recipe((write(tmp_path / "one.fits", frame),), focus=FOCUS))
    assert result.table.selected.tolist() == [True]
    assert set(result.images) == {"focus", "long_exposure"}
    assert np.nanmax(result.images["focus"].data) == pytest.approx(frame.max(), rel=0.02)


def test_progress_tells_every_stage_and_can_end_the_job(run):
    _, recipe, _ = run
    calls = []
    process(recipe, job=Job(progress=lambda *call: calls.append(call)))
    stages = list(dict.fromkeys(what for _, _, what in calls))
    assert stages[-3:] == ["tracking and ranking", "stacking focus", "stacking defocus"]
    for what in stages:
        counts = [(done, total) for done, total, w in calls if w == what]
        assert counts[-1][0] == counts[-1][1]
        assert counts == sorted(counts)

    class Enough(Exception):
        pass

    def stop(done, total, what):
        if what == "stacking focus":
            raise Enough

    with pytest.raises(Enough):
        process(recipe, job=Job(progress=stop))


def test_dark_and_flat_are_taken_out(tmp_path):
    """calibrated = (raw - dark) / flat, the flat less dark at a median of 1."""
    truth, _, _ = spots(6, noise=0)
    response = np.linspace(0.7, 1.3, truth.shape[2])
    dark = np.random.default_rng(3).normal(50, 1, truth.shape[1:])
    raw = (truth * response / np.median(response) + dark).astype(np.float32)
    options = {
        "dark": write(tmp_path / "dark.fits", dark.astype(np.float32)),
        "flat": write(tmp_path / "flat.fits", (dark + 900 * response).astype(np.float32)),
    }
    cube = write(tmp_path / "cube.fits", raw)
    result = process(Recipe(cube, Calibrate(**options), focus=FOCUS))
    expected = truth[(slice(None), *Window.centred(*FOCUS).slices)].mean(axis=0)
    np.testing.assert_allclose(result.images["long_exposure"].data, expected, rtol=1e-4)


def test_calibrate_refuses_a_master_of_another_shape():
    frames = ArrayFrames(np.zeros((3, 20, 30), np.float32))
    other = ArrayFrames(np.zeros((20, 31), np.float32))
    for name in ("dark", "flat"):
        with pytest.raises(LuckyError, match=f"The {name} has 20 x 31 pixels, the run has 20 x 30"):
            calibrate(frames, **{name: other})


def test_the_defocused_star_may_follow_later_from_the_saved_shifts(tmp_path):
    """The same pixels as in one go, whatever the order of the table's rows."""
    frames, _, _ = spots(20)
    cube = write(tmp_path / "cube.fits", frames)
    whole = process(Recipe((cube,), Select(keep=0.25), focus=FOCUS, defocus=(30, 30, 20)))
    head, *rows = table_to_csv(whole.table).splitlines(keepends=True)
    saved = tmp_path / "frames.csv"
    saved.write_text("".join([head, *reversed(rows)]))
    later = process(Recipe((cube,), ReadShifts(table_file=str(saved)), defocus=(30, 30, 20)))
    assert list(later.images) == ["defocus"]
    np.testing.assert_array_equal(later.images["defocus"].data, whole.images["defocus"].data)
    np.testing.assert_array_equal(later.table.selected, whole.table.selected)
    assert [step.name for step in later.table.history] == ["open", "calibrate", "read shifts"]
    both = process(Recipe((cube,), ReadShifts(table_file=str(saved)), focus=FOCUS))
    for name in ("focus", "long_exposure"):
        np.testing.assert_array_equal(both.images[name].data, whole.images[name].data)


def test_shifts_that_do_not_belong_to_the_run_are_reported(tmp_path):
    frames, _, _ = spots(6)
    cube = write(tmp_path / "cube.fits", frames)
    table = replace(process(Recipe((cube,), Select(keep=2), focus=FOCUS)).table, sigma=None)
    saved = tmp_path / "frames.csv"

    def refused(text, **options):
        saved.write_text(text)
        with pytest.raises(LuckyError) as error:
            process(Recipe((cube,), ReadShifts(table_file=str(saved)), **options))
        return str(error.value)

    text = table_to_csv(table)
    window = {"defocus": (30, 30, 20)}
    assert "give a window" in refused(text)
    assert "frame 5 is not in this table" in refused("".join(text.splitlines(True)[:-1]), **window)
    assert "frame 0 is other.fits" in refused(text.replace("cube.fits", "other.fits"), **window)
    assert "none of the frames" in refused(text.replace(",1\n", ",0\n"), **window)
    assert "not a table of frames" in refused("a,b\n1,2\n", **window)


def test_a_background_is_taken_off_before_anything_is_measured(tmp_path):
    frames, _, _ = spots(12)
    y, x = np.mgrid[: frames.shape[1], : frames.shape[2]]
    stray = (300 + 2 * y + 0.02 * (x - 30) ** 2).astype(np.float32)
    plain = write(tmp_path / "plain.fits", frames)
    lit = write(tmp_path / "lit.fits", frames + stray)
    expected = process(Recipe((plain,), RemoveBackground(order=2), Select(keep=4), focus=FOCUS))
    made = process(Recipe((lit,), RemoveBackground(order=2), Select(keep=4), focus=FOCUS))
    assert [s.name for s in made.table.history][2] == "background"
    np.testing.assert_array_equal(made.table.selected, expected.table.selected)
    np.testing.assert_allclose(made.table.shifts, expected.table.shifts, atol=1e-3)
    for name, image in expected.images.items():
        np.testing.assert_allclose(made.images[name].data, image.data, atol=0.05)


def test_a_job_with_all_cleaning_on_replays_to_the_same_bits(tmp_path):
    frames, _, _ = spots(12)
    y = np.arange(frames.shape[1])[:, None]
    run = write(tmp_path / "cube.fits", frames + (300 + 2 * y).astype(np.float32))
    recipe = Recipe(
        (run,),
        RemoveOutliers(sigma=6.0),
        RemoveFlicker(sigma=6.0),
        RemoveDust(count=2, radius=4.0),
        RemoveBackground(order=1, centre="speckle"),
        CutNoise(sigma=2.0),
        LowPassFilter(cutoff=0.2),
        Select(keep=4),
        focus=FOCUS,
    )
    made = process(recipe)
    (tmp_path / "recipe.toml").write_text(recipe_to_toml(made.recipe), encoding="utf-8")
    again = process(read_recipe(tmp_path / "recipe.toml"))
    assert again.table.history == made.table.history
    for name, image in made.images.items():
        np.testing.assert_array_equal(again.images[name].data, image.data)


def test_frames_without_a_quality_are_reported(tmp_path):
    cube = write(tmp_path / "cube.fits", spots(20)[0])
    quality = process(Recipe((cube,), Rank(metric="peak"), focus=FOCUS)).table.quality
    bright = np.sort(quality)[3]

    @metric("no-quality-under-a-height")
    def height(image):
        """Max I where it is high."""
        top = image.max((1, 2))
        return np.where(top >= bright, top, np.nan)

    try:
        result = process(Recipe((cube,), Rank(metric="no-quality-under-a-height"), focus=FOCUS))
    finally:
        del METRICS["no-quality-under-a-height"]
    lost = ", ".join(map(str, np.flatnonzero(quality < bright)))
    told = f"Left out 3 frames ({lost}): no quality could be measured by no-quality-under-a-height"
    assert any(note.startswith(told) for note in result.notes)


# --- which frames are kept


def test_frames_above_a_quality_are_stacked_and_recorded(tmp_path):
    frames, amplitude, _ = spots(20)
    cube = write(tmp_path / "cube.fits", frames)
    quality = process(Recipe((cube,), focus=FOCUS)).table.quality
    above = float(np.sort(quality)[-7])
    result = process(Recipe((cube,), Select(keep=2, above=above), focus=FOCUS))
    assert set(np.flatnonzero(result.table.selected)) == set(np.argsort(amplitude)[-7:])
    assert result.images["focus"].combined == 7
    selected = result.table.history[-1]
    assert selected.parameters == {"keep": 2, "above": above, "add": [], "drop": []}
    assert selected.facts == {"kept": 7, "of": 20}
    with pytest.raises(LuckyError, match=f"the best has {quality.max():g}"):
        process(Recipe((cube,), Select(above=2 * quality.max()), focus=FOCUS))


def test_frames_changed_by_hand_are_numbered_as_in_the_run(tmp_path):
    """With every second frame used, number 16 is the fourth of those used."""
    frames, amplitude, _ = spots(30)
    cube = write(tmp_path / "cube.fits", frames)
    used = np.arange(10, 30, 2)
    order = used[np.argsort(-amplitude[used])].tolist()
    some = {"frames": (cube,), "focus": FOCUS, "defocus": DEFOCUS, "start": 10, "step": 2}
    recipe = Recipe(None, Select(keep=3, add=(order[-1], order[5]), drop=(order[0],)), **some)
    result = process(recipe)
    kept = {order[1], order[2], order[5], order[-1]}
    assert set(result.table.frame[result.table.selected]) == kept
    record = result.table.history[-1]
    told = {**record.parameters, **record.facts}
    assert (told["add"], told["drop"]) == ([order[-1], order[5]], [order[0]])
    assert (told["keep"], told["kept"]) == (3, 4)
    donut = Window.centred(*DEFOCUS)  # far from the star: there the stack is the plain mean
    shifted = Shifted(ArrayFrames(frames[used]), result.table.shifts)
    places = np.flatnonzero(result.table.selected)
    expected = shifted.read(places, donut).mean(axis=0)
    np.testing.assert_allclose(result.images["defocus"].data, expected, rtol=1e-5)
    for number in (11, 8, 30):
        with pytest.raises(LuckyError, match=f"Frame {number} is changed by hand, but is not"):
            process(Recipe(None, Select(drop=(number,)), **some))


def test_a_hand_edited_table_is_stacked_as_it_stands(tmp_path):
    """The donut's half of frame i is the constant i: the stack is the mean of the chosen i."""
    frames, _, _ = spots(20)
    frames[:, :, 80:] = np.arange(20)[:, None, None]
    cube = write(tmp_path / "cube.fits", frames)
    table = replace(process(Recipe((cube,), Select(keep=3), focus=FOCUS)).table, sigma=None)
    chosen = [1, 2, 5, 19]
    lines = table_to_csv(table).splitlines()
    edited = [
        lines[0],
        *(f"{line[:-1]}{int(k in chosen)}" for k, line in enumerate(lines[1:])),
    ]
    saved = tmp_path / "frames.csv"
    saved.write_text("\n".join(edited) + "\n")
    result = process(
        Recipe((cube,), ReadShifts(table_file=str(saved)), defocus=DEFOCUS, focus=FOCUS)
    )
    assert np.flatnonzero(result.table.selected).tolist() == chosen
    np.testing.assert_allclose(result.images["defocus"].data, np.mean(chosen), rtol=1e-6)
    window = Window.centred(*FOCUS)
    moved = [
        Shifted(ArrayFrames(frames), table.shifts).read(np.array([k]), window)[0] for k in chosen
    ]
    np.testing.assert_allclose(result.images["focus"].data, np.mean(moved, axis=0), rtol=1e-4)
    assert result.images["focus"].combined == 4
    assert result.table.history[-1].parameters["kept"] == 4


def test_shadows_of_the_flat_that_calibrates_are_not_divided_twice(tmp_path):
    frames, _, _ = spots(12)
    run = write(tmp_path / "cube.fits", frames)
    flat = write(tmp_path / "flat.fits", np.full(frames.shape[1:], 1000, np.float32))
    recipe = Recipe(run, Calibrate(flat=flat), RemoveDust(count=2, on=flat), focus=FOCUS)
    with pytest.raises(LuckyError, match="divides its shadows out already"):
        process(recipe)
    process(recipe.changed(RemoveDust, action="mask"))


def test_what_is_no_star_has_no_second_star(tmp_path):
    rng = np.random.default_rng(4)
    y, x = np.mgrid[-64:64, -64:64]
    discs = 1000.0 * (np.hypot(y + 15, x + 15) < 14) + 900 * (np.hypot(y - 25, x - 25) < 12)
    seen = ndimage.gaussian_filter(discs, 1.5) + 100
    frames = rng.poisson([np.roll(seen, (k % 5, -k % 5), (0, 1)) for k in range(15)])
    cube = write(tmp_path / "cube.fits", frames.astype(np.uint16))
    notes = " ".join(process(Recipe((cube,), focus=(64, 64, 128))).notes)
    assert "does not look like a star" in notes
    assert "star is" not in notes
