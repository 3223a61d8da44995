"""Any step started from a file that an earlier one left, without a window."""

from types import SimpleNamespace

import numpy as np
import pytest

from napari_lucky import (
    Calibrate,
    LuckyError,
    Recipe,
    Select,
    Window,
    calibrate,
    process,
    rank,
    register,
    select,
    simulate_run,
    stack_mean,
    write_fits,
)
from napari_lucky.calibration.calibrate import calibration_record
from napari_lucky.fits import FrameTable, ImageResult, table_from_csv, table_to_csv
from napari_lucky.fits.read_back import read_saved
from napari_lucky.frames import ArrayFrames, Record
from napari_lucky.frames.history import frame_numbers, frame_places
from napari_lucky.imaging import Shifted
from napari_lucky.viewer.from_layers import chain_history, table_of
from napari_lucky.viewer.to_layers import vectors_tuple

BLANK = 3


@pytest.fixture(scope="module")
def straight():
    run = simulate_run(n=12)
    frames = run.frames.copy()
    frames[BLANK] = 0  # no light: its calibrated pixels are the dark's and the flat's alone
    calibrated = calibrate(ArrayFrames(frames), ArrayFrames(run.dark), ArrayFrames(run.flat))
    return calibrated, Window.centred(*run.focus)


def test_saved_calibrated_frames_are_registered_and_stacked_to_the_same_bits(straight, tmp_path):
    calibrated, focus = straight
    history = (Record("simulate"), Record("calibrate", {"masked_pixels": 3}))
    write_fits(tmp_path / "calibrated.fits", [ImageResult(calibrated, "calibrated", None, history)])
    (saved,) = read_saved(tmp_path / "calibrated.fits")
    assert saved.history == history
    results = []
    for frames in (calibrated, saved.data):
        registration = register(frames, focus)
        quality = rank(frames, focus)
        quality[~registration.found] = np.nan
        kept = select(quality, 0.25)
        stack = stack_mean(Shifted(frames, registration.shifts), kept, focus)
        results.append((registration.shifts, quality, kept, stack.image))
    for one, other in zip(*results, strict=True):
        np.testing.assert_array_equal(one, other)
    assert np.array_equal(np.flatnonzero(np.isnan(results[1][1])), [BLANK])


def test_saving_does_not_change_what_is_saved(tmp_path):
    pixels = np.ones((2, 20, 20), np.float32)  # without light, and with nothing to be calibrated
    calibrated = calibrate(ArrayFrames(pixels))
    write_fits(tmp_path / "a.fits", [ImageResult(calibrated)])
    assert (pixels == 1).all()


CHOSEN = Record("choose frames", {"start": 4, "stop": 20, "step": 2})
AGAIN = Record("choose frames", {"start": 1, "stop": 6, "step": 3})
OPEN = Record(
    "open", inputs={"name": "run", "frames": 30, "first": "AF_001.fits", "last": "AF_030.fits"}
)


def test_frames_keep_their_numbers_of_the_run():
    places = np.arange(3)
    assert list(frame_numbers(places, (OPEN,))) == [0, 1, 2]
    assert list(frame_numbers(places, (OPEN, CHOSEN))) == [4, 6, 8]
    assert list(frame_numbers(places[:2], (OPEN, CHOSEN, AGAIN))) == [6, 12]
    assert list(frame_places(np.array([4, 5, 8]), (OPEN, CHOSEN))) == [0, -1, 2]
    assert list(frame_places(np.array([6, 12]), (OPEN, CHOSEN, AGAIN))) == [0, 1]


def table(frame, history=()):
    n = len(frame)
    shifts = np.column_stack([frame, np.ones(n)]).astype(float)
    files = [f"AF_{k + 1:03d}.fits" for k in frame]
    return FrameTable(
        np.array(frame), files, shifts, np.zeros(n), np.ones(n, bool), (9, 9), history
    )


def vectors(of):
    data, meta, _ = vectors_tuple(of, "frames")
    return SimpleNamespace(
        name="frames", data=data, features=meta["features"], metadata=meta["metadata"]
    )


def run_layer(*history):
    return SimpleNamespace(name="run", metadata={"history": history})


def test_arrows_are_where_their_frames_are_in_the_layer(tmp_path):
    path = tmp_path / "shifts.csv"
    path.write_text(table_to_csv(table([4, 6, 8], (OPEN, CHOSEN)), with_history=True))
    shifts = vectors(table_from_csv(path))
    assert list(shifts.data[:, 0, 0]) == [0, 1, 2]
    assert list(shifts.features["frame"]) == [4, 6, 8]


def test_shifts_without_history_are_matched_by_the_frames_numbers():
    shifts = vectors(table(range(30)))
    found = table_of(shifts.features, shifts.metadata, 8, (OPEN, CHOSEN))
    assert list(found.frame) == list(found.shifts[:, 0]) == list(range(4, 20, 2))
    some = vectors(table([0, 2, 4]))
    found = table_of(some.features, some.metadata, 30, (OPEN,))
    assert list(np.flatnonzero(found.selected)) == [0, 2, 4]
    with pytest.raises(LuckyError, match="up to number 29"):
        table_of(shifts.features, shifts.metadata, 12, (OPEN,))
    with pytest.raises(LuckyError, match="up to number 3 "):
        other = vectors(table([1, 3]))
        table_of(other.features, other.metadata, 8, (OPEN, CHOSEN))


def test_shifts_of_files_named_otherwise_are_refused():
    shifts = vectors(table(range(30)))
    assert chain_history(run_layer(OPEN, CHOSEN), shifts) == (OPEN, CHOSEN)
    shifts.features["file"][29] = "BF_030.fits"
    with pytest.raises(LuckyError, match=r"BF_030\.fits as frame 29, but that is AF_030\.fits"):
        chain_history(run_layer(OPEN, CHOSEN), shifts)


def test_a_saved_calibrated_run_is_processed_with_its_history_and_numbers(tmp_path):
    """As `process` does it: the range is told twice, frames keep their first numbers."""
    run = simulate_run(n=12)
    calibrated = calibrate(ArrayFrames(run.frames), ArrayFrames(run.dark), ArrayFrames(run.flat))
    names = {"dark": "dark.fits", "flat": "flat.fits"}
    history = (OPEN, CHOSEN, calibration_record(calibrated, Calibrate(**names)))
    path = tmp_path / "calibrated.fits"
    write_fits(path, [ImageResult(calibrated, "calibrated", None, history)])
    recipe = Recipe((str(path),), Select(keep=3), focus=run.focus, start=2)
    made = process(recipe)
    assert made.table.frame.tolist() == list(range(8, 28, 2))
    steps = made.images["focus"].history
    assert [step.name for step in steps][:5] == ["open", *["choose frames", "calibrate"] * 2][:5]
    assert steps[:3] == history
    for name in ("dark", "flat"):
        write_fits(tmp_path / f"{name}.fits", [ImageResult(getattr(run, name), name)])
        with pytest.raises(LuckyError, match=f"calibrated already, with a {name}"):
            process(recipe.changed(Calibrate, **{name: str(tmp_path / f"{name}.fits")}))
