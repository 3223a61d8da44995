"""Layers saved for other programs through napari's own writers, and sent through SAMP."""

import numpy as np
import tifffile
from matplotlib.image import imread

from napari_lucky.fits.regions import read_windows
from napari_lucky.frames.window import Window
from napari_lucky.viewer.samp import send_selected
from napari_lucky.viewer.to_layers import windows_tuple


def test_an_image_as_it_is_shown_and_as_it_is(viewer, messages, tmp_path, monkeypatch):
    run = np.random.default_rng(0).normal(100, 30, (3, 16, 18)).astype(np.float32)
    layer = viewer.add_image(run, name="run", contrast_limits=(60, 140), gamma=0.7)
    layer.colormap = "inferno"
    viewer.dims.set_point(0, 2)

    def save(name):
        path = str(tmp_path / name)
        assert layer.save(path, plugin="napari-lucky") == [path]
        return path

    np.testing.assert_array_equal(tifffile.imread(save("a.tif")), run)
    shade = np.clip((run[2] - 60) / 80, 0, 1) ** 0.7
    expected = layer.colormap.map(shade.ravel()).reshape(16, 18, 4)
    np.testing.assert_allclose(imread(save("a.png"))[..., :3], expected[..., :3], atol=0.003)

    window = Window(3, 4, 6, 8)
    data, meta, _ = windows_tuple([window])
    layer = viewer.add_shapes(data, **meta)
    assert read_windows(save("w.reg")) == {"focus": window}
    assert messages() == []

    monkeypatch.setenv("SAMP_HUB", f"std-lockurl:{(tmp_path / 'none').as_uri()}")
    for selected, told in (({layer}, "Select the images"), ({viewer.layers[0]}, "No SAMP hub")):
        viewer.layers.selection = selected
        send_selected()
        ((severity, text),) = messages()
        assert severity == "error"
        assert text.startswith(told)
    # what napari writes itself is left to it
    plain = viewer.add_image(np.arange(20, dtype=np.uint8).reshape(4, 5))
    plain.save(str(tmp_path / "plain.tif"))
    assert tifffile.imread(tmp_path / "plain.tif").dtype == np.uint8
