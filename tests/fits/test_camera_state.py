"""What of a dark or a flat is not as in the frames, by headers written by astropy."""

import numpy as np
import pytest
from astropy.io import fits

from napari_lucky import open_run
from napari_lucky.fits.camera_state import state_differences


def images(folder, *headers):
    folder.mkdir()
    for k, cards in enumerate(headers):
        header = fits.Header(list(cards.items()))
        fits.PrimaryHDU(np.full((4, 6), k, np.int16), header).writeto(folder / f"x_{k}.fits")
    return open_run(folder).images


@pytest.mark.parametrize(
    ("dark", "light", "said"),
    [
        (
            {"CCD-TEMP": -10.0},
            {"CCD-TEMP": -13.5},
            ["its sensor temperature is -10.0 °C, the frames' is -13.5 °C"],
        ),
        ({"CCD-TEMP": -10.0}, {"CCD-TEMP": -12.5}, []),
        ({"CCD-TEMP": 263.15}, {"SET-TEMP": "-10 C"}, []),  # kelvin
        ({"CCD-TEMP": 999.0}, {"CCD-TEMP": -12.5}, []),
        ({"OFFSET": 10}, {"OFFSET": 30.0}, ["its offset is 10, the frames' is 30"]),
        ({"OFFSET": 10}, {"BLKLEVEL": 10.0}, []),
        ({"OFFSET": 10}, {}, []),
        ({"READOUTM": "Fast"}, {"READOUTM": "FAST"}, []),
        (
            {"READOUTM": "Fast"},
            {"READOUTM": "slow"},
            ["its read-out mode is Fast, the frames' is slow"],
        ),
    ],
)
def test_what_of_a_dark_is_otherwise_is_said(tmp_path, dark, light, said):
    given = images(tmp_path / "light", light), images(tmp_path / "dark", dark)
    assert state_differences(*given, "dark") == said
    assert state_differences(*given, "flat") == []


def test_five_headers_spread_over_the_files_are_read(tmp_path):
    lights = images(tmp_path / "light", {"OFFSET": 10})
    darks = images(tmp_path / "dark", *({"OFFSET": (10, 30)[k % 2]} for k in range(9)))
    assert state_differences(lights, darks, "dark") == []
    few = images(tmp_path / "few", *({"OFFSET": (10, 30, 30, 10, 30)[k]} for k in range(5)))
    assert state_differences(lights, few, "dark") == ["its offset is 30, the frames' is 10"]
