"""A recipe is read from its file, a folder of results, or what a result says of itself."""

import numpy as np
import pytest
from astropy.io import fits

from napari_lucky import LuckyError, Recipe, Select, process, simulate_run
from napari_lucky.fits import table_to_csv
from napari_lucky.frames.history import shifts_step
from napari_lucky.pipeline.recipe_source import history_in, notes_on_tables, open_recipe, run_in
from napari_lucky.pipeline.results_folder import write_results
from napari_lucky.ranking.step import Rank
from napari_lucky.registration.step import Register
from napari_lucky.stacking.drizzle import StackDrizzle
from napari_lucky.stacking.step import StackFrames


def test_all_results_of_a_job_give_its_recipe(tmp_path):
    simulated = simulate_run(12, (128, 192), focus_size=64, defocus_size=64)
    cube = tmp_path / "cube.fits"
    fits.PrimaryHDU(simulated.frames).writeto(cube)
    windows = {"focus": (60, 144, 64), "defocus": (68, 48, 64)}
    windows["where"] = "NAXIS1=192"
    given = Recipe(str(cube), Select(keep=4), StackDrizzle(scale=1.5), start=1, stop=11, **windows)
    result = process(given)
    out = tmp_path / "out"
    write_results(result, out)
    whole = open_recipe(out)
    assert whole == open_recipe(out / "recipe.toml") == result.recipe
    saved = tmp_path / "shifts.csv"
    saved.write_text(table_to_csv(result.table, with_history=True))
    for path in (out / "focus.fits", out / "defocus.fits", saved):
        recipe = open_recipe(path)
        for kind in (Register, Rank, Select):
            assert recipe[kind] == whole[kind]
        assert recipe.input == whole.input.changed(frames=(), step=1)
    assert open_recipe(out / "focus.fits")[StackFrames] == StackDrizzle(scale=1.5)
    again = process(open_recipe(out / "focus.fits").with_steps(whole.input))
    np.testing.assert_array_equal(again.images["focus"].data, result.images["focus"].data)
    history = history_in(out / "focus.fits")
    assert run_in(history) == (str(cube), True)
    cube.write_bytes(cube.read_bytes() + bytes(2880))
    assert run_in(history) == (str(cube), False)
    assert notes_on_tables(history) == []
    (told,) = notes_on_tables((*history, shifts_step(saved, 4)))
    assert told.startswith("The shifts were read from shifts.csv")
    for path, told in (
        (tmp_path, "no recipe.toml in this folder"),
        (cube, "does not say how it was made"),
    ):
        with pytest.raises(LuckyError, match=told):
            open_recipe(path)
