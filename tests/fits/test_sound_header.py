"""Header cards that are not as FITS has them: repaired or left out, said, and never written on."""

import gzip
import re
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from napari_lucky import LuckyError, open_run
from napari_lucky.calibration.calibrate import saturation_level
from napari_lucky.fits.header_units import BLOCK
from napari_lucky.fits.image_result import ImageResult
from napari_lucky.fits.run_notes import run_notes
from napari_lucky.fits.sound_header import sound_cards, sound_header
from napari_lucky.fits.write import write_fits

IMAGE = np.arange(24 * 32, dtype="u2").reshape(24, 32)
REPAIRED = {
    b"EXPTIME =                 0,01 / locale": ("EXPTIME", 0.01),
    b"ORIGIN  = 'CASA 4.7.0 (r38335)\n'": ("ORIGIN", "CASA 4.7.0 (r38335)"),
    b"OBSERVER= Smith": ("OBSERVER", "Smith"),
    b"OBJECT  = 'M 15": ("OBJECT", "M 15"),
    b"OBJECT  = 'Barnard''s star": ("OBJECT", "Barnard's star"),
    b"GAIN.SPE=                  1.5 / x": ("GAIN_SPE", 1.5),
    b"P.I.    = 'Latham  '": ("P_I_", "Latham"),
    b"exptime =                  2.5": ("EXPTIME", 2.5),
    b"SATURATE=               4095,0": ("SATURATE", 4095.0),
    b"CRPIX1  = '16,5    '": ("CRPIX1", 16.5),
    b"EGAIN   =              1.5e-01": ("EGAIN", 0.15),
    b"TELESCOP=                   12": ("TELESCOP", "12"),
    b"DATE-OBS= '2024-01-01 22:10:03,25'": ("DATE-OBS", "2024-01-01T22:10:03.25"),
    b"FILTER  = 'caf\xe9 '": ("FILTER", "caf"),
    b"GAIN    =100": ("GAIN", 100),
    b"EXTNAME = 'a\tb     '": ("EXTNAME", "a b"),
    b"XPIXSZ  = '5,3'": ("XPIXSZ", 5.3),
    b"SATURATE= '4095    '": ("SATURATE", 4095),
}
LEFT_OUT = {
    b"XPIXSZ  =                  NaN": "XPIXSZ",
    b"EGAIN   =              1.#QNAN": "EGAIN",
    b"CRPIX1  =                 left": "CRPIX1",
    b"CDELT1  =                    0": "CDELT1",
    b"DATE-OBS= '2024-13-01T22:10:03'": "DATE-OBS",
    b"SATURATE=                  inf": "SATURATE",
    b"WCSAXES =                  2.5": "WCSAXES",
}
STANDARD = re.compile(
    r"[A-Z0-9_-]{1,8} *= +('([^']|'')*'|[TF]|[+-]?(\d+\.?\d*|\.\d+)(E[+-]?\d+)?)? *(/[ -~]*)?"
    r"|(COMMENT|HISTORY|CONTINUE|        )[ -~]*|END *|HIERARCH [A-Z0-9 _-]+=.*"
)


def write(folder: Path, *cards: bytes, name: str = "f_0.fits") -> Path:
    path = folder / name
    fits.PrimaryHDU(IMAGE).writeto(path)
    content = path.read_bytes()
    end = content.index(b"END".ljust(80))
    header = content[:end] + b"".join(card.ljust(80) for card in (*cards, b"END"))
    path.write_bytes(header + b" " * (-len(header) % BLOCK) + content[BLOCK:])
    return path


def check_written(path: Path) -> None:
    """Check a file's headers card by card, and by astropy."""
    with fits.open(path) as hdus:
        hdus.verify("exception")
        for hdu in hdus:
            for start in range(0, len(text := hdu.header.tostring()), 80):
                assert STANDARD.fullmatch(text[start : start + 80].rstrip().ljust(8)), text[start:][
                    :80
                ]


@pytest.mark.parametrize("card", REPAIRED)
def test_a_card_that_can_be_read_is_repaired(tmp_path, card):
    keyword, value = REPAIRED[card]
    run = open_run(write(tmp_path, card))
    assert run.header[keyword] == value
    assert type(run.header[keyword]) is type(value)
    write_fits(tmp_path / "out.fits", ImageResult(run, "run", run.header, origin=(2, 3)))
    check_written(tmp_path / "out.fits")


