"""Runs that are not part of the project, in the folder that NAPARI_LUCKY_DATA names."""

import numpy as np
import pytest
from scipy import ndimage
from scipy.stats import spearmanr

from napari_lucky import Calibrate, LuckyError, Recipe, calibrate, open_run, process, stack_mean
from napari_lucky.imaging import Shifted
from napari_lucky.pipeline.step import Input
from napari_lucky.steps.registry import load_steps, make_step
from star_measures import likeness, strehl

METHODS = tuple(load_steps()["register"])


@pytest.fixture(scope="module")
def independent(real_data):
    """The run of another simulation, with its truth."""
    folder = real_data / "simulated_run"
    recipe = Recipe(
        (str(folder),),
        Calibrate(dark=str(folder / "dark.fits"), flat=str(folder / "flat.fits")),
        focus=(140, 392, 128),
        defocus=(146, 140, 128),
    )
    with np.load(folder / "truth.npz") as truth:
        return recipe, process(recipe), dict(truth)


def test_independent_run_strehl_ratio(independent):
    """`oracle_focus`: noise-free best tenth, brightest pixel on [64, 64] of 128."""
    _, result, truth = independent
    assert spearmanr(result.table.quality, truth["strehl"]).statistic > 0.95
    assert strehl(result.images["focus"].data) > 0.98 * strehl(truth["oracle_focus"])


def test_independent_run_defocused_star(independent):
    """Against `oracle_defocus`, and the noisy frames of the oracle with the oracle's shifts."""
    recipe, result, truth = independent
    best = np.argsort(-truth["strehl"])[:12]
    masters = recipe[Calibrate]
    raw = open_run(recipe.input.frames)
    calibrated = calibrate(raw, open_run(masters.dark), open_run(masters.flat))
    window = recipe.window("defocus")
    oracle = stack_mean(Shifted(calibrated, -truth["peaks"], False), best, window).image
    # the window is moved, since the reference lies some whole pixels beside the oracle's
    offset = np.rint(np.median(result.table.shifts + truth["peaks"], axis=0)).astype(int)
    ours = ndimage.shift(result.images["defocus"].data, -offset, order=0, cval=np.nan)
    best_possible = likeness(oracle, truth["oracle_defocus"])
    assert likeness(ours, truth["oracle_defocus"]) > best_possible - 0.01


def test_the_star_of_the_independent_run_is_found(independent):
    recipe, _, _ = independent
    found = process(recipe.changed(Input, focus=None, defocus=None)).recipe.input.focus
    assert np.hypot(found[0] - 140, found[1] - 392) < 10


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("name", "n"), [("speckle_a258", 12), ("speckle_hu940", 40)])
def test_real_runs_go_through_without_options(real_data, name, n, method):
    recipe = Recipe(real_data / name, make_step("register", {"method": method}))
    if (name, method) == ("speckle_hu940", "template"):
        with pytest.raises(LuckyError, match="In 36 of 40 frames it is clipped"):
            process(recipe)
        return
    result = process(recipe)
    assert len(result.table.frame) == n
    assert np.isfinite(result.table.shifts).all()
    assert np.abs(result.table.shifts).max() < 20
    focus, long_exposure = (result.images[k].data for k in ("focus", "long_exposure"))
    assert np.nanmax(ndimage.gaussian_filter(np.nan_to_num(focus), 1)) > 1.15 * np.nanmax(
        ndimage.gaussian_filter(np.nan_to_num(long_exposure), 1)
    )
    y, x = np.unravel_index(np.nanargmax(ndimage.gaussian_filter(long_exposure, 2)), focus.shape)
    assert min(y, x) > 20  # the star is whole in the window that was found
    assert max(y, x) < 108
