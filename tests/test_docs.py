"""Command lines, options, recipes and Python that the documents show are those of the program."""

import argparse
import ast
import re
import runpy
import shlex
from pathlib import Path

import pytest
from astropy.io import fits

import napari_lucky
from napari_lucky import Recipe, Select, process, read_recipe, simulate_run, write_results
from napari_lucky.cli.main import parser
from napari_lucky.cli.recipe_options import recipe_of
from napari_lucky.ranking.metrics import METRICS
from napari_lucky.steps.registry import STEPS

ROOT = Path(__file__).parents[1]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
FOREIGN = {
    "--plugin",
    "--nthreads",
    "--nworkers",
    "--large",
    "--one-processor",
    "--processes",
    "--design",
    "--hard",
}
"""Options of other programs, and of the benchmarks."""
VALUES = {
    "Y,X,SIZE": "140,392,128",
    "START:STOP:STEP": "0:20:2",
    "NAME=VALUE": "combine=median",
    "SAMPLING": "7",
    "METHOD": "brightest",
    "METRIC": "peak",
    "OBSTRUCTION": "0.3",
    "FULL": "4095",
    "BITS": "12",
    "N": "3",
    "ADU": "4095",
    "NM": "633",
    "RATIO": "58.6",
    "UM": "5.3",
    "M": "0.45",
    "E": "0.3",
    "INNER,OUTER": "50,56",
    "SIDE": "1",
    "LOW,HIGH": "100,4000",
    "RADIUS": "25",
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
    line = re.sub(r"\|[^\s\]]+| > \S+$", "", line)  # the first of several; no redirection
    line = line.replace("[", "").replace("]", "")
    for name, value in VALUES.items():
        line = re.sub(rf"(?<![\w-]){name}(?![\w-])", value, line)
    return shlex.split(line, comments=True)


LINES = [(path.name, line) for path in DOCUMENTS for line in command_lines(path.read_text("utf-8"))]
SYNOPSIS = re.compile(r" \[--")


@pytest.mark.parametrize(("name", "line"), LINES)
def test_command_lines_are_understood(name, line, capsys):
    try:
        given = parser().parse_args(arguments(line))
    except SystemExit as end:
        assert end.code == 0, f"{name}: napari-lucky {line}\n{capsys.readouterr().err}"  # --help
        return
    if given.command == "process" and not given.recipe and not SYNOPSIS.search(line):
        recipe_of(given)  # raises if values make no sense


def test_the_documents_name_command_lines():
    assert {name for name, _ in LINES} >= {
        "README.md",
        "command-line.md",
        "files.md",
        "coming-from-lucky-processing.md",
    }
    assert len(LINES) > 8


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_options_that_are_named_exist(path):
    (commands,) = [a for a in parser()._actions if isinstance(a, argparse._SubParsersAction)]
    parsers = [parser(), *(sub.complete() for sub in commands.choices.values())]
    known = {option for sub in parsers for option in sub._option_string_actions}
    text = path.read_text("utf-8")
    named = {
        "--" + name.removeprefix("no-") if "--" + name not in known else "--" + name
        for name in re.findall(r"(?<![\w-])--([a-z][a-z-]*[a-z])", text)
    }
    assert named - known - FOREIGN == set()
    process = commands.choices["process"]
    for shown in re.findall(r"`(--[a-z-]+[ =][^`|\\]+)`", text):  # `--low-pass 0.186`
        option, value = re.split("[ =]", shown, maxsplit=1)
        values = arguments(f"{option} {value}")
        if option in process._option_string_actions and len(values) > 1 and option != "--shifts":
            words = ["process", "run", "-o", "out", *values]
            needs = {"--reference": ["--register", "correlation"], "--dust-on": ["--dust"]}
            recipe_of(process_words([*words, *needs.get(option, [])]))


def process_words(words):
    return parser().parse_args(words)


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_links_between_documents_lead_somewhere(path):
    text = path.read_text("utf-8")
    targets = re.findall(r"(?:\]\(|src=\")(?!http)([^)\"]+)", text)
    for target in targets:
        name, _, heading = target.partition("#")
        to = path.parent / name if name else path
        assert to.exists(), target
        if heading:
            assert heading in headings(to.read_text("utf-8")), target


def headings(text):
    """Return the names that headings have in links, as GitHub makes them."""
    return {
        re.sub(r"[^\w\- ]", "", line.lower()).replace(" ", "-")
        for line in re.findall(r"^#+ (.+)$", text, re.M)
    }


def test_menu_paths_are_those_of_napari():
    """napari puts a single sample into its menu with the plugin's name behind it."""
    manifest = (ROOT / "src" / "napari_lucky" / "napari.yaml").read_text("utf-8")
    (sample,) = re.findall(r"^  sample_data:.*?display_name: ([^\n]+)", manifest, re.S | re.M)
    (plugin,) = re.findall(r"^display_name: (.+)$", manifest, re.M)
    for path in DOCUMENTS:
        for shown in re.findall(r"Open\s+Sample\s+▸\s+(.{20})", path.read_text("utf-8")):
            assert f"{sample} ({plugin})".startswith(shown), path
        for shown in re.findall(r"Plugins\s+▸\s+(\w+\s+\w+)", path.read_text("utf-8")):
            assert " ".join(shown.split()) == plugin, path


def test_a_line_that_is_not_understood_is_noticed():
    (line,) = command_lines("Use `napari-lucky process run --no-such 1 -o out`.")
    with pytest.raises(SystemExit):
        parser().parse_args(arguments(line))


# --- recipes and Python


def blocks(language):
    """Return the fenced blocks of a language: document, line, text."""
    return [
        pytest.param(found[1], id=f"{path.name}-{text[: found.start()].count(chr(10)) + 1}")
        for path in DOCUMENTS
        for text in [path.read_text("utf-8")]
        for found in re.finditer(rf"^```{language}\n(.*?)^```", text, re.M | re.S)
    ]


@pytest.mark.parametrize("text", blocks("toml"))
def test_recipes_can_be_read(text, tmp_path):
    (tmp_path / "recipe.toml").write_text(text, encoding="utf-8")
    recipe = read_recipe(tmp_path / "recipe.toml")
    assert recipe.input.frames or "[input]" not in text


def names_of(node):
    """Return what code names of `lucky`, such as `lucky.stack` and `lucky.psf.PsfFigures`."""
    texts = [ast.unparse(one) for one in ast.walk(node) if isinstance(one, ast.Attribute)]
    return {text for text in texts if re.fullmatch(r"lucky(\.\w+){1,2}", text)}


def recipes_in(code):
    """Return the recipes that code makes."""
    calls = [one for one in ast.walk(code) if isinstance(one, ast.Call)]
    made = [one for one in calls if ast.unparse(one.func) == "lucky.Recipe"]
    asked = [compile(ast.Expression(one), "docs", "eval") for one in made]
    return [eval(one, {"lucky": napari_lucky}) for one in asked]


@pytest.mark.parametrize("text", blocks("python"))
def test_python_names_what_is_there_and_its_recipes_can_be_made(text):
    code = ast.parse(text)
    compile(code, "docs", "exec")
    for name in names_of(code):
        assert eval(name, {"lucky": napari_lucky}) is not None, name
    for recipe in recipes_in(code):
        assert isinstance(recipe, Recipe)


def test_recipes_in_docstrings_can_be_made():
    texts = [path.read_text("utf-8") for path in (ROOT / "src").rglob("*.py")]
    docs = [
        doc
        for text in texts
        for node in ast.walk(ast.parse(text))
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef))
        and (doc := ast.get_docstring(node))
    ]
    made = 0
    for doc in docs:
        for block in re.findall(r"(?:^    .*\n?|^\n(?=    ))+", doc, re.M):
            if "lucky.Recipe(" in block:
                made += len(recipes_in(ast.parse("if 1:\n" + block)))
        for call in re.findall(r"`(Recipe\(\"[^`]+\))`", doc):
            eval(
                call, vars(napari_lucky) | {n: getattr(napari_lucky, n) for n in dir(napari_lucky)}
            )
            made += 1
    assert made > 1


