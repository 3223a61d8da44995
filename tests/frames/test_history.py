"""The record of what was done, through the cards of a FITS header and back."""

from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from napari_lucky._version import __version__
from napari_lucky.frames.history import (
    LINE,
    Record,
    history_cards,
    is_ours,
    number_ranges,
    read_history,
)

EXACT = LINE - len('lucky> {"step": "note", "parameters": {"text": "')
NASTY = {
    "plain": "mean",
    "empty": "",
    "blanks at both ends": "  both   ",
    "only blanks": " " * 500,
    "blanks across a card": "a" * (EXACT - 3) + " " * 10 + "b",
    "a card full": "x" * EXACT,
    "a card full but one": "x" * (EXACT - 1),
    "a card and one": "x" * (EXACT + 1),
    "a blank on the edge": "x" * (EXACT - 1) + " y",
    "a blank over the edge": "x" * EXACT + " y",
    "long": "0123456789" * 300,
    "words": "a bc def " * 100,
    "quotes": 'it\'s "quoted" \'\' ""',
    "backslashes": r"C:\new\table\u0020 \\ \ ",
    "backslash and blanks": "\\  \\   \\\\    ",
    "lines": "one\ntwo\r\nthree\ttab\0nul",
    "our own marks": "lucky> lucky+ HISTORY lucky> ",
    "comment": "a / b & c = 'd' &",
    "accents": "Größe: 5 µm, ±0.3″ — Ωλ",
    "other planes": "🔭 星 \U0001f320",
    "half a pair": "AF_\udce9.fits",
    "line separators": "a\u2028b\x85c\x0bd",
}
STEPS = (
    Record("open", {}, {"first": "AF_1.fits", "frames": 200}),
    Record("stack", {"kept": [3, 1, 2], "keep": 0.1, "subpixel": True, "window": [1, 2, 64]}),
)


def through_a_header(history: tuple[Record, ...], path: Path) -> tuple[Record, ...]:
    """Write a history as HISTORY cards of a file on disk and read it back."""
    header = fits.Header()
    header.add_history("flat-fielded by another program")
    for card in history_cards(history):
        header.add_history(card)
    header.add_history("and trimmed by a third")
    fits.PrimaryHDU(np.zeros((2, 2)), header).writeto(path, output_verify="exception")
    return read_history(str(card) for card in fits.getheader(path)["HISTORY"])


@pytest.mark.parametrize("text", NASTY.values(), ids=NASTY)
def test_any_text_comes_back_exactly(tmp_path, text):
    history = (Record("note", {"text": text, text: 1, "list": [text, [text]]}, {"file": text}),)
    assert through_a_header(history, tmp_path / "x.fits") == history


def test_blanks_anywhere_in_a_card_come_back():
    for start in range(80):
        history = (Record("note", {"text": "x" * start + "   y " + " " * 90}),)
        cards = [card.rstrip() for card in history_cards(history)]  # as a header gives them back
        assert read_history(cards) == history


@pytest.mark.parametrize("name", ["calibrate", "trailing ", "a b", "Ω"])
def test_the_steps_name_comes_back(tmp_path, name):
    history = (Record(name),)
    assert through_a_header(history, tmp_path / "x.fits") == history


def test_several_steps_come_back_in_order_among_other_programs_cards(tmp_path):
    assert through_a_header(STEPS, tmp_path / "x.fits") == STEPS


@pytest.mark.parametrize(
    "value", [0.1, 1e-300, -0.0, 5e-324, 1.7976931348623157e308, 2**70, True, None, float("inf")]
)
def test_numbers_come_back_exactly_and_with_their_type(tmp_path, value):
    (step,) = through_a_header((Record("x", {"list": [value]}),), tmp_path / "x.fits")
    assert repr(step.parameters["list"]) == repr([value])


def test_a_step_holds_plain_values_whatever_it_was_given():
    step = Record(
        "x",
        {
            "array": np.arange(3),
            "float32": np.float32(0.5),
            "bool": np.bool_(True),
            "tuple": (1, (2.5, "a")),
            "left out": None,
            "path": Path("a/b"),
            "nested": {"int": np.int64(7), 3: "key"},
        },
    )
    assert step.parameters == {
        "array": [0, 1, 2],
        "float32": 0.5,
        "bool": True,
        "tuple": [1, [2.5, "a"]],
        "path": str(Path("a/b")),
        "nested": {"int": 7, "3": "key"},
    }
    assert {type(v) for v in step.parameters["array"]} == {int}
    assert step.version == __version__
    assert read_history(history_cards([step])) == (step,)


def test_a_step_of_an_older_version_keeps_its_version():
    step = Record("x", version="0.0.1")
    assert read_history(history_cards([step])) == (step,)


@pytest.mark.parametrize("text", NASTY.values(), ids=NASTY)
def test_cards_are_short_ascii_and_end_in_no_blank(text):
    cards = history_cards([Record("note", {"text": text})])
    for card in cards:
        assert len(card) <= LINE
        assert card.isascii() and card.isprintable()
        assert card == card.rstrip()
        assert is_ours(card)


@pytest.mark.parametrize(
    "card", ["", "lucky", "Lucky> x", "luckily it did not rain", "> lucky> x", "lucky>x"]
)
def test_cards_of_other_programs_are_not_ours(card):
    assert not is_ours(card)
    assert read_history([card]) == ()


@pytest.mark.parametrize(
    "edited",
    [
        ['lucky> {"step": "cut off", "parameters"'],
        ["lucky> not json"],
        ["lucky> []"],
        ["lucky> 7"],
        ['lucky> {"step": "without the rest"}'],
        ["lucky+ a card whose first is gone"],
    ],
)
def test_what_someone_edited_is_passed_over_and_the_rest_is_kept(edited):
    cards = history_cards(STEPS)
    assert read_history([*edited, *cards]) == STEPS
    assert read_history([*cards, *edited[:1]])[0] == STEPS[0]


@pytest.mark.parametrize(
    ("numbers", "text"),
    [([], ""), ([5], "5"), ([9, 3, 4, 5], "3-5,9"), ([0, 1, 3, 5, 6], "0-1,3,5-6")],
)
def test_numbers_as_ranges(numbers, text):
    assert number_ranges(np.array(numbers, int)) == text
