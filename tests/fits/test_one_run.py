"""Whether files are one run: what differs is said with the counts, and can be chosen."""

import re
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from napari_lucky import LuckyError, open_run
from napari_lucky.fits.run_notes import run_notes
from napari_lucky.fits.settings import header_setting


def write(folder: Path, name: str, **cards) -> None:
    hdu = fits.PrimaryHDU(np.full((6, 8), int(re.findall(r"\d+", name)[-1]), "u2"))
    for keyword, value in cards.items():
        hdu.header[keyword.replace("_", "-")] = value
    hdu.writeto(folder / name)


def mixed(folder: Path) -> None:
    for k in range(7):
        write(folder, f"a_{k}.fits", EXPTIME=0.01 if k < 4 else 0.1, FILTER="RG"[k % 2], GAIN=100)


CASES = {
    "exposure": ("EXPTIME", 0.01, 0.1, "exposure: 0.01 s (3 frames), 0.1 s (2 frames)"),
    "filter": ("FILTER", "Ha", "OIII", "filter: Ha (3 frames), OIII (2 frames)"),
    "gain": ("GAIN", 100, 101, "gain: 100 (3 frames), 101 (2 frames)"),
    "binning": ("XBINNING", 1, 2, "binning: 1 (3 frames), 2 (2 frames)"),
    "target": ("OBJECT", "M15", "M31", "target: M15 (3 frames), M31 (2 frames)"),
    "camera": ("INSTRUME", "ASI290MM", "QHY5", "camera: ASI290MM (3 frames), QHY5 (2 frames)"),
}
NAMES = {
    "10.0ms_{}": ("100ms_{}", "exposure: 0.01 s (3 frames), 0.1 s (2 frames)"),
    "M15_{}": ("M31_{}", "target: M15 (3 frames), M31 (2 frames)"),
    "a_gain100_{}": ("a_gain200_{}", "gain: 100 (3 frames), 200 (2 frames)"),
    "a_bin1_{}": ("a_bin2_{}", "binning: 1 (3 frames), 2 (2 frames)"),
}


@pytest.mark.parametrize("what", CASES)
def test_what_differs_in_headers_is_said_and_can_be_chosen(tmp_path, what):
    keyword, one, other, told = CASES[what]
    for k in range(5):
        write(tmp_path, f"a_{k}.fits", **{keyword: one if k < 3 else other})
    (note,) = run_notes(open_run(tmp_path))
    assert note.startswith(f"The frames differ in {told}.")
    choice = re.search(r'--where "(.*?)"', note)[1]
    run = open_run(tmp_path, where=choice)
    assert run.shape[0] == 3
    assert run_notes(run) == [f"Left out a_3.fits, a_4.fits: {keyword} is {other}, not {one}."]


@pytest.mark.parametrize("one", NAMES)
def test_what_differs_in_names_is_said(tmp_path, one):
    other, told = NAMES[one]
    for k in range(5):
        write(tmp_path, (one if k < 3 else other).format(k) + ".fits")
    (note,) = run_notes(open_run(tmp_path))
    assert note == f"The frames differ in {told}. Give the files of one run."


@pytest.mark.parametrize("name", ["g00{}", "frame_c00{}", "m{}", "a_22-15-0{}s", "x_T-{}_{}"])
def test_counters_and_times_in_names_are_no_settings(tmp_path, name):
    for k in range(5):
        write(tmp_path, name.format(k, k) + ".fits")
    run = open_run(tmp_path)
    assert run_notes(run) == []
    assert run.read(slice(None))[:, 0, 0].tolist() == list(range(5))


@pytest.mark.parametrize(
    "card", [b"= '100'", b"= 100\0\x01", b"=                100 '", b"= 100,0 / x"]
)
def test_a_damaged_value_is_the_one_that_is_meant(card):
    assert header_setting((b"GAIN    " + card).ljust(80), "gain") == 100
    assert header_setting(b"GAIN    = NaN".ljust(80), "gain") is None
    assert header_setting(b"GAIN    = 'High'".ljust(80), "gain") == "High"


@pytest.mark.parametrize("first", ["OBJECT  = 'M 31'", "GAIN    = T", "GAIN    = ''", "GAIN    ="])
def test_a_setting_is_taken_from_the_first_keyword_that_has_it(first):
    cards = (first, "EGAIN   = 1.5", "ISOSPEED= 800")
    assert header_setting("".join(f"{card:80}" for card in cards).encode(), "gain") == 1.5
    assert header_setting(f"{first:80}".encode(), "gain") is None


def test_what_is_measured_twice_does_not_differ(tmp_path):
    for k, exposure in enumerate((0.01, 0.0100001, 0.00999)):
        write(tmp_path, f"a_{k}.fits", EXPTIME=exposure, OBJECT=("M 15 ", "m 15", "M 15")[k])
    assert run_notes(open_run(tmp_path)) == []


