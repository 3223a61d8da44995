"""Docstrings of the public names: their form, and their examples."""

import doctest
import inspect
import re

import numpy as np
import pytest
from numpydoc.validate import validate

import napari_lucky as lucky

CHECKS = {
    *("GL03", "GL05", "GL06", "GL07", "GL08", "GL10"),  # form, sections
    *("SS01", "SS02", "SS03", "SS04", "SS05", "SS06"),  # summary
    *("PR01", "PR02", "PR03", "PR04", "PR06", "PR07", "PR08", "PR09", "PR10"),  # parameters
    *("RT01", "RT03", "RT04", "RT05", "YD01"),
}
ROOMS = [getattr(lucky, name) for name in lucky._ROOMS]


def is_ours(found):
    kinds = inspect.isfunction(found) or inspect.isclass(found)
    return kinds and found.__module__.startswith("napari_lucky")


def public():
    """Return functions and classes by their full names; a room without `__all__` has `dir`."""
    found = [
        getattr(room, name)
        for room in (lucky, *ROOMS)
        for name in getattr(room, "__all__", dir(room))
        if not name.startswith("_")
    ]
    return {f"{one.__module__}.{one.__qualname__}": one for one in found if is_ours(one)}


def test_docstrings_are_numpydoc():
    """Fields of classes and of steps are described where they are declared."""
    wrong = []
    for name, one in public().items():
        checks = CHECKS - {"PR01"} if inspect.isclass(one) else CHECKS
        errors = validate(name)["errors"]
        wrong += [f"{name}: {code} {text}" for code, text in errors if code in checks]
    assert not wrong, "\n".join(wrong)


def test_what_is_raised_is_documented():
    functions = [one for one in map(inspect.unwrap, public().values()) if inspect.isfunction(one)]
    raising = [one for one in functions if re.search(r"^ +raise \w", inspect.getsource(one), re.M)]
    assert len(raising) > 20
    assert [one for one in raising if "Raises\n" not in one.__doc__] == []


@pytest.fixture(scope="module")
def folder_of_a_run(tmp_path_factory):
    """A folder that holds a simulated run under the names of the examples."""
    folder = tmp_path_factory.mktemp("examples")
    run = lucky.simulate_run(12, (128, 256), d_over_r0=2, focus_size=64, defocus_size=96)
    (folder / "run").mkdir()
    for k, frame in enumerate(run.frames):
        lucky.write_fits(folder / "run" / f"frame_{k}.fits", np.float32(frame))
    return folder


@pytest.mark.parametrize("name", [name for name in lucky.__all__ if is_ours(getattr(lucky, name))])
def test_examples_run(name, folder_of_a_run, monkeypatch):
    monkeypatch.chdir(folder_of_a_run)
    one = getattr(lucky, name)
    (test,) = doctest.DocTestFinder(recurse=False).find(one, name, globs={})
    assert test.examples
    said = []
    doctest.DocTestRunner(verbose=False, optionflags=doctest.ELLIPSIS).run(test, out=said.append)
    assert not said, "".join(said)
