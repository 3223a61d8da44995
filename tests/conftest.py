"""Keeps the tests apart from what is on the machine outside the clone."""

import os
import secrets
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


@pytest.fixture(scope="session")
def real_data():
    """Return the folder of those runs."""
    return Path(DATA)
