"""Keeps the tests apart from what is on the machine outside the clone."""

import os
import secrets
import sys
from pathlib import Path

import pytest

DATA = os.environ.get("NAPARI_LUCKY_DATA", "")
"""A folder of runs that are not part of the project; what needs them is else not collected."""

collect_ignore_glob = [] if DATA else ["real/*", "window/real/*"]


@pytest.fixture(autouse=True)
def own_configuration(tmp_path_factory, monkeypatch):
    """Keep the telescopes saved by the user, and by other tests, out of sight."""
    folder = tmp_path_factory.getbasetemp() / "configuration" / secrets.token_hex(8)
    folder.mkdir(parents=True)
    for name in ("XDG_CONFIG_HOME", "APPDATA"):
        monkeypatch.setenv(name, str(folder))
    if sys.platform == "darwin":  # has no such variable
        where = "napari_lucky.optics.telescope_store.telescopes_file"
        monkeypatch.setattr(where, lambda: folder / "napari-lucky" / "telescopes.toml")


@pytest.fixture(scope="module", autouse=True)
def first_random_state(request):
    """Return the state in which a module's `RNG` comes to its first test."""
    return request.module.RNG.bit_generator.state if hasattr(request.module, "RNG") else None


@pytest.fixture(autouse=True)
def own_random_numbers(request, first_random_state):
    """Give a test the same random numbers alone, among all others and in any order."""
    if first_random_state is not None:
        request.module.RNG.bit_generator.state = first_random_state


@pytest.fixture(scope="session", autouse=True)
def shared_screen_factors():
    """Compute the covariance of a pupil's turbulence once: half of the time of a small run."""
    from napari_lucky.optics import simulation

    compute, known = simulation.screen_factor, {}

    def screen_factor(pupil, outer_scale):
        key = (pupil.amplitude.tobytes(), pupil.diameter, outer_scale)
        if key not in known:
            known[key] = compute(pupil, outer_scale)
            known[key].flags.writeable = False
        return known[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(simulation, "screen_factor", screen_factor)
        yield


@pytest.fixture(scope="session")
def real_data():
    """Return the folder of those runs."""
    return Path(DATA)
