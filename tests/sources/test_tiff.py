"""TIFF files as other programs write them, against tifffile's own reading."""

import pickle

import numpy as np
import pytest
import tifffile

from napari_lucky import LuckyError, Window, open_run
from napari_lucky.fits.run_notes import run_notes
from napari_lucky.sources import tiff

WINDOW = Window(3, 5, 11, 17)
GREY = {"photometric": "minisblack"}
RGB = {"photometric": "rgb"}


def pages(path, frames, **how):
    with tifffile.TiffWriter(path, **how) as file:
        for frame in frames:
            file.write(frame, contiguous=False, metadata=None, **GREY)


def described(path, frames):
    with tifffile.TiffWriter(path) as file:
        for k, frame in enumerate(frames):
            file.write(frame, contiguous=False, description=f"frame {k}", **GREY)


WAYS = {
    "series": lambda path, f: tifffile.imwrite(path, f, **GREY),
    "big": lambda path, f: tifffile.imwrite(path, f, bigtiff=True, **GREY),
    "pages": pages,
    "big-endian pages": lambda path, f: pages(path, f, byteorder=">"),
    "pages with a description": described,
    "imagej": lambda path, f: tifffile.imwrite(path, f, imagej=True),
    "ome": lambda path, f: tifffile.imwrite(path, f, ome=True, metadata={"axes": "TYX"}),
    "packed": lambda path, f: tifffile.imwrite(path, f, compression="zlib", **GREY),
    "tiled": lambda path, f: tifffile.imwrite(path, f, tile=(16, 16), **GREY),
    "strips": lambda path, f: tifffile.imwrite(path, f, rowsperstrip=3, **GREY),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("dtype", ["u1", "u2", "f4"])
def test_frames_are_those_of_the_file_however_it_is_written(tmp_path, stars, way, dtype):
    frames = (stars >> 4).astype(dtype)
    path = tmp_path / "a.tif"
    WAYS[way](path, frames)
    run = open_run(path)
    assert (run.dtype, run.shape) == (np.dtype(dtype), (5, 20, 30))
    assert np.array_equal(run.read(slice(None)), frames)
    cut = pickle.loads(pickle.dumps(run)).read(np.array([4, 0, 2]), WINDOW)
    assert np.array_equal(cut, frames[[4, 0, 2]][:, 3:14, 5:22])
    assert run_notes(run) == []
    assert run.inputs["read_as"].startswith("TIFF, ")


@pytest.mark.parametrize("how", [{}, {"planarconfig": "separate"}, {"compression": "zlib"}])
def test_colours_are_planes_of_a_frame(tmp_path, stars, how):
    frames = np.stack([stars, stars >> 1, stars >> 2], axis=1 if "planarconfig" in how else -1)
    truth = np.moveaxis(frames, 1, -1) if "planarconfig" in how else frames
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, frames, **RGB, **how)
    for k, name in enumerate(("red", "green", "blue")):
        run = open_run(path, name)
        assert run.dtype == np.uint16
        assert np.array_equal(run.read(slice(1, 4), WINDOW), truth[1:4, 3:14, 5:22, k])
    assert np.allclose(open_run(path).read(slice(None)), truth.mean(axis=-1), atol=1e-3)


def test_alpha_is_no_colour(tmp_path, stars):
    frame = np.stack([stars[0], stars[1], stars[2], stars[3]], axis=-1)
    tifffile.imwrite(tmp_path / "a.tif", frame, extrasamples=["unassalpha"], **RGB)
    run = open_run(tmp_path / "a.tif", "blue")
    assert np.array_equal(run.read(slice(None)), stars[2:3])


def test_a_hyperstack_has_frames_and_channels(tmp_path, stars):
    frames = np.stack([stars, stars >> 1, stars >> 2], axis=1)  # (t, c, y, x)
    path, two = tmp_path / "a.tif", tmp_path / "two.tif"
    tifffile.imwrite(path, frames, imagej=True, metadata={"axes": "TCYX"})
    assert np.array_equal(open_run(path, "green").read(slice(None)), frames[:, 1])
    tifffile.imwrite(two, frames[:, :2], imagej=True, metadata={"axes": "TCYX"})
    run = open_run(two)
    assert np.array_equal(run.read(slice(None)), stars)
    assert run_notes(run) == [
        "two.tif: it has 2 channels, and the first is read; save the others as separate files."
    ]


def test_a_preview_beside_the_frames_is_passed_over(tmp_path, stars):
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        file.write(stars[0, ::4, ::4], metadata=None, **GREY)
        for frame in stars:
            file.write(frame, contiguous=False, metadata=None, **GREY)
    run = open_run(tmp_path / "a.tif")
    assert np.array_equal(run.read(slice(None)), stars)
    rows, columns = stars[0, ::4, ::4].shape
    assert run_notes(run)[0] == f"Left out other images in the TIFF file ({rows} x {columns})."


def test_a_folder_of_single_files_is_a_run(tmp_path, stars):
    for k in (10, 9, 2):
        tifffile.imwrite(tmp_path / f"AF_{k}.tif", stars[k % 5], **GREY)
    tifffile.imwrite(tmp_path / "dark.tif", stars[0], **GREY)
    run = open_run(tmp_path)
    assert run.files == ["AF_2.tif", "AF_9.tif", "AF_10.tif"]
    assert np.array_equal(run.read(slice(None)), stars[[2, 4, 0]])
    assert [left.path.name for left in run.left_out] == ["dark.tif"]


@pytest.mark.parametrize("keep", [0, 3, 40, 700])
def test_damaged_files_are_reported(tmp_path, stars, keep):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, stars, **GREY)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(LuckyError, match=r"a\.tif: "):
        open_run(path)


def test_of_a_truncated_stack_the_whole_frames_are_read(tmp_path, stars):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, stars, **GREY)
    with tifffile.TiffFile(path) as file:
        begin = file.series[0].dataoffset
    path.write_bytes(path.read_bytes()[: begin + stars[:-1].nbytes - 10])
    run = open_run(path)
    assert np.array_equal(run.read(slice(None)), stars[:-2])
    assert run.missing == 2
    assert "a.tif: truncated: its last 2 frames are not whole and left out." in run_notes(run)


def test_a_copy_of_a_process_opens_a_packed_file_anew(tmp_path, stars, monkeypatch):
    """Or copies would move each other's place in it."""
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, stars, compression="zlib", **GREY)
    run = open_run(path)
    run.read(slice(0, 1))
    before = tiff._opened.file
    monkeypatch.setattr("os.getpid", lambda: -1)
    assert np.array_equal(run.read(slice(None)), stars)
    assert tiff._opened.file is not before


def test_what_is_no_image_of_numbers_is_reported(tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.zeros((4, 8, 9), np.complex64), **GREY)
    with pytest.raises(LuckyError, match="complex64"):
        open_run(path)
    map_ = np.zeros((3, 256), np.uint16)
    tifffile.imwrite(path, np.zeros((8, 9), np.uint8), photometric="palette", colormap=map_)
    with pytest.raises(LuckyError, match="colours of a palette"):
        open_run(path)
