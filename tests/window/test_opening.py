import gzip

import numpy as np
import pytest
from astropy.io import fits


@pytest.fixture
def run(tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    frames = np.random.default_rng(0).integers(0, 4096, (12, 20, 30)).astype(np.uint16)
    for number, frame in enumerate(frames, start=1):
        fits.PrimaryHDU(frame, fits.Header([("EXPTIME", 0.005)])).writeto(
            folder / f"AF_{number}.fits"
        )
    fits.PrimaryHDU(np.zeros((20, 30), np.uint16)).writeto(folder / "dark.fits")
    return folder, frames


def test_a_folder_is_one_lazy_layer_and_neighbours_are_reported(viewer, run, messages):
    folder, frames = run
    (layer,) = viewer.open(str(folder), plugin="napari-lucky")
    assert layer.data.shape == (12, 20, 30)
    assert all(np.array_equal(layer.data[k], frames[k]) for k in range(12))
    assert layer.metadata["header"]["EXPTIME"] == 0.005
    assert frames.min() <= layer.contrast_limits[0] < layer.contrast_limits[1] <= frames.max()
    viewer.dims.set_current_step(0, 10)
    assert np.array_equal(layer._data_view, frames[10])
    assert viewer.dims.axis_labels == ("frame", "y", "x")
    ((severity, text),) = messages()
    assert severity == "info"
    assert "dark.fits" in text


def test_lists_cubes_and_packed_files_open_the_same(viewer, run, tmp_path):
    folder, frames = run
    files = [str(folder / f"AF_{k}.fits") for k in (10, 2, 1)]
    cube, packed, tiled = (
        tmp_path / name for name in ("cube.fits", "cube.fits.gz", "cube.fits.fz")
    )
    fits.PrimaryHDU(frames).writeto(cube)
    packed.write_bytes(gzip.compress(cube.read_bytes()))
    fits.HDUList([fits.PrimaryHDU(), fits.CompImageHDU(frames)]).writeto(tiled)
    (several,) = viewer.open(files, stack=True, plugin="napari-lucky")
    assert np.array_equal(several.data, frames[[0, 1, 9]])
    for path in (cube, packed, tiled):
        (layer,) = viewer.open(str(path), plugin="napari-lucky")
        assert np.array_equal(layer.data, frames), path.name


def test_a_single_image_is_an_image(viewer, run):
    folder, _ = run
    (layer,) = viewer.open(str(folder / "dark.fits"), plugin="napari-lucky")
    assert layer.data.shape == (20, 30)


@pytest.mark.parametrize("what", ["empty", "no FITS", "text", "truncated", "no image"])
def test_bad_input_gives_a_sentence_and_no_layer(viewer, tmp_path, messages, what):
    folder = tmp_path / "bad"
    folder.mkdir()
    path = folder
    if what == "no FITS":
        (folder / "notes.txt").write_text("clouds")
    elif what == "text":
        path = folder / "a.fits"
        path.write_text("not FITS at all")
    elif what == "truncated":
        path = folder / "a.fits"
        fits.PrimaryHDU(np.zeros((50, 50))).writeto(path)
        path.write_bytes(path.read_bytes()[:6000])
    elif what == "no image":
        path = folder / "a.fits"
        fits.PrimaryHDU().writeto(path)
    assert viewer.open(str(path), plugin="napari-lucky") == []
    ((severity, text),) = messages()
    assert severity == "error"
    assert str(path) in text


def test_saving_where_one_cannot_is_reported(viewer, run, messages, tmp_path):
    folder, _ = run
    viewer.open(str(folder), plugin="napari-lucky")
    messages()
    (tmp_path / "file").write_text("")
    viewer.layers.selection = set(viewer.layers)
    with pytest.warns(UserWarning, match="did not return any written paths"):  # napari's own
        viewer.layers.save(str(tmp_path / "file" / "x.fits"), selected=True)
    severity, text = messages()[0]
    assert severity == "error"
    assert "cannot be written" in text


def test_several_layers_go_into_one_file_and_come_back(viewer, run, tmp_path):
    folder, frames = run
    viewer.open(str(folder), plugin="napari-lucky")
    viewer.add_image(np.arange(12.0).reshape(3, 4), name="small")
    viewer.layers.selection = set(viewer.layers)
    path = tmp_path / "both.fits"
    viewer.layers.save(str(path), selected=True)
    back = viewer.open(str(path), plugin="napari-lucky")
    assert [la.data.shape for la in back] == [(12, 20, 30), (3, 4)]
    assert np.array_equal(back[0].data, frames)
    assert np.array_equal(back[1].data, np.arange(12).reshape(3, 4))


def test_points_and_windows_come_back_with_their_history(viewer, tmp_path, messages):
    from napari_lucky.frames import Record

    history = (Record("register", {"method": "brightest"}),)
    points = np.array([[0.0, 3.25, 4.5], [1.0, 5.0, 6.0]])
    viewer.add_points(points, name="träcked", metadata={"history": history})
    corners = np.array([[1.5, 2.5], [1.5, 9.5], [8.5, 9.5], [8.5, 2.5]])
    viewer.add_shapes([corners, corners + 20], name="windows")
    viewer.add_image(np.ones((5, 6), np.float32), name="focus")
    viewer.layers.selection = set(viewer.layers)
    path = tmp_path / "mixed.fits"
    assert viewer.layers.save(str(path), selected=True) == [str(path)]
    back = viewer.open(str(path), plugin="napari-lucky")
    assert messages() == []
    assert sorted(type(la).__name__ for la in back) == ["Image", "Points", "Shapes"]
    by_type = {type(la).__name__: la for la in back}
    assert np.array_equal(by_type["Points"].data, points)
    assert by_type["Points"].metadata["history"] == history
    assert np.array_equal(by_type["Shapes"].data, [corners, corners + 20])


def test_a_run_is_not_saved_over_itself(viewer, tmp_path, messages):
    path = tmp_path / "own.fits"
    fits.PrimaryHDU(np.arange(800, dtype=np.uint16).reshape(4, 10, 20)).writeto(path)
    before = path.read_bytes()
    viewer.open(str(path), plugin="napari-lucky")
    viewer.layers.selection = set(viewer.layers)
    with pytest.warns(UserWarning, match="did not return any written paths"):  # napari's own
        viewer.layers.save(str(path), selected=True)
    assert "this file is read" in messages()[0][1]
    assert path.read_bytes() == before


def test_colours_are_not_saved_as_frames(viewer, tmp_path, messages):
    viewer.add_image(np.zeros((10, 10, 3), np.uint8), rgb=True)
    viewer.layers.selection = set(viewer.layers)
    with pytest.warns(UserWarning, match="did not return any written paths"):
        viewer.layers.save(str(tmp_path / "rgb.fits"), selected=True)
    assert "colours" in messages()[0][1]


def test_the_place_of_a_window_is_the_sensors_not_the_screens(viewer, tmp_path):
    from napari.layers import Layer

    from napari_lucky.viewer.to_layers import image_tuple

    image = np.random.default_rng(0).normal(size=(8, 9)).astype(np.float32)
    layer = viewer.add_layer(Layer.create(*image_tuple(image, "focus", origin=(76, 328))))
    layer.scale, layer.translate = (0.5, 0.5), (10, 20)
    viewer.layers.selection = {layer}
    viewer.layers.save(str(tmp_path / "a.fits"), selected=True)
    header = fits.getheader(tmp_path / "a.fits")
    assert (header["LTV1"], header["LTV2"]) == (-328, -76)


def test_folders_named_by_date_open(viewer, tmp_path):
    folder = tmp_path / "2026.05.12"
    folder.mkdir()
    for k in (1, 2):
        fits.PrimaryHDU(np.full((9, 9), k, np.uint16)).writeto(folder / f"a_{k}.fits")
    (layer,) = viewer.open(str(folder), plugin="napari-lucky")
    assert layer.data.max() == 2
