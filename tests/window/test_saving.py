"""Saving as 16-bit integers through napari's own save dialog."""

import re

import numpy as np
import pytest
from astropy.io import fits

from napari_lucky.frames import Record

FLOATS = "Lucky imaging FITS with history (*.fits *.fit *.fts)"
INTEGERS = "Lucky imaging FITS, 16-bit integers (scaled) (*.fits *.fit *.fts)"


@pytest.fixture
def save(viewer, qtbot):
    """Return a function that saves the selected layers as a user does; gives the filters seen.

    Without a path, the dialog is cancelled.
    """
    from qtpy.QtCore import QTimer
    from qtpy.QtWidgets import QApplication, QDialogButtonBox, QFileDialog, QLineEdit

    def save(path, chosen):
        seen = []

        def fill_in():
            dialog = QApplication.activeModalWidget()
            try:
                assert isinstance(dialog, QFileDialog)
                seen.extend(dialog.nameFilters())
                dialog.selectNameFilter(chosen)
                dialog.findChild(QLineEdit, "fileNameEdit").setText(str(path))
                button = "Cancel" if path is None else "Save"
                buttons = dialog.findChild(QDialogButtonBox)
                buttons.button(QDialogButtonBox.StandardButton[button]).click()
            finally:
                if dialog.isVisible():
                    dialog.close()

        QTimer.singleShot(500, fill_in)
        viewer.window._qt_viewer._save_layers_dialog(selected=True)
        return seen

    return save


def test_the_save_dialog_offers_integers(viewer, save, messages, tmp_path):
    image = np.random.default_rng(0).normal(100, 30, (20, 30)).astype(np.float32)
    image[3, 4] = np.nan
    history = (Record("stack", facts={"frames": 20}),)
    layer = viewer.add_image(image, name="focus", metadata={"history": history})
    viewer.layers.selection = {layer}
    for chosen, bitpix in ((INTEGERS, 16), (FLOATS, -32)):
        path = tmp_path / f"{bitpix}.fits"
        seen = save(path, chosen)
        assert seen.index(FLOATS) < seen.index(INTEGERS)  # the first is the default
        header = fits.getheader(path)
        assert header["BITPIX"] == bitpix
        assert header["NCOMBINE"] == 20
    assert messages() == []

    (back,) = viewer.open(str(tmp_path / "16.fits"), plugin="napari-lucky")
    step = fits.getheader(tmp_path / "16.fits")["BSCALE"]
    np.testing.assert_allclose(back.data, image, atol=0.51 * step + 1e-5)
    assert [s.name for s in back.metadata["history"]] == ["stack", "save as integers"]
    viewer.layers.selection = {back}
    save(tmp_path / "again.fits", FLOATS)
    assert fits.getheader(tmp_path / "again.fits")["NCOMBINE"] == 20
    np.testing.assert_array_equal(fits.getdata(tmp_path / "again.fits"), back.data)


def test_without_a_choice_floats_are_written(viewer, tmp_path):
    viewer.add_image(np.ones((3, 5, 6)), name="run")
    viewer.layers.save(str(tmp_path / "x.fits"))
    assert fits.getheader(tmp_path / "x.fits")["BITPIX"] == -32


def test_every_kind_of_layer_opens_again_or_is_refused(viewer, messages, tmp_path):
    """The finest of several resolutions, labels, 32 and 64 bits, long names; not four axes."""
    rng = np.random.default_rng(1)
    whole = rng.integers(-(1 << 31), 1 << 31, (16, 18), np.int32)
    numbers = [whole, rng.normal(0, 1, (3, 8, 9)), rng.integers(0, 1 << 32, (8, 9), np.uint32)]
    saved = [viewer.add_image(data, name="x" * 250) for data in numbers]
    saved.append(viewer.add_image([whole, whole[::2, ::2]], name="fine", multiscale=True))
    labels = rng.integers(0, 70_000, (8, 9))
    saved.append(viewer.add_labels(labels, name="marked"))
    saved.append(viewer.add_labels(labels[np.newaxis].repeat(2, 0), name="frames"))
    names = [layer.name for layer in saved]
    path = str(tmp_path / "x.fits")
    assert viewer.layers.save(path, plugin="napari-lucky") == [path]
    with fits.open(path) as hdus:
        hdus.verify("exception")
    viewer.layers.clear()
    back = viewer.open(path, plugin="napari-lucky")
    assert [layer.name for layer in back] == names
    for layer, data in zip(back, [*numbers, whole, labels, np.stack([labels] * 2)], strict=True):
        np.testing.assert_array_equal(np.asarray(layer.data), data)
    assert [type(layer).__name__ for layer in back[-2:]] == ["Labels"] * 2
    assert messages() == []
    for layer, told in (
        (viewer.add_image(np.zeros((2, 3, 8, 9)), name="four"), r"has the shape \(2, 3, 8, 9\)"),
        (viewer.add_points(np.zeros((3, 4)), name="points"), "has 4 axes"),
    ):
        with pytest.warns(UserWarning, match="did not return any written paths"):
            layer.save(str(tmp_path / "no.fits"), plugin="napari-lucky")
        ((severity, text),) = messages()
        assert severity == "error"
        assert re.search(told, text)
        assert not (tmp_path / "no.fits").exists()


def test_integers_are_not_offered_for_arrows_alone(viewer, save):
    viewer.layers.selection = {viewer.add_vectors(np.zeros((3, 2, 3)), name="shifts")}
    seen = save(None, FLOATS)
    assert FLOATS in seen
    assert INTEGERS not in seen


def test_what_the_layers_are_read_from_is_kept(viewer, hand, messages, tmp_path):
    """However it is saved: napari's own menu, a table, a figure; and a dark given by its path."""
    pixels = np.random.default_rng(0).normal(100, 5, (6, 48, 48)).astype(np.float32)
    raw, dark = tmp_path / "cube.fits", tmp_path / "dark.fits"
    fits.PrimaryHDU(pixels).writeto(raw)
    fits.PrimaryHDU(pixels[0]).writeto(dark)
    before = {path: path.read_bytes() for path in (raw, dark)}
    viewer.open(str(raw), plugin="napari-lucky")
    calibration = hand.dock("calibration")
    calibration.dark_path.line.value = str(dark)
    hand.run(calibration)
    stack = viewer.add_image(pixels.mean(axis=0), name="stack")
    messages()
    (tmp_path / "link.fits").symlink_to(raw)
    for path in (raw, dark, tmp_path / "link.fits"):
        with pytest.warns(UserWarning, match="did not return any written paths"):
            stack.save(str(path), plugin="napari-lucky")
        ((severity, text),) = messages()
        assert (severity, "is read" in text) == ("error", True)
    assert {path: path.read_bytes() for path in before} == before

    mine = tmp_path / "mine.fits"
    stack.save(str(mine), plugin="napari-lucky")
    (back,) = viewer.open(str(mine), plugin="napari-lucky")
    back.data = back.data + 1
    back.save(str(mine), plugin="napari-lucky")  # its own file, read whole
    assert messages() == []
    np.testing.assert_allclose(fits.getdata(mine), pixels.mean(axis=0) + 1, rtol=1e-6)