def test_several_conditions_and_any_card_choose(tmp_path):
    mixed(tmp_path)
    assert open_run(tmp_path, where="exptime=0.01, FILTER='g'").files == ["a_1.fits", "a_3.fits"]
    run = open_run(sorted(tmp_path.iterdir()), where="NAXIS2=6")
    assert (run.shape[0], run.where) == (7, "NAXIS2=6")


def test_folders_in_a_folder_are_searched_three_deep(tmp_path):
    for where in ("one", "two/three/four", "five/six/seven/eight"):
        (tmp_path / where).mkdir(parents=True)
        write(tmp_path / where, "a_1.fits")
    listed = r"in folders in it: one \(1 file\), two.three.four \(1 file\)\."
    with pytest.raises(LuckyError, match=listed):
        open_run(tmp_path)
    with pytest.raises(LuckyError, match=r"in folders in it: six.seven.eight \(1 file\)\."):
        open_run(tmp_path / "five")


@pytest.mark.parametrize(
    ("where", "told"),
    [
        ("EXPTIME=5", "no frame has EXPTIME=5: EXPTIME is 0.01 (4 files), 0.1 (3 files)"),
        ("EXPTIME", "'EXPTIME' is not KEYWORD=VALUE"),
        ("OBSERVER=me", "no header has a card OBSERVER"),
    ],
)
def test_a_choice_that_leaves_nothing_is_reported(tmp_path, where, told):
    mixed(tmp_path)
    with pytest.raises(LuckyError, match=re.escape(told)):
        open_run(tmp_path, where=where)


def test_values_with_a_comma_can_be_chosen(tmp_path):
    for k in range(6):
        exposure, name = ("0,01", "M 42, core") if k < 4 else ("0,1", "R=2, V")
        write(tmp_path, f"a_{k}.fits", EXPTIME=exposure, OBJECT=name)
    assert '--where "EXPTIME=0,01"' in " ".join(run_notes(open_run(tmp_path)))
    for where in (
        "EXPTIME=0,01",
        "EXPTIME=0.01",
        "OBJECT=M 42, core",
        "EXPTIME=0,01, OBJECT=M 42, core,NAXIS=2",
    ):
        run = open_run(tmp_path, where=where)
        assert run.shape[0] == 4
        assert run.inputs["where"] == where


def test_what_is_left_out_is_reported_in_one_sentence(tmp_path):
    for k in range(4):
        write(tmp_path, f"a_{k}.fits")
    (tmp_path / "a_4.fits").write_bytes((tmp_path / "a_3.fits").read_bytes()[:2900])
    (tmp_path / "a_5.fits").write_bytes(b"")
    assert [note.partition(": ")[2] for note in run_notes(open_run(tmp_path))] == [
        "truncated: it has 2900 bytes, but its header asks for 2976.",
        "this is not a FITS file (it does not begin with SIMPLE).",
    ]


def test_times_that_contradict_the_order_of_names_are_said(tmp_path):
    for k, second in enumerate((1, 2, 5, 3, 4, 6)):
        write(tmp_path, f"a_{k}.fits", DATE_OBS=f"2024-01-01T00:00:0{second}")
    (note,) = run_notes(open_run(tmp_path))
    assert "(DATE-OBS): a_3.fits was taken before a_2.fits. The order" in note
    assert (note.level, note.file) == ("warning", str(tmp_path))
    assert open_run(tmp_path).files == [f"a_{k}.fits" for k in range(6)]


def test_a_folder_of_folders_lists_what_is_there(tmp_path):
    for name, count in {"M15": 3, "calib/darks": 1, "empty": 0}.items():
        (tmp_path / name).mkdir(parents=True)
        for k in range(count):
            write(tmp_path / name, f"a_{k}.fits")
    with pytest.raises(
        LuckyError, match=r"folders in it: M15 \(3 files\), calib.darks \(1 file\)\."
    ):
        open_run(tmp_path)


def test_exposures_that_are_nearly_the_same_are_the_one_that_most_frames_have(tmp_path):
    for k, exposure in enumerate((0.1, 0.101, 0.101, 0.101, 0.102, 0.2, 0.2)):
        write(tmp_path, f"a_{k}.fits", EXPTIME=exposure)
    said = " ".join(run_notes(open_run(tmp_path)))
    assert "differ in exposure: 0.101 s (5 frames), 0.2 s (2 frames)" in said


@pytest.mark.parametrize("lights", [1, 2, 4])
def test_the_family_with_most_lights_by_their_headers_is_taken(tmp_path, lights):
    """Not that with most files: the others of five are darks."""
    for k in range(5):
        write(tmp_path, f"one_{k}.fits", IMAGETYP="Light" if k < lights else "Dark")
    for k in range(3):
        write(tmp_path, f"other_{k}.fits", IMAGETYP="Light")
    names = {image.path.name.partition("_")[0] for image in open_run(tmp_path).images}
    assert names == ({"one"} if lights > 3 else {"other"})
    assert open_run(tmp_path).shape[0] == max(lights, 3)
