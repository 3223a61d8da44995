import pytest

from napari_lucky.cli.main import parser
from napari_lucky.cli.recipe_options import cleaning_changes


def changes(*options):
    return cleaning_changes(parser().parse_args(["process", "run", "-o", "out", *options]))


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ((), {}),
        (("--outliers", "6"), {"outliers": 6.0, "outliers_as": "mask"}),
        (("--outliers", "5.5,replace"), {"outliers": 5.5, "outliers_as": "replace"}),
        (("--outliers", "off"), {"outliers": None}),
        (("--flicker", "7"), {"flicker": 7.0}),
        (("--flicker", "off"), {"flicker": None}),
        (
            ("--dust", "5,12"),
            {"dust": 5, "dust_radius": 12.0, "dust_as": "divide", "dust_spots": ()},
        ),
        (
            ("--dust", "5, 12.5, mask", "--dust-on", "flat.fits"),
            {
                "dust": 5,
                "dust_radius": 12.5,
                "dust_as": "mask",
                "dust_spots": (),
                "dust_on": "flat.fits",
            },
        ),
        (("--dust", "off"), {"dust": None, "dust_spots": ()}),
        (
            ("--background", "4"),
            {"background": 4, "background_radius": None, "background_centre": "window"},
        ),
        (
            ("--background", "2,80,speckle"),
            {"background": 2, "background_radius": 80.0, "background_centre": "speckle"},
        ),
        (
            ("--background", "2,speckle"),
            {"background": 2, "background_radius": None, "background_centre": "speckle"},
        ),
        (("--background", "off"), {"background": None}),
        (("--noise-cut", "3"), {"noise_cut": 3.0}),
        (("--noise-cut", "off"), {"noise_cut": None}),
        (("--low-pass", "0.15"), {"low_pass": 0.15, "sampling": None}),
        (("--low-pass", "1,7"), {"low_pass": 1.0, "sampling": 7.0}),
        (("--low-pass", "off"), {"low_pass": None}),
    ],
)
def test_options_of_the_cleaning(options, expected):
    assert changes(*options) == expected


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--outliers", "many"), "SIGMA,replace"),
        (("--outliers", "6,cut"), "SIGMA,replace"),
        (("--outliers", ""), "SIGMA,replace"),
        (("--flicker", "6,7"), "a number such as 6"),
        (("--dust", "5"), "N,RADIUS"),
        (("--dust", "5.5,3"), "N,RADIUS"),
        (("--background", "four"), "ORDER or ORDER,RADIUS"),
        (("--background", "4,80,star"), "ORDER or ORDER,RADIUS"),
        (("--noise-cut", "x"), "a number such as 3"),
        (("--low-pass", "1,7,9"), "CUTOFF,SAMPLING"),
    ],
)
def test_what_cannot_be_read_is_told(options, told, capsys):
    with pytest.raises(SystemExit) as stop:
        changes(*options)
    assert stop.value.code == 2
    assert told in capsys.readouterr().err
