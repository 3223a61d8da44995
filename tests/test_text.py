"""Names from elsewhere do nothing to a terminal, a window or a spreadsheet."""

import io
import os
import subprocess
import sys

import numpy as np
import pytest
from astropy.io import fits

from napari_lucky.cli.terminal import say
from napari_lucky.fits import FrameTable, table_from_csv, table_to_csv
from napari_lucky.frames.history import Record
from napari_lucky.text import cell, from_cell, printable, without_tags

NASTY = [
    "=1+1",
    "+1",
    "-1",
    "@a",
    "\t=1",
    "\r=1",
    "'=1",
    "''=1",
    "a;=1",
    "a,-1",
    "a\t@x",
    "-",
    "a\n=1",
]
NICE = ["'", "AF_1.fits", "a-b.fits", "'quoted'.fits", "", "x=1"]


def test_what_is_not_to_be_seen_is_spelt_out():
    assert printable("a\x1b[31mb\x07\x9b\r\t\u202ec\udce9\ud800") == (
        r"a\x1b[31mb\x07\x9b\x0d\x09\u202ec\xe9\ud800"
    )
    for text in ("two\nlines", "λ F#/pixel, 3 ± 0.1 “x” …", "日本", "👩‍🚀"):
        assert printable(text) == text


def test_a_window_shows_tags_as_text():
    assert without_tags('<img src="x"><b>\x1b') == '‹img src="x">‹b>\\x1b'
    assert without_tags("a < b, <3") == "a < b, <3"


@pytest.mark.parametrize("text", [*NASTY, *NICE])
def test_cells_come_back_as_they_were(text):
    made = cell(text)
    assert from_cell(made) == text
    for separator in ",;\t|\r\n":
        for part in made.split(separator):
            assert not part.startswith(("=", "+", "-", "@", "\t", "\r"))
    assert (made == text) == (text in NICE)


def test_a_table_with_nasty_names_comes_back(tmp_path):
    n = len(NASTY)
    table = FrameTable(
        np.arange(n),
        NASTY,
        np.linspace(-0.5, 0.5, 2 * n).reshape(n, 2),
        -np.linspace(0, 1, n),
        np.arange(n) % 2 == 0,
        history=(Record("open", inputs={"name": "x,=1+1;@a", "list": [1, -2]}),),
    )
    for with_history in (False, True):
        text = table_to_csv(table, with_history)
        (tmp_path / "frames.csv").write_text(text, newline="")
        back = table_from_csv(tmp_path / "frames.csv")
        assert back.file == NASTY
        assert back.history == (table.history if with_history else ())
        np.testing.assert_array_equal(back.shifts, table.shifts)
        assert ",-0.5," in text  # numbers stay numbers
        parts = text.replace(";", ",").split(",")
        assert not any(part.startswith(("=", "@", "+")) for part in parts)


def test_names_do_nothing_to_the_terminal(tmp_path):
    """In sentences, refusals, and what argparse says; names that are no text are shown too."""
    name = os.fsdecode(b"\x1b]0;title\x07.fits")
    run = tmp_path / name
    fits.PrimaryHDU(np.zeros((4, 32, 32), np.float32)).writeto(tmp_path / "cube.fits")
    try:
        os.link(tmp_path / "cube.fits", run)
    except OSError:
        pytest.skip("this file system has text names only")
    for arguments in (
        ["process", run, "-o", tmp_path / "out"],
        ["process", run, "-o", run],
        ["process", tmp_path / os.fsdecode(b"\xe9\x1b"), "-o", tmp_path / "out"],
        ["process", tmp_path / "cube.fits", f"--{name}", "-o", "out"],
        ["figures", tmp_path / "none" / name, "--telescope", name, "-o", "out"],
    ):
        asked = [sys.executable, "-m", "napari_lucky.cli.main", *map(str, arguments)]
        done = subprocess.run(asked, capture_output=True, env={**os.environ, "LC_ALL": "C"})
        told = done.stdout + done.stderr
        assert done.returncode in (2, 3)
        assert b"\x1b" not in told
        assert b"\x07" not in told
        assert b"Traceback" not in told


def test_any_encoding_will_do(monkeypatch):
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", stream)
    say("± 3 \x1b µm × λ, é and 星")
    stream.flush()
    assert stream.buffer.getvalue() == b"+/- 3 \\x1b um x lambda, \\xe9 and \\u661f\n"


@pytest.mark.parametrize("arguments", [["process", "--help"], ["process", "µ", "-o", "out"]])
def test_the_c_locale_will_do(arguments, tmp_path):
    c = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0"}
    asked = [sys.executable, "-m", "napari_lucky", *arguments]
    done = subprocess.run(asked, capture_output=True, env=c, cwd=tmp_path)
    assert done.returncode == (0 if "--help" in arguments else 3)
    told = (done.stdout + done.stderr).decode("ascii")
    assert "Traceback" not in told
    assert ("0 sigma" in told) == ("--help" in arguments)
