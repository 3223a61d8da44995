"""Files that are read next are fetched where storage is slow, and nowhere else."""

import os

import numpy as np
import pytest

from made_files import write_run
from napari_lucky import Window, open_run
from napari_lucky.files import read_ahead as module
from napari_lucky.files.read_ahead import fetch, read_ahead


@pytest.mark.parametrize(("slow", "expected"), [(-1.0, [1, 2, 3, 4, 5]), (np.inf, [])])
def test_each_file_is_fetched_once_and_before_it_is_read(monkeypatch, slow, expected):
    monkeypatch.setattr(module, "SLOW", slow)
    monkeypatch.setattr(module, "AHEAD", 2)
    fetched = []
    for k in read_ahead(6, fetched.append):
        assert set(range(1, k + 1)) <= set(fetched) or not expected
        assert all(number <= k + 2 for number in fetched)
    assert fetched == expected


def test_a_run_fetches_the_rows_that_it_reads(monkeypatch, tmp_path):
    frames = np.random.default_rng(0).integers(0, 60_000, (5, 20, 30)).astype(np.uint16)
    run = open_run(write_run(tmp_path / "run", frames))
    asked = []
    monkeypatch.setattr(module, "SLOW", -1.0)
    monkeypatch.setattr(
        "napari_lucky.fits.image.fetch", lambda path, *where: asked.append((path, *where))
    )
    window = Window(4, 7, 6, 9)
    np.testing.assert_array_equal(run.read([3, 1, 1, 4], window), frames[[3, 1, 1, 4], 4:10, 7:16])
    offset = run.images[0].layout.offset
    rows = offset + 4 * 30 * 2, 6 * 30 * 2
    paths = [run.images[k].path for k in (1, 1, 4)]
    assert asked == [(path, *rows) for path in paths]


def test_a_file_that_is_gone_is_left_to_who_reads_it(tmp_path):
    before = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
    fetch(tmp_path / "gone.fits", 0, 10)
    (tmp_path / "there.fits").write_bytes(bytes(100))
    fetch(tmp_path / "there.fits", 50, 1000)
    after = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
    assert after == before
