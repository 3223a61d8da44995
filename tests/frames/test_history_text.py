"""A history in words, in the header of a result."""

import pytest
from astropy.io import fits

from napari_lucky.frames.history import LINE, Record, history_cards, read_history
from napari_lucky.frames.history_text import text_cards, window_of_numbers

STEPS = (
    Record(
        "open",
        {},
        {"name": "run", "path": "/data/2026-11-01/polaris/run", "first": "AF_1.fits", "frames": 60}
        | {"names_and_sizes_sha256": "6fda662142f88db1"},
    ),
    Record("calibrate", {"dark": "/d/µ.fits", "hot_sigma": 8.0}, {}, {"masked_pixels": 72}),
    Record("register", {"method": "brightest", "smooth": 2.37}, {}, {"focus": [56, 336, 128, 128]}),
    Record("select", {"keep": 0.1, "add": [], "drop": list(range(400))}),
)


def test_each_step_is_a_line_in_words():
    cards = text_cards(STEPS)
    assert all(card.startswith("lucky: ") and len(card) <= LINE for card in cards)
    assert all(card.isascii() for card in cards)
    lines = "".join(
        f" {c[9:]}" if c.startswith("lucky:   ") else f"\n{c[7:]}" for c in cards
    ).splitlines()[1:]
    assert lines[0] == "1 open name=run path=/data/2026-11-01/polaris/run first=AF_1.fits frames=60"
    assert lines[1] == "2 calibrate dark=/d/u.fits hot_sigma=8 (masked_pixels=72)"
    assert lines[2] == "3 register method=brightest smooth=2.37 (focus=120,400,128)"
    assert lines[3].startswith("4 select keep=0.1 drop=0,1,2,3")
    assert lines[3].endswith("...")


def test_words_are_passed_over_when_a_history_is_read():
    header = fits.Header()
    for card in (*text_cards(STEPS), *history_cards(STEPS)):
        header.add_history(card)
    assert read_history(map(str, header["HISTORY"])) == STEPS


@pytest.mark.parametrize(
    ("numbers", "told"),
    [
        ([56, 336, 128, 128], "120,400,128"),
        ([0, 0, 64, 32], "32,16,64,32"),
        (["a", 0, 1, 1], "['a', 0, 1, 1]"),
    ],
)
def test_windows_are_as_the_command_line_has_them(numbers, told):
    assert window_of_numbers(numbers) == told
