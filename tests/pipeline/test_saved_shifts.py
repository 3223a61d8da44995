"""Shifts saved from a calibrated run bring their dark and flat along, or say what differs."""

import numpy as np
import pytest
from astropy.io import fits

from napari_lucky import Calibrate, Recipe, Select, process, simulate_run
from napari_lucky.fits import table_to_csv
from napari_lucky.pipeline.results_folder import write_results
from napari_lucky.pipeline.step import ReadShifts
from napari_lucky.steps import RemoveOutliers

FOCUS = (60, 144, 64)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("night")
    simulated = simulate_run(12, (128, 192), focus_size=64, defocus_size=64)
    fits.PrimaryHDU(simulated.frames).writeto(folder / "cube.fits")
    for name in ("dark", "flat"):
        fits.PrimaryHDU(getattr(simulated, name)).writeto(folder / f"{name}.fits")
    masters = {name: str(folder / f"{name}.fits") for name in ("dark", "flat")}
    by = Calibrate(**masters, hot_sigma=9.0)
    whole = process(Recipe(str(folder / "cube.fits"), by, Select(keep=4), focus=FOCUS))
    return folder, whole


def stacked(folder, table, *steps):
    cube = str(folder / "cube.fits")
    return process(Recipe(cube, ReadShifts(table_file=str(table)), *steps, focus=FOCUS))


def test_they_are_taken_from_the_table_s_history_or_the_recipe_beside_it(made, tmp_path):
    folder, whole = made
    saved = tmp_path / "shifts.csv"
    saved.write_text(table_to_csv(whole.table, with_history=True))
    write_results(whole, tmp_path / "out")
    for table in (saved, tmp_path / "out" / "frames.csv"):
        later = stacked(folder, table)
        assert later.recipe[Calibrate] == whole.recipe[Calibrate]
        assert later.notes[0] == (
            "Took the dark dark.fits and the flat flat.fits, as when the shifts of "
            f"{table.name} were found."
        )
        for name in ("focus", "long_exposure"):
            np.testing.assert_array_equal(later.images[name].data, whole.images[name].data)


def test_what_differs_is_reported(made, tmp_path):
    folder, whole = made
    saved = tmp_path / "shifts.csv"
    saved.write_text(table_to_csv(whole.table, with_history=True))
    other = tmp_path / "other.fits"
    fits.PrimaryHDU(fits.getdata(folder / "dark.fits") + 5).writeto(other)
    notes = stacked(folder, saved, Calibrate(dark=str(other))).notes
    assert "The shifts of shifts.csv were found with another dark (dark.fits)." in notes
    expected = "with a flat, and these frames have none: give --flat."
    assert f"The shifts of shifts.csv were found {expected}" in notes
    moved = (folder / "flat.fits").rename(tmp_path / "flat.fits")
    notes = stacked(folder, saved).notes
    moved.rename(folder / "flat.fits")
    gone = f"with the flat {folder / 'flat.fits'}, which is missing: give --flat."
    assert f"The shifts of shifts.csv were found {gone}" in notes
    cube = str(folder / "cube.fits")
    clean = process(Recipe(cube, RemoveOutliers(), Select(keep=4), focus=FOCUS))
    saved.write_text(table_to_csv(clean.table, with_history=True))
    assert stacked(folder, saved).notes[-1] == (
        "The shifts of shifts.csv were found in frames cleaned by outliers, and these are not: "
        "give --outliers."
    )