@pytest.mark.parametrize("card", LEFT_OUT)
def test_a_card_that_makes_no_sense_is_left_out_and_said_once(tmp_path, card):
    run = open_run(write(tmp_path, card, b"GAIN    =                  100"))
    assert LEFT_OUT[card] not in run.header
    assert run.header["GAIN"] == 100
    (told,) = run_notes(run)
    assert told.startswith(f"Left out 1 damaged header card: {LEFT_OUT[card]} = ")


def test_all_of_them_together_are_written_by_every_way(tmp_path):
    text = b"LONGTEXT= '" + b"x" * 66 + b"&'"
    cards = [*REPAIRED, *LEFT_OUT, text, b"CONTINUE  'more' / \x01", b"HISTORY a\tb", b"NOTE  me"]
    wcs = [b"CTYPE1  = 'RA---TAN'", b"WCSAXES =                    2", b"CRVAL1  = 1d2"]
    for k in range(3):
        write(tmp_path, *cards, *wcs, name=f"f_{k}.fits")
    run = open_run(tmp_path)
    image = IMAGE.astype("f4")
    for k, result in enumerate(
        (
            ImageResult(image, "stack", run.header, origin=(1, 1), combined=3, variance=image),
            ImageResult(image, "fine", run.header_of(2), scale=2.0),
            ImageResult(run, "run", run.header),
        )
    ):
        write_fits(tmp_path / f"out{k}.fits", result)
        check_written(tmp_path / f"out{k}.fits")
    assert run.header["LONGTEXT"].startswith("xxxx")
    assert saturation_level(run.header_with(b"SATURATE"), run) == 4095
    notes = run_notes(run)
    assert sum("damaged header card" in note for note in notes) == 2
    assert "Repaired" in notes[0]


@pytest.mark.parametrize("packing", ["", ".gz"])
def test_damaged_cards_of_later_files_are_said_with_their_names(tmp_path, packing):
    good = b"DATE-OBS= '2026-11-27T01:02:03.5'", b"EXPTIME =                 0.01"
    for k, (date, exposure) in enumerate(
        [
            good,
            (good[0], b"EXPTIME =                 0,01"),
            (b"DATE-OBS= '2026-11-31T01:02:03.5'", b"EXPTIME =                  NaN"),
            (b"DATE-OBS= '2026-11-27T01:02:04,5'", good[1]),
            (b"DATE-OBS= '2026-11-27T01:02:05,5'", good[1]),
            good,
        ]
    ):
        same = f"GAIN    =              {1.5 + k}\x01".encode(), b"SATURATE=                 4095"
        path = write(tmp_path, *same, date, exposure, name=f"f_{k}.fits")
        if packing:
            (tmp_path / f"f_{k}.fits.gz").write_bytes(gzip.compress(path.read_bytes()))
            path.unlink()
    run = open_run(tmp_path)
    first, repaired, left_out, *_ = run_notes(run)
    assert first == "Repaired 1 damaged header card: GAIN = 1.5? is read as GAIN = 1.5."
    assert repaired.startswith(
        f"f_1.fits{packing}, f_3.fits{packing}, f_4.fits{packing}: Repaired 3 damaged header cards:"
        " EXPTIME = 0,01 is read as EXPTIME = 0.01; DATE-OBS = '2026-11-27T01:02:04,5' is"
    )
    assert left_out == (
        f"f_2.fits{packing}: Left out 2 damaged header cards: DATE-OBS = '2026-11-31T01:02:03.5'; "
        "EXPTIME = NaN."
    )
    times = run.times()
    assert np.isnat(times).tolist() == [False, False, True, False, False, False]
    assert times[3] == np.datetime64("2026-11-27T01:02:04.5")
    exposures = run.exposures()
    assert np.isnan(exposures[2])
    assert np.delete(exposures, 2).tolist() == [0.01] * 5


SCALED = {
    b"BZERO   = 32768,0": 1,
    b"BZERO   = '32768'": 1,
    b"BZERO   = 3.2768e4": 1,
    b"BLANK   = -32768,0": 1,
}


@pytest.mark.parametrize("card", SCALED)
def test_cards_that_scale_pixels_are_repaired_too(tmp_path, card):
    stored = write(tmp_path, card, b"BSCALE  = 1,0").read_bytes().split(b"BZERO   ")
    path = tmp_path / "f_0.fits"  # the sound BZERO of unsigned integers is taken out
    path.write_bytes(stored[0] + b"COMMENT " + b"BZERO   ".join(stored[1:]))
    run = open_run(path)
    below = 0 if card.startswith(b"BZERO") else 32768
    assert np.array_equal(run.read(slice(None))[0], IMAGE.astype("f8") - below)
    (note,) = run_notes(run)
    assert note.startswith(f"Repaired {1 + SCALED[card]} damaged header card")


