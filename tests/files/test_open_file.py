"""Files that change while a job runs, and a temporary folder that fills up."""

import gzip
import os
import shutil
import tempfile
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from napari_lucky import LuckyError, open_run
from napari_lucky.files.open_file import Stamp, open_regular
from napari_lucky.fits import gzip_file as gzipped
from systems import on_posix

FRAMES = np.random.default_rng(0).integers(0, 1 << 16, (6, 300, 400), dtype=np.uint16)
"""Over 1 MB, which do not compress: unpacked in several pieces."""


def write(path: Path, frames: np.ndarray, second: int = 0) -> Path:
    """Write a file as if it were so many seconds old."""
    made = fits.HDUList([fits.PrimaryHDU(frames)])
    if path.suffix == ".fz":
        made = fits.HDUList([fits.PrimaryHDU(), fits.CompImageHDU(frames)])
    elif path.name.startswith("scaled"):
        made[0].header.update(BSCALE=0.5, BZERO=3.0)
    made.writeto(path, overwrite=True)
    os.utime(path, (second, second))
    return path


def fill_up(monkeypatch, free: int) -> None:
    """Give temporary files so much room, and let the write that does not fit write a part."""

    class Full:
        def __init__(self, **options):
            self.file = tempfile.TemporaryFile(**options)  # noqa: SIM115
            self.left = free

        def write(self, piece) -> int:
            if not self.left:
                raise OSError(28, "No space left on device")
            written = self.file.write(piece[: self.left])
            self.left -= written
            return written

        def __getattr__(self, name):
            return getattr(self.file, name)

    monkeypatch.setattr(gzipped, "TemporaryFile", Full)


def test_after_a_full_temporary_folder_frames_are_right_or_reported(tmp_path, monkeypatch):
    path = tmp_path / "cube.fits.gz"
    path.write_bytes(gzip.compress(write(tmp_path / "cube.fits", FRAMES).read_bytes(), 1))
    run = open_run(path)
    fill_up(monkeypatch, 1_100_000)  # one piece and a part of the next
    assert np.array_equal(run.read(slice(0, 2)), FRAMES[:2])
    for _ in range(3):
        with pytest.raises(LuckyError, match=r"cube\.fits\.gz.*make room there, or set TMPDIR"):
            run.read(slice(0, 6))
        assert np.array_equal(run.read(slice(1, 3)), FRAMES[1:3])
    monkeypatch.undo()
    with pytest.raises(LuckyError):  # of what was kept there is nothing left to go on from
        fill_up(monkeypatch, 0)
        run.images[0].unpacked._drop()
        run.read(slice(0, 1))
    monkeypatch.undo()
    assert np.array_equal(run.read(slice(0, 6)), FRAMES)


def test_a_gzipped_cube_unpacks_behind_what_was_read_before(tmp_path):
    path = tmp_path / "cube.fits.gz"
    path.write_bytes(gzip.compress(write(tmp_path / "cube.fits", FRAMES).read_bytes(), 1))
    run = open_run(path)
    for k in (0, 3, 1, 5, 0, 2, 4):
        assert np.array_equal(run.read(slice(k, k + 1))[0], FRAMES[k])


def test_a_gzipped_cube_overwritten_when_it_is_half_unpacked_is_reported(tmp_path):
    path = write(tmp_path / "cube.fits.gz", FRAMES, second=1000)
    run = open_run(path)
    assert np.array_equal(run.read(slice(0, 2)), FRAMES[:2])
    new = write(tmp_path / "new.fits.gz", FRAMES[::-1].copy()).read_bytes()
    with open(path, "r+b") as file:  # in place
        file.write(new)
    with pytest.raises(LuckyError, match=r"cube\.fits\.gz: .*the run was opened"):
        run.read(slice(0, 6))


@pytest.mark.parametrize(
    "name", ["a.fits", "scaled.fits", "a.fits.gz", "cube.fits.gz", "a.fits.fz"]
)
def test_a_frame_replaced_by_one_of_the_same_size_is_reported(tmp_path, name):
    frames = FRAMES if name.startswith("cube") else FRAMES[0]
    path = write(tmp_path / name, frames, second=1000)
    run = open_run(path)
    assert run.read(slice(None)).shape[0] == run.shape[0]
    path = write(tmp_path / name, frames[::-1].copy(), second=2000)
    if run.images[0].unpacked is None:
        with pytest.raises(LuckyError, match=rf"{name}: .*the run was opened; open the run again"):
            run.read(slice(None))
    else:  # it has its own copy of the old one
        assert np.array_equal(run.read(slice(None)), frames)
    assert np.array_equal(open_run(path).read(slice(0, 1))[0].shape, frames.shape[-2:])


def test_a_frame_replaced_within_a_folder_is_reported_and_another_run_is_not_disturbed(tmp_path):
    for k in range(4):
        write(tmp_path / f"f_{k}.fits", FRAMES[k], second=1000)
    run = open_run(tmp_path)
    write(tmp_path / "f_4.fits", FRAMES[4], second=2000)  # the camera goes on
    assert np.array_equal(run.read(slice(None)), FRAMES[:4])
    shutil.copyfile(tmp_path / "f_4.fits", tmp_path / "f_2.fits")
    assert np.array_equal(run.read(slice(0, 2)), FRAMES[:2])
    with pytest.raises(LuckyError, match=r"f_2\.fits: .*changed after the run was opened"):
        run.read(slice(None))


def test_a_copy_that_keeps_the_time_is_the_same_file(tmp_path):
    """As `cp -p` and `rsync -t` make one, and as another machine sees it."""
    path = write(tmp_path / "a.fits", FRAMES[0], second=1000)
    run = open_run(path)
    shutil.copy2(path, tmp_path / "b.fits")
    os.replace(tmp_path / "b.fits", path)
    assert np.array_equal(run.read(slice(None))[0], FRAMES[0])


@on_posix
def test_only_files_are_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path, Path("/dev/zero")):
        with pytest.raises(OSError, match="not a file"):
            open_regular(path)
    path = write(tmp_path / "a.fits", FRAMES[0])
    assert Stamp.at(path) == (path.stat().st_size, 0)