@pytest.fixture
def in_a_folder_with_a_run(tmp_path, monkeypatch):
    """A simulated run, its dark and its flat, under the names of the documents."""
    monkeypatch.chdir(tmp_path)
    run = simulate_run(12, (280, 560), d_over_r0=2.5, photons=3e5, seed=3)
    (tmp_path / "run").mkdir()
    for k, frame in enumerate(run.frames):
        fits.PrimaryHDU(frame).writeto(tmp_path / "run" / f"AF_{k}.fits")
    for name in ("dark", "flat"):
        fits.PrimaryHDU(getattr(run, name)).writeto(tmp_path / f"{name}.fits")


def python_of(name, but=()):
    """Return the code of a document; of parts of an example that follow each other, all."""
    texts = [param.values[0] for param in blocks("python") if param.id.startswith(name)]
    return "\n".join(text for text in texts if not any(part in text for part in but))


def test_the_python_of_the_readme_runs(in_a_folder_with_a_run):
    found = {}
    exec(compile(python_of("README"), "README.md", "exec"), found)
    assert Path("out3", "focus.fits").exists()
    assert found["stack"].image.shape == found["window"].shape


def test_the_python_of_the_python_page_runs(in_a_folder_with_a_run, capsys):
    found = {}
    but = ("measure_wavefront_run", "reference_frame")  # a minute of work; a recipe alone
    exec(compile(python_of("python", but), "python.md", "exec"), found)
    assert 0 < found["figures"].strehl < 1
    assert found["figures"].errors.strehl > 0
    assert "12 of 12 frames" in capsys.readouterr().out


def test_the_python_that_reads_results_runs(in_a_folder_with_a_run, capsys):
    recipe = Recipe("run", Select(keep=3))
    write_results(process(recipe), "out")
    exec(compile(python_of("read-results"), "read-results.md", "exec"), {})
    assert "3 frames" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["arrays", "extend"])
def test_the_python_of_a_how_to_page_runs(name, tmp_path, monkeypatch):
    """A metric and a step that it declares are forgotten again."""
    monkeypatch.chdir(tmp_path)
    known = [(registry, dict(registry)) for registry in (METRICS, STEPS)]
    try:
        exec(compile(python_of(name), f"{name}.md", "exec"), {"__name__": name})
    finally:
        for registry, before in known:
            registry.clear()
            registry.update(before)
    assert name != "arrays" or Path("focus.fits").exists()


def test_the_python_page_has_every_name_of_the_package():
    text = (ROOT / "docs" / "reference" / "python.md").read_text("utf-8")
    shown = {name.rsplit(".", 1)[1] for name in re.findall(r"^::: (\S+)$", text, re.M)}
    assert set(napari_lucky.__all__) - {"__version__"} <= shown


def test_the_reference_page_is_what_its_script_gives():
    """`python scripts/reference.py` writes it anew."""
    script = runpy.run_path(str(ROOT / "scripts" / "reference.py"))
    assert (ROOT / "docs" / "reference" / "steps.md").read_text("utf-8") == script["reference"]()
