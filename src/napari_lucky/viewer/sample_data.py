"""File ▸ Open Sample ▸ Simulated run, focused and defocused star (Lucky imaging)."""

from __future__ import annotations

from napari_lucky.frames.frames import ArrayFrames
from napari_lucky.frames.history import Record
from napari_lucky.frames.window import Window
from napari_lucky.optics.simulation import simulate_run
from napari_lucky.viewer.open_docks import open_lead_dock
from napari_lucky.viewer.to_layers import LayerTuple, image_tuple, windows_tuple


def make_sample() -> list[LayerTuple]:
    """Return a simulated run, its dark and flat, and the windows of its two stars, as layers.

    In a window, the lead dock opens beside them.
    """
    from astropy.io import fits

    open_lead_dock()
    run = simulate_run()
    header = fits.Header(list(run.header.items()))
    history = (Record("simulate", {"frames": len(run.frames), "seed": 0}),)
    shared = {"header": header, "history": history}
    windows = [Window.centred(*run.focus), Window.centred(*run.defocus)]
    return [
        image_tuple(run.dark, "sample dark", visible=False, **shared),
        image_tuple(run.flat, "sample flat", visible=False, **shared),
        image_tuple(ArrayFrames(run.frames), "sample run", **shared),
        windows_tuple(windows, "sample run windows"),
    ]