@pytest.mark.parametrize("card", [b"BSCALE  = NaN", b"BZERO   = abc", b"BZERO   ="])
def test_pixels_without_a_known_scale_are_refused(tmp_path, card):
    with pytest.raises(
        LuckyError, match=rf"f_0\.fits: its header is damaged \({card[:6].decode()}"
    ):
        open_run(write(tmp_path, card))


@pytest.mark.parametrize("before", [b"A       = 5", b"A       = 'text'", b"COMMENT a&"])
def test_a_continuation_of_nothing_is_a_comment(tmp_path, before):
    run = open_run(write(tmp_path, before, b"CONTINUE  'more'", b"B       = 'x&'", b"CONTINUE  5"))
    assert [str(text) for text in run.header["COMMENT"]][-2:] == ["CONTINUE  'more'", "CONTINUE  5"]
    assert run_notes(run)[0].startswith(
        "Repaired 2 damaged header cards: CONTINUE  'more' continues"
    )


def test_a_comment_of_other_letters_is_nothing_to_say(tmp_path):
    run = open_run(
        write(tmp_path, b"SET-TEMP=                -10.5 / in \xb0C", b"A       = 'b' / \xb5")
    )
    assert run_notes(run) == []
    assert (run.header["SET-TEMP"], run.header["A"]) == (-10.5, "b")
    write_fits(tmp_path / "out.fits", ImageResult(run, "run", run.header))
    check_written(tmp_path / "out.fits")


@pytest.mark.parametrize(
    ("kept", "left_out"), [("CD1_1", "PC1_1"), ("PC1_1", "CROTA2"), ("CROTA2", None)]
)
def test_coordinates_are_turned_once(tmp_path, kept, left_out):
    cards = [f"{name:8}= 0.5".encode() for name in (left_out, kept) if name]
    run = open_run(write(tmp_path, *cards))
    assert run.header[kept] == 0.5
    assert not left_out or left_out not in run.header
    told = f"Left out 1 damaged header card: {left_out} = 0.5."
    assert run_notes(run) == ([told] if left_out else [])


def test_a_time_with_a_z_is_nothing_to_say(tmp_path):
    run = open_run(write(tmp_path, b"DATE-OBS= '2026-11-27T01:02:03.5Z'"))
    assert run_notes(run) == []
    assert run.header["DATE-OBS"] == "2026-11-27T01:02:03.5"


def test_a_text_is_told_in_quotation_marks(tmp_path):
    (note,) = run_notes(open_run(write(tmp_path, b"EGAIN   = abc")))
    assert "EGAIN = abc is read as EGAIN = 'abc'." in note


def test_what_another_program_put_into_a_header_is_made_sound_when_it_is_written():
    header = fits.Header([("GAIN", 1.5), ("PV1NAME", "x"), ("TFORM1", "J"), ("WCSAXES", 1)])
    header["CRPIX3"] = 1.0
    sound = sound_header(header)
    assert dict(sound) == {"GAIN": 1.5, "TFORM1": "J", "CRPIX3": 1.0}


def test_a_sound_header_is_left_as_it_is():
    header = fits.Header([("A", 1.0), ("B", "it's"), ("C", True), ("D", 1 + 2j), ("E", None)])
    header["HIERARCH ESO DET DIT"] = (0.01, "[s]")
    header["LONG"] = "long " * 30
    header.add_comment("a comment")
    raw = header.tostring(padding=False).encode()[:-80]
    sound, damage = sound_cards(raw)
    assert sound == raw
    assert damage.notes() == []


@pytest.mark.parametrize(
    ("card", "keyword", "value"),
    [
        (b"HIERARCH ESO DET gain = 1,5 / e-/ADU", "ESO DET GAIN", 1.5),
        (b"HIERARCH ESO DET READOUT = fast", "ESO DET READOUT", "fast"),
        (b"HIERARCH ESO DET.NAME = 'x'", "ESO DET_NAME", "x"),
        (b"HIERARCH ESO TEL NAME = 'not closed", "ESO TEL NAME", "not closed"),
    ],
)
def test_long_keywords_are_repaired_too(card, keyword, value):
    sound, damage = sound_cards(card)
    (made,) = fits.Header.fromstring(sound).cards
    assert (made.keyword, made.value) == (keyword, value)
    assert len(damage.repaired) == 1 and damage.left_out == []
    assert f"is read as {keyword} = " in damage.repaired[0]
    good = b"HIERARCH ESO DET GAIN = 1.5 / e-/ADU".ljust(80)
    assert sound_cards(good) == (good, sound_cards(b"")[1])
