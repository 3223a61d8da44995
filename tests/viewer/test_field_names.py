"""Sentences in the window name fields of the docks."""

import re
from pathlib import Path

import pytest

import napari_lucky
from napari_lucky.viewer.field_names import with_fields

SENTENCES = {
    "mask these pixels (--saturation 900).": "mask these pixels (“saturation” 900).",
    "Found the star: --focus 64,60,128": "Found the star: “focus” 64,60,128",
    "give --flat auto to use it.": "give “auto” as “flat” to use it.",
    "by correlation (--register correlation).": "by correlation (Register: correlation).",
    "with --rank-smooth 0.5 px, or": "with “smoothing” 0.5 px, or",
    'Choose with --where "FILTER=R", or': 'Choose with where = "FILTER=R" in a recipe, or',
    "may be (--max-lost 0.5).": "may be (max_lost = 0.5 in a recipe).",
    "Choose another, or give --overwrite to replace it. Or": "Choose another. Or",
    "Copied: napari-lucky process run --dark a.fits": None,
    "From -3 to 4 -- and not --unknown": None,
}


@pytest.mark.parametrize("sentence", SENTENCES)
def test_an_option_is_shown_as_its_field(sentence):
    assert with_fields(sentence) == (SENTENCES[sentence] or sentence)


def test_every_option_that_a_sentence_of_the_core_names_has_a_field():
    core = Path(napari_lucky.__file__).parent
    named = set()
    for room in core.iterdir():
        for file in () if room.name == "cli" else room.glob("*.py"):
            for line in file.read_text(encoding="utf-8").splitlines():
                if "napari-lucky " not in line and "option" not in line:
                    named |= set(re.findall("--[a-z]+(?:-[a-z]+)*", line))
    assert {"--saturation", "--where", "--register", "--focus"} <= named
    left = {option for option in named if option in with_fields(f"Give {option}, please.")}
    assert left == {"--json", "--stacks", "--overwrite"}  # not said in a window
