"""Layers sent to DS9, Aladin, TOPCAT and others, through a SAMP hub."""

from __future__ import annotations

import atexit
import shutil
import tempfile
import warnings
from functools import cache
from pathlib import Path
from typing import Any

from napari_lucky.errors import LuckyError
from napari_lucky.fits.write import write_fits
from napari_lucky.text import counted, readable

IMAGE, TABLE = "image.load.fits", "table.load.fits"
"""What a program is asked to do."""
KINDS = ("image", "labels", "vectors")
"""Kinds of layers that are sent."""


def send_selected() -> None:
    """Send the selected layers, each as a FITS file, and show which programs got them."""
    from napari import current_viewer

    from napari_lucky.viewer.background_work import in_background
    from napari_lucky.viewer.messages import show_error, show_info
    from napari_lucky.viewer.writer import result_of

    viewer = current_viewer()
    chosen = (
        [] if viewer is None else [one for one in viewer.layers if one in viewer.layers.selection]
    )
    layers = [layer.as_layer_data_tuple() for layer in chosen]
    layers = [one for one in layers if one[2] in KINDS]

    def work() -> list[str]:
        receivers: list[str] = []
        for number, (data, meta, kind) in enumerate(layers):
            path = Path(tempfile.mkdtemp(dir=_folder())) / f"layer_{number}.fits"
            write_fits(path, result_of(data, meta, kind))
            receivers = send_file(path, str(meta["name"]), TABLE if kind == "vectors" else IMAGE)
        return receivers

    if not layers:
        show_error("Select the images to send in the list of layers.")
        return
    try:
        receivers = in_background(work)
    except LuckyError as error:
        show_error(str(error))
        return
    show_info(f"Sent {counted(len(layers), 'layer')} to {', '.join(receivers)}.")


@cache
def _folder() -> Path:
    """Return a folder for files that other programs may read until napari ends."""
    folder = Path(tempfile.mkdtemp(prefix="napari-lucky-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def send_file(path: Path, name: str, what: str = IMAGE) -> list[str]:
    """Ask the programs at the SAMP hub to load a FITS file; return their names.

    Parameters
    ----------
    path : pathlib.Path
        It must stay: they read it when they like.
    name : str
        As which they show it.
    what : str
        `IMAGE` or `TABLE`.

    Raises
    ------
    LuckyError
        If no hub runs, or no program at it takes such files.
    """
    samp = _samp()
    with samp.conf.set_temp("use_internet", False):  # else a far computer is looked for
        client = samp.SAMPIntegratedClient(
            "napari-lucky", "Lucky imaging in napari", addr="127.0.0.1"
        )
        try:
            client.connect()
        except Exception as error:  # astropy's own errors, and those of a lockfile left behind
            raise LuckyError(
                "No SAMP hub is running, so there is no program to send to. Start TOPCAT or "
                "Aladin, or DS9 with its SAMP connected, and send again."
            ) from error
        try:
            takers = client.get_subscribed_clients(what)
            receivers = [client.get_metadata(one).get("samp.name", one) for one in takers]
            if takers:
                params = {"url": path.absolute().as_uri(), "name": name}
                client.notify_all({"samp.mtype": what, "samp.params": params})
        finally:
            client.disconnect()
    if not receivers:
        things = "tables" if what == TABLE else "images"
        raise LuckyError(
            f"A SAMP hub is running, but no connected program accepts {things}. Start DS9, "
            "Aladin or TOPCAT, connect it to the hub, and send again."
        )
    return sorted(readable(str(one)) for one in receivers)


def _samp() -> Any:
    """Return astropy's SAMP, which goes to pyvo in time.

    Raises
    ------
    LuckyError
        If neither is there.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it will go
        try:
            from astropy import samp
        except ImportError:
            try:
                from pyvo import samp
            except ImportError:
                raise LuckyError(
                    "Sending to other programs needs the package pyvo: pip install pyvo"
                ) from None
    return samp
