"""Files sent through a SAMP hub; astropy's own hub and client are at the other end."""

import threading
import warnings
from pathlib import Path

import pytest

from napari_lucky.errors import LuckyError
from napari_lucky.viewer.samp import IMAGE, TABLE, send_file

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it goes to another package in time
    samp = pytest.importorskip("astropy.samp")


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A hub of its own, found by the variable that the standard names."""
    lockfile = tmp_path / "samp"
    monkeypatch.setenv("SAMP_HUB", f"std-lockurl:{lockfile.as_uri()}")
    with samp.conf.set_temp("use_internet", False):
        hub = samp.SAMPHubServer(
            lockfile=str(lockfile), web_profile=False, addr="127.0.0.1", pool_size=2
        )
        hub.start()
        yield hub
        hub.stop()


def test_a_program_at_the_hub_is_asked_to_load_the_file(hub, tmp_path):
    got, came = [], threading.Event()

    def receive(private_key, sender, mtype, params, extra):
        got.append((mtype, params["url"], params["name"]))
        came.set()

    other = samp.SAMPIntegratedClient("a viewer", addr="127.0.0.1")
    other.connect()
    try:
        with pytest.raises(LuckyError, match="no connected program accepts images"):
            send_file(tmp_path / "a b.fits", "focus")
        other.bind_receive_notification(IMAGE, receive)
        for _ in range(5):  # a hub on a busy machine may drop one
            assert send_file(tmp_path / "a b.fits", "focus") == ["a viewer"]
            if came.wait(10):
                break
        with pytest.raises(LuckyError, match="accepts tables"):
            send_file(tmp_path / "a b.fits", "focus", TABLE)
    finally:
        other.disconnect()
    assert set(got) == {(IMAGE, Path(tmp_path / "a b.fits").as_uri(), "focus")}


def test_without_a_hub_a_sentence_says_what_to_do(tmp_path, monkeypatch):
    lockfile = tmp_path / "none"
    monkeypatch.setenv("SAMP_HUB", f"std-lockurl:{lockfile.as_uri()}")
    with pytest.raises(LuckyError, match=r"No SAMP hub is running.*Start TOPCAT"):
        send_file(tmp_path / "a.fits", "focus")
    lockfile.write_text(  # of a hub that has crashed
        "samp.secret=x\nsamp.hub.xmlrpc.url=http://127.0.0.1:9/\nsamp.profile.version=1.3\n"
    )
    with pytest.raises(LuckyError, match="No SAMP hub is running"):
        send_file(tmp_path / "a.fits", "focus")
