"""SER and TIFF files, and frames in colour, in a window."""

import struct

import numpy as np
import pytest
import tifffile
from astropy.io import fits

from napari_lucky.docks.recipe_files import recipe_of_layer
from napari_lucky.viewer.from_layers import history_of


@pytest.fixture
def frames():
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:24, :32]
    star = 2000 * np.exp(-((y - 11) ** 2 + (x - 15) ** 2) / 20) + 300
    return rng.poisson(star, (6, 24, 32)).astype(np.uint16)


def test_ser_and_tiff_open_as_a_lazy_run(viewer, frames, tmp_path, messages):
    texts = [b"", b"camera", b""]
    head = (b"LUCAM-RECORDER", 0, 0, 0, 32, 24, 16, 6, *texts, 0, 0)
    path = tmp_path / "night.ser"
    path.write_bytes(struct.pack("<14s7i40s40s40s2q", *head) + frames.astype("<u2").tobytes())
    (tmp_path / "run").mkdir()
    for k, frame in enumerate(frames):
        tifffile.imwrite(tmp_path / "run" / f"AF_{k}.tif", frame, photometric="minisblack")
    tifffile.imwrite(tmp_path / "stack.tiff", frames, photometric="minisblack")
    for source in ("night.ser", "run", "stack.tiff"):
        (layer,) = viewer.open(str(tmp_path / source), plugin="napari-lucky")
        assert layer.data.shape == (6, 24, 32)
        viewer.dims.set_current_step(0, 4)
        assert np.array_equal(layer._data_view, frames[4]), source
    assert messages() == []


def test_the_first_dock_takes_a_plane_of_frames_in_colour(viewer, hand, frames, tmp_path, messages):
    run = tmp_path / "run"
    run.mkdir()
    for k, frame in enumerate(frames):
        colours = np.stack([frame, frame >> 1, frame >> 2])
        fits.PrimaryHDU(colours).writeto(run / f"AF_{k}.fits")
    fits.PrimaryHDU(np.stack([np.full((24, 32), k, np.uint16) for k in (1, 2, 3)])).writeto(
        tmp_path / "dark.fits"
    )
    (layer,) = viewer.open(str(run), plugin="napari-lucky")
    assert "6 frames in colour" in messages()[0][1]
    assert layer.data.shape == (6, 24, 32)
    dock = hand.dock("calibration")
    dock.colour.value = "green"
    dock.dark_path.line.value = str(tmp_path / "dark.fits")
    hand.run(dock)
    green = viewer.layers["run calibrated"]
    assert np.array_equal(green.data[3], (frames[3] >> 1) - np.float32(2))
    recipe, _ = recipe_of_layer(green, history_of(green))
    assert recipe.input.colour == "green"
    dock.colour.value = "superpixel"
    hand.press(dock.run_button)
    hand.wait(lambda: "not a mosaic" in dock.notes.text())
