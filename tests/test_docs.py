"""Command lines and options that the documents name are those of the program."""

import argparse
import re
import shlex
from pathlib import Path

import pytest

from napari_lucky.cli.main import parser

ROOT = Path(__file__).parents[1]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
FOREIGN = {"--plugin", "--ignore", "--nthreads", "--nworkers", "--large"}
"""Options of other programs, and of the benchmarks."""
VALUES = {
    "Y,X,SIZE": "140,392,128",
    "START:STOP:STEP": "0:20:2",
    "SIGMA": "3",
    "PX": "2",
    "ORDER": "4",
    "RADIUS": "25",
    "CUTOFF": "0.2",
    "SAMPLING": "7",
    "METHOD": "brightest",
    "METRIC": "peak",
    "OBSTRUCTION": "0.3",
    "FULL": "4095",
    "BITS": "12",
    "FRAME": "best",
    "N": "3",
    "Q": "100",
    "ADU": "4095",
    "NM": "633",
    "RATIO": "58.6",
    "UM": "5.3",
    "M": "0.45",
    "E": "0.3",
    "INNER,OUTER": "50,56",
    "SIDE": "1",
    "WAVES": "2",
    "MM": "35",
    "VANES": "4",
    "WIDTH": "0.02",
    "ANGLE": "45",
}


def command_lines(text):
    """Return what stands after `napari-lucky` in code; a synopsis goes on over deeper lines."""
    text = re.sub(r"\\\n\s*|\n {5,}(?=\[)", " ", text).replace(r"\|", "|")
    in_line = re.findall(r"`napari-lucky ([^`\n]+)`", text)
    in_block = re.findall(r"^(?:    |[^`|\n]*&& \.venv/bin/)?napari-lucky (.+)$", text, re.M)
    return [line for line in (*in_line, *in_block) if " -" in line]


def arguments(line):
    """Return the words of a command line; of a synopsis every option, with a value that fits."""
    line = re.sub(r"\|[^\s\]]+", "", line)  # the first of several
    line = line.replace("[", "").replace("]", "")
    for name, value in VALUES.items():
        line = re.sub(rf"(?<![\w-]){name}(?![\w-])", value, line)
    return shlex.split(line, comments=True)


LINES = [(path.name, line) for path in DOCUMENTS for line in command_lines(path.read_text("utf-8"))]


@pytest.mark.parametrize(("name", "line"), LINES)
def test_command_lines_are_understood(name, line, capsys):
    try:
        parser().parse_args(arguments(line))
    except SystemExit:
        pytest.fail(f"{name}: napari-lucky {line}\n{capsys.readouterr().err}")


def test_the_documents_name_command_lines():
    assert {name for name, _ in LINES} >= {
        "README.md",
        "headless.md",
        "coming-from-lucky-processing.md",
    }
    assert len(LINES) > 8


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_options_that_are_named_exist(path):
    (commands,) = [a for a in parser()._actions if isinstance(a, argparse._SubParsersAction)]
    known = {option for sub in commands.choices.values() for option in sub._option_string_actions}
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", path.read_text("utf-8")))
    assert named - known - FOREIGN == set()


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_links_between_documents_lead_somewhere(path):
    targets = re.findall(r"(?:\]\(|src=\")(?!http)([^)#\"]+)", path.read_text("utf-8"))
    assert [target for target in targets if not (path.parent / target).exists()] == []


def test_a_line_that_is_not_understood_is_noticed():
    (line,) = command_lines("Use `napari-lucky process run --no-such 1 -o out`.")
    with pytest.raises(SystemExit):
        parser().parse_args(arguments(line))
