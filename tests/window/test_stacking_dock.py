import numpy as np
import pytest
from astropy.io import fits
from napari.layers import Image, Layer

from napari_lucky import Rank, Select, Window, rank, register, select, stack
from napari_lucky.fits.frame_table import FrameTable
from napari_lucky.frames import ArrayFrames
from napari_lucky.frames.history import Record
from napari_lucky.imaging import Shifted
from napari_lucky.ranking.selection import select_record
from napari_lucky.registration.register import registration_record
from napari_lucky.registration.step import RegisterBrightest
from napari_lucky.steps.registry import load_steps, make_step
from napari_lucky.viewer.to_layers import image_tuple, vectors_tuple

STACKS = list(load_steps()["stack"])
WINDOW = Window(14, 14, 40, 40)


@pytest.fixture
def ranked(viewer):
    """Put a small registered and ranked run into the viewer; return frames and table."""
    rng = np.random.default_rng(3)
    y, x = np.mgrid[:70, :70]
    at = rng.uniform(-3, 3, (20, 2))
    stars = [
        k * np.exp(-((y - 34 - dy) ** 2 + (x - 34 - dx) ** 2) / 12)
        for k, (dy, dx) in zip(np.linspace(200, 800, 20), at, strict=True)
    ]
    frames = ArrayFrames((np.array(stars) + rng.normal(50, 3, (20, 70, 70))).astype(np.float32))
    found = register(frames, WINDOW)
    quality = rank(frames, WINDOW)
    kept = select(quality, 0.5)
    source = (Record("open", inputs={"name": "run", "frames": 20}),)
    history = (
        *source,
        registration_record(found, RegisterBrightest()),
        Rank(smooth=1.0).record(),
        select_record(Select(keep=0.5), len(kept), 20),
    )
    selected = np.isin(np.arange(20), kept)
    table = FrameTable(
        np.arange(20), [""] * 20, found.shifts, quality, selected, found.reference, history
    )
    run = image_tuple(frames, "run", history=source, contrast_limits=(0, 1000))
    viewer.add_layer(Layer.create(*run))
    viewer.add_layer(Layer.create(*vectors_tuple(table, "run shifts")))
    return frames, table


def shown(viewer):
    return {la.name: la for la in viewer.layers if isinstance(la, Image) and la.ndim == 2}


def test_each_method_is_pressed(viewer, hand, messages, ranked):
    frames, table = ranked
    dock = hand.dock("stacking")
    form = dock.forms["stack"]
    kept = np.flatnonzero(table.selected)
    for name in STACKS:
        form.method.value = name
        for (kind, _), editor in form._editors.items():
            assert editor.native.isVisibleTo(dock) == (kind in ("", name))
        hand.run(dock)
        told = [text for _, text in messages()]
        assert len(told) == (name == "fourier")  # which says how many it uses
        assert all("uses 10 of 20 frames" in text for text in told)
        made = shown(viewer)
        assert set(made) == {"run focus", "run long exposure"}
        index = np.arange(20) if name == "fourier" else kept
        expected = stack(frames, table.shifts, index, WINDOW, method=name, quality=table.quality)
        focus = made["run focus"]
        np.testing.assert_array_equal(focus.data, expected.image)
        step = focus.metadata["history"][-1].parameters
        assert step["method"] == name
        assert make_step("stack", {"method": name}).values() == step
        for layer in made.values():
            viewer.layers.remove(layer)


def test_variance_and_coverage_are_hidden_layers_if_wanted(viewer, hand, messages, ranked):
    dock = hand.dock("stacking")
    dock.forms["stack"].method.value = "median"
    dock.beside.value = True
    hand.run(dock)
    made = shown(viewer)
    names = ("run focus", "run long exposure")
    kinds = ("", " variance", " coverage")
    assert set(made) == {name + kind for name in names for kind in kinds}
    assert [name for name, layer in made.items() if layer.visible] == ["run focus"]
    assert np.median(made["run focus coverage"].data) == 10
    assert np.median(made["run focus variance"].data) == pytest.approx(np.pi / 2 * 9 / 10, rel=0.3)
    assert messages() == []


def test_a_drizzled_stack_lies_on_the_star_and_is_saved_with_its_place(
    viewer, hand, messages, ranked, tmp_path
):
    frames, table = ranked
    dock = hand.dock("stacking")
    dock.forms["stack"].method.value = "drizzle"
    dock.forms["stack"]["scale"].value = 3
    hand.run(dock)
    made = shown(viewer)["run focus"]
    assert made.data.shape == (120, 120)
    np.testing.assert_allclose(made.scale, 1 / 3)
    mean = Shifted(frames, table.shifts).read(np.flatnonzero(table.selected)).mean(axis=0)
    y, x = np.unravel_index(np.nanargmax(mean), mean.shape)
    top = np.unravel_index(np.nanargmax(made.data), made.data.shape)
    np.testing.assert_allclose(made.data_to_world(top), (y, x), atol=0.7)
    np.testing.assert_allclose(made.data_to_world((-0.5, -0.5)), (13.5, 13.5))  # its outer edge

    viewer.layers.selection = {made}
    path = tmp_path / "drizzled.fits"
    assert viewer.layers.save(str(path), selected=True) == [str(path)]
    header = fits.getheader(path)
    assert (header["LTM1_1"], header["LTV1"]) == (3, 0.5 * (1 - 3) - 3 * 14)
    (back,) = viewer.open(str(path), plugin="napari-lucky")
    np.testing.assert_allclose(back.scale, made.scale)
    np.testing.assert_allclose(back.translate, made.translate)
    assert messages() == []
