"""`import napari_lucky` costs nothing and needs neither napari nor Qt."""

import ast
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest
from astropy.io import fits

import napari_lucky
from napari_lucky.steps.registry import load_steps

VIEWER = ("napari", "qtpy", "PyQt5", "PyQt6", "PySide2", "PySide6", "magicgui", "superqt", "vispy")
HEAVY = ("matplotlib", "scipy", "astropy", "numpy", "dask", "pydantic")
SOURCE = Path(napari_lucky.__file__).parent
CORE = sorted(
    ".".join(path.relative_to(SOURCE).with_suffix("").parts)
    for path in SOURCE.glob("**/*.py")
    if path.relative_to(SOURCE).parts[0] not in {"docks", "viewer"} and "__" not in path.stem
)

BLOCK = f"import sys; sys.modules.update(dict.fromkeys({VIEWER!r}));"


def fresh(code):
    """Run code in a new interpreter; return what it prints."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_importing_the_package_loads_nothing_heavy():
    loaded = set(fresh("import napari_lucky, sys; print(*sys.modules)").split())
    assert "napari_lucky" in loaded
    assert not loaded & {*VIEWER, *HEAVY}


def test_every_function_is_there_without_napari_and_qt():
    """What a blocked import would raise is seen: `sys.modules[name] = None` is an ImportError."""
    code = f"""
from importlib import import_module
for name in {CORE!r}:
    import_module("napari_lucky." + name)
import napari_lucky
for name in dir(napari_lucky):
    found = getattr(napari_lucky, name)
    for inner in getattr(found, "__all__", []):
        getattr(found, inner)
print(*sorted(m for m, v in sys.modules.items() if v is not None and m.split(".")[0] in {VIEWER!r}))
print(*(m for m in sys.modules if m.startswith("matplotlib")))
"""
    assert fresh(BLOCK + code).strip() == ""  # nor matplotlib, which only a drawn report needs
    assert len(CORE) > 20


def test_the_block_does_block():
    with pytest.raises(AssertionError, match=r"ImportError|ModuleNotFoundError"):
        fresh(BLOCK + "import napari_lucky.docks.stacking")


def test_a_job_runs_without_napari_and_qt(tmp_path):
    """The whole command line, report and all, and the same as functions."""
    code = f"""
from pathlib import Path
from astropy.io import fits
import napari_lucky as lucky
from napari_lucky.cli.main import main
run = lucky.simulate_run(4, (200, 400))
folder = Path({str(tmp_path)!r})
fits.PrimaryHDU(run.frames).writeto(folder / "cube.fits")
assert main(["process", str(folder / "cube.fits"), "--report", "-o", str(folder / "1")]) == 0
recipe = lucky.read_recipe(folder / "1" / "recipe.toml")
lucky.write_results(lucky.process(recipe), folder / "2")
"""
    fresh(BLOCK + code)
    for name in ("focus.fits", "long_exposure.fits"):
        files = (str(tmp_path / out / name) for out in "12")
        assert fits.FITSDiff(*files, ignore_keywords=["DATE"]).identical
    for name in ("frames.csv", "recipe.toml"):
        assert (tmp_path / "1" / name).read_bytes() == (tmp_path / "2" / name).read_bytes()
    assert (tmp_path / "1" / "report.png").exists()


ROOMS = {
    room: import_module(f"napari_lucky.{room}")
    for room in sorted(path.parent.name for path in SOURCE.glob("*/__init__.py"))
    if room not in {"cli", "docks", "files"}
}


@pytest.mark.parametrize("name", napari_lucky.__all__)
def test_every_name_leads_somewhere(name):
    found = getattr(napari_lucky, name)
    if name != "__version__":
        assert found.__name__ == name
        assert found.__doc__
    assert name in dir(napari_lucky)


@pytest.mark.parametrize("room", ROOMS)
def test_the_rooms_are_there_with_their_names(room):
    """And no name is hidden by a module of the same name."""
    assert getattr(napari_lucky, room) is ROOMS[room]
    assert room in dir(napari_lucky)
    for name in getattr(ROOMS[room], "__all__", []):
        found = getattr(ROOMS[room], name)
        assert name in dir(ROOMS[room])
        assert not isinstance(found, ModuleType)
        if name not in ("METRICS", "Frames"):
            assert found.__name__ == name
    with pytest.raises(AttributeError, match=rf"'napari_lucky\.{room}' has no attribute 'luck'"):
        ROOMS[room].luck  # noqa: B018


def test_the_names_are_about_thirty_and_typed():
    """What is loaded late is what a type checker sees."""
    text = (SOURCE / "__init__.py").read_text("utf-8")
    typed = {
        name.name
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.ImportFrom)
        for name in node.names
    }
    assert typed - {"annotations", "TYPE_CHECKING", "lazy_names"} == set(napari_lucky.__all__)
    assert len(napari_lucky.__all__) < 35


def test_every_step_is_in_the_room_of_steps():
    models = [model for kinds in load_steps().values() for model in kinds.values()]
    assert {model.__name__ for model in models} == set(dir(napari_lucky.steps))
    assert all(getattr(napari_lucky.steps, model.__name__) is model for model in models)


def test_names_are_listed_once_and_no_others_are_there():
    assert len(set(napari_lucky.__all__)) == len(napari_lucky.__all__)
    with pytest.raises(AttributeError, match="no attribute 'luck'"):
        napari_lucky.luck  # noqa: B018
    with pytest.raises(ImportError):
        exec("from napari_lucky import luck")


def test_an_error_is_a_value_error():
    assert issubclass(napari_lucky.LuckyError, ValueError)
