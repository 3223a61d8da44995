"""Names that are not UTF-8, and names with numbers of any length."""

import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from napari_lucky import LuckyError, open_run
from napari_lucky.cli.main import main
from napari_lucky.fits.frame_table import COLUMNS, table_from_csv
from napari_lucky.fits.read_back import read_saved
from napari_lucky.fits.run_notes import run_notes
from napari_lucky.frames.history import Record, frame_numbers, history_cards
from napari_lucky.text import readable, stored

Y, X = np.mgrid[:48, :48]


def star(k: int) -> np.ndarray:
    noise = np.random.default_rng(k).poisson(100, (48, 48))
    return (noise + 3000 * np.exp(-((Y - 24) ** 2 + (X - 23 - k % 3) ** 2) / 8)).astype("u2")


def write(folder: Path, name: bytes, image: np.ndarray) -> None:
    """Write a file whose name astropy need not know."""
    fits.PrimaryHDU(image).writeto(folder / "now.fits")
    os.rename(folder / "now.fits", os.path.join(os.fsencode(folder), name))


def test_names_are_readable_and_found_again(tmp_path):
    name = os.fsdecode(b"r\xe9p\xff")
    assert readable(name) == r"r\xe9p\xff"
    assert readable("déjà $ 星") == "déjà $ 星"
    (tmp_path / name).mkdir()
    (tmp_path / r"a\xe9").mkdir()
    assert stored(str(tmp_path / r"r\xe9p\xff")) == str(tmp_path / name)
    for path in (r"a\xe9", r"missing\xe9", "missing"):
        assert stored(str(tmp_path / path)) == str(tmp_path / path)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere names are UTF-8, or UTF-16")
def test_a_run_whose_names_are_not_utf8_is_processed_and_its_recipe_replayed(tmp_path, capsys):
    folder = tmp_path / os.fsdecode(b"r\xe9p")
    folder.mkdir()
    for k in range(12):
        write(folder, b"fr\xe4me_%d.fits" % k, star(k))
    write(folder, b"dark\xff.fits", np.full((48, 48), 90, "u2"))
    run = open_run(folder)
    assert (run.name, run.files[0]) == (r"r\xe9p", r"fr\xe4me_0.fits")
    assert run.inputs["path"] == str(tmp_path / r"r\xe9p")
    assert run_notes(run) == [
        r"Not part of the run: dark\xff.fits (named like a dark, flat or bias). "
        "Use them as dark or flat if they fit."
    ]
    out, again, table = (tmp_path / os.fsdecode(name) for name in (b"\xe9", b"again", b"table"))
    dark = str(folder / os.fsdecode(b"dark\xff.fits"))
    chosen = ["--focus=24,24,32", "--keep=10", "--report"]
    assert main(["process", str(folder), f"--dark={dark}", "-o", str(out), *chosen]) == 0
    assert main(["process", "--recipe", str(out / "recipe.toml"), "-o", str(again)]) == 0
    again_by = [f"--shifts={out / 'frames.csv'}", "--focus=24,24,32", "-o", str(table)]
    assert main(["process", str(folder), f"--dark={dark}", *again_by]) == 0
    stacks = [fits.getdata(path / "focus.fits") for path in (out, again, table)]
    assert np.array_equal(stacks[0], stacks[1])
    assert np.allclose(stacks[0], stacks[2], atol=1e-3)
    assert table_from_csv(out / "frames.csv").file[0] == r"fr\xe4me_0.fits"
    image = read_saved(out / "focus.fits")[0]
    assert image.history[0].inputs["first"] == r"fr\xe4me_0.fits"
    assert main(["flat", str(folder), "-o", str(tmp_path / "flat")]) == 0
    capsys.readouterr()
    assert main(["process", str(folder / os.fsdecode(b"n\xf6.fits")), "-o", str(tmp_path)]) == 3
    assert r"n\xf6.fits: there is no such file" in capsys.readouterr().err


@pytest.mark.parametrize("digits", [5, 6, 19, 30, 200])
def test_natural_order_with_numbers_of_any_length(tmp_path, digits):
    """Ten thousand frames and more, and the time in microseconds as a name."""
    first = 10 ** (digits - 1)
    numbers = [9, first - 1, first, first + 1, 10 * first - 1, 10 * first]
    for k, number in enumerate(numbers):
        fits.PrimaryHDU(np.full((8, 8), k, "u2")).writeto(tmp_path / f"f{number}.fits")
    run = open_run(tmp_path)
    assert run.files == [f"f{number}.fits" for number in numbers]
    assert run.read(slice(None))[:, 0, 0].tolist() == list(range(len(numbers)))


def test_a_frame_number_of_30_digits_in_a_table_is_reported(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text(f"{','.join(COLUMNS)}\n{'9' * 30},a.fits,0,0,1,1\n")
    with pytest.raises(LuckyError, match=r"t\.csv: this is not a table of frames"):
        table_from_csv(path)


@pytest.mark.parametrize(
    "parameters", [{"start": 10**30, "step": 1}, {"start": 0, "step": 10**30}, {"start": "x"}, {}]
)
def test_impossible_numbers_in_a_history_are_passed_over(parameters):
    step = Record("choose frames", parameters)
    assert json.loads(json.dumps(step.parameters)) == parameters
    assert history_cards([step])
    assert frame_numbers(np.arange(4), (step,)).tolist() == [0, 1, 2, 3]


def test_great_numbers_in_options_give_no_traceback(tmp_path):
    for k in range(12):
        fits.PrimaryHDU(star(k)).writeto(tmp_path / f"f{k}.fits")
    begin = ["process", str(tmp_path), "--focus=24,24,32", "--overwrite"]
    huge, told = "9" * 400, {}
    for option in (
        *("frames=0:{}", "frames={}:", "keep={}", "drop={}", "add={}", "focus={},24,32"),
        *("focus=24,24,{}", "saturation={}", "integers={}", "reference={}", "stack=clipped,{}"),
        *("dust={},3", "outliers={}", "background={}", "low-pass={}", "rank=fwhm,{}"),
    ):
        for number in (huge, "9" * 5000):  # the second is more than Python reads
            chosen = "--" + option.format(number)
            try:
                status = main([*begin, "-o", str(tmp_path / "out"), chosen])
            except SystemExit as ended:
                status = int(str(ended.code))
            told[option, len(number)] = status
    assert set(told.values()) <= {0, 2}
    assert told["frames=0:{}", 400] == 0
    assert {told["keep={}", 5000], told["drop={}", 400], told["stack=clipped,{}", 400]} == {2}
