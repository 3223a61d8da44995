"""Families of names, and the order that names have."""

from pathlib import Path

import pytest

from napari_lucky.fits.file_names import (
    FolderFiles,
    NumberedFiles,
    in_order,
    name_family,
    natural,
    numbered,
    stem_of,
)

ORDERS = {
    "temperature through zero": [
        f"Light_M15_10.0ms_gain100_{t}C_{k:04d}.fit"
        for k, t in enumerate(("0.5", "0.3", "0.1", "-0.1", "-0.3", "-0.5"))
    ],
    "reading without a unit": [f"x_{t}_{k}.fits" for k, t in enumerate(("0.20", "-0.10", "0.15"))],
    "reading behind a hyphen": [
        f"L-{t}-{k:03d}.fits" for k, t in enumerate(("0.2", "0.0", "-0.1", "-0.2"))
    ],
    "reading behind a word": [
        f"L_CCD{t}_{k}.fits" for k, t in enumerate(("0.2", "0.0", "-0.1", "-0.2"))
    ],
    "reading, frames deleted": [
        f"x_{t}C_{k}.fits" for k, t in ((1, "3.5"), (40, "-2"), (9000, "1.25"))
    ],
    "changing number before the index": [f"x_{29 - k}_{k}.fits" for k in range(9, 12)],
    "sequences": ["n2_1.fits", "n2_13.fits", "n10_0.fits", "n10_2.fits"],
    "midnight": ["a_2024-01-01_23-59-59.fits", "a_2024-01-02_00-00-00.fits"],
    "exposures one after the other": [f"x_{e}ms_{k}.fits" for e in (10, 100) for k in (1, 2)],
    "natural": ["AF_2.fits", "AF_10.fits", "AF_0011.fits"],
}


@pytest.mark.parametrize("what", ORDERS)
def test_frames_come_in_the_order_of_their_counter(what):
    files = [Path(name) for name in ORDERS[what]]
    assert in_order(sorted(files, key=natural)) == files
    assert len({name_family(stem_of(path)) for path in files}) == 1


@pytest.mark.parametrize("digits", [1, 3, 4, 5, 6, 9, 12, 19, 25])
@pytest.mark.parametrize("name", ["AF_{}.fits", "{}-a.fits"])
def test_a_number_of_more_digits_comes_later_however_many_there_are(digits, name):
    counts = [10**digits - 2, 10**digits - 1, 10**digits, 10**digits + 1, 2 * 10**digits]
    files = [Path(name.format(count)) for count in counts]
    ordered = sorted(set(files), key=natural)
    assert ordered == files
    assert in_order(ordered) == files


def test_numbered_names_are_in_parts_of_one_form_in_natural_order():
    names = ["AF_10.fits", "af_2.fits", "AF_9.fits", "dark.fits", "AF_11.fits", "AF_2.fits.gz"]
    parts = [part.names for part in numbered(FolderFiles(Path("run"), names))]
    expected = [["AF_10.fits", "AF_11.fits"], ["af_2.fits"], ["AF_9.fits"], ["dark.fits"]]
    assert parts == [*expected, ["AF_2.fits.gz"]]


@pytest.mark.parametrize("what", ORDERS)
def test_files_of_a_folder_come_in_the_order_of_the_same_paths(what):
    """Those of one form by their first and last name, others by all."""
    for part in numbered(FolderFiles(Path(), ORDERS[what][::-1])):
        assert isinstance(part, NumberedFiles)
        assert list(part) == sorted(part, key=natural)
        assert list(in_order(part)) == list(in_order(list(part)))
