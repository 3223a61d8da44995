"""Stacks of frames in an array's clothes, against numpy."""

from typing import Any

import dask.array as da
import numpy as np
import pytest

from napari_lucky.errors import LuckyError
from napari_lucky.frames import frames as frames_module
from napari_lucky.frames.frames import (
    ArrayFrames,
    Subset,
    as_float32,
    frames_in,
    numbers_in,
    parse_range,
)
from napari_lucky.frames.lazy_array import LazyArray
from napari_lucky.frames.window import Window

SHAPE = (7, 11, 13)
DATA = np.arange(np.prod(SHAPE), dtype=np.uint16).reshape(SHAPE)


class Recording(ArrayFrames):
    """Notes what is read."""

    def __init__(self, array: np.ndarray) -> None:
        super().__init__(array)
        object.__setattr__(self, "reads", [])

    def read(self, frames: Any, window: Window | None = None) -> np.ndarray:
        self.reads.append((np.arange(self.shape[0])[frames].tolist(), window))
        return super().read(frames, window)


KEYS = [
    0, -1, 6, np.int64(3), slice(None), slice(2, 5), slice(None, None, 2), slice(5, 1, -2),
    slice(3, 3), slice(-3, None), slice(-100, 100), Ellipsis, (), (Ellipsis, 3), (Ellipsis, 3, 4),
    (2, Ellipsis), (2, Ellipsis, 5), (Ellipsis, slice(2, 9), slice(1, 4)), (0, 1, 2, Ellipsis),
    (1, 2), (1, 2, 3), (-7, -11, -13), (1, slice(2, 8)), (1, slice(2, 8), slice(3, 12)),
    (slice(None), 4), (slice(None), slice(None), 4), (slice(1, 3), -1, slice(None, None, -1)),
    (1, slice(None, None, 3), slice(None, None, -2)), (slice(0, 2), slice(9, 2, -3), 5),
    (0, slice(4, 4), slice(None)), (slice(4, 2), slice(None), slice(None)),
    np.array([4, 1, 1, -1]), [0, 2], [], np.array([], int), (np.array([4, 1]), slice(2, 5)),
    (np.array([4, 1]), 3), (np.array([4, 1]), slice(None), 3), (np.array([4, 1]), 3, 5),
    (np.array([4, 1]), Ellipsis), (np.array([4, 1]), Ellipsis, 2), ([0, 2], Ellipsis, slice(1, 3)),
    np.arange(7) % 2 == 0, np.zeros(7, bool), (np.arange(7) > 3, slice(2, 4), 1),
    np.array([[0, 1], [2, 3]]), (np.array([[0, 1], [2, 3]]), 2), np.array(3),
    DATA > 500, (DATA > 500)[:, :, 0], (0, DATA[0] > 50), (0, [1, 2], [3, 4]),
    ([0, 1], [1, 2], [3, 4]), (slice(None), [1, 5]), (slice(None), np.array([True] * 11)),
    None, (None, 2), (2, None), (Ellipsis, None), (slice(None), None, 3),
]  # fmt: skip


@pytest.mark.parametrize("key", KEYS, ids=[str(k).replace("\n", "")[:60] for k in KEYS])
def test_indexing_is_numpys(key):
    found, expected = LazyArray(ArrayFrames(DATA))[key], DATA[key]
    assert found.shape == expected.shape
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    "key",
    [7, -8, (0, 11), (0, 0, -14), (0, 0, 0, 0), np.array([0, 7]), (Ellipsis, 13), "y", 1.5,
     (0, 1.5), (0, "x"), np.zeros(6, bool), (Ellipsis, 0, Ellipsis)],
    ids=str,
)  # fmt: skip
def test_what_numpy_refuses_is_refused_in_the_same_way(key):
    lazy = LazyArray(ArrayFrames(DATA))
    with pytest.raises(IndexError):
        DATA[key]
    with pytest.raises(IndexError):
        lazy[key]


@pytest.mark.parametrize(
    ("key", "frames", "window"),
    [
        (3, [3], Window(0, 0, 11, 13)),
        ((3, slice(2, 6), slice(4, 9)), [3], Window(2, 4, 4, 5)),
        ((-1, 5, slice(4, 9)), [6], Window(5, 4, 1, 5)),
        ((slice(1, 6, 2), Ellipsis, -1), [1, 3, 5], Window(0, 12, 11, 1)),
        ((np.array([5, 0]), slice(-3, None)), [5, 0], Window(8, 0, 3, 13)),
        ((2, slice(None, None, 4), slice(0, 2)), [2], Window(0, 0, 11, 2)),
    ],
)
def test_indexing_reads_only_the_frames_and_the_window_asked_for(key, frames, window):
    recording = Recording(DATA)
    np.testing.assert_array_equal(LazyArray(recording)[key], DATA[key])
    assert recording.reads == [(frames, window)]


def test_a_lazy_array_has_what_an_array_has_and_reads_nothing_for_it():
    recording = Recording(DATA)
    lazy = LazyArray(recording)
    assert (lazy.shape, lazy.dtype, lazy.ndim) == (DATA.shape, DATA.dtype, DATA.ndim)
    assert (lazy.size, len(lazy)) == (DATA.size, len(DATA))
    assert "Recording" in repr(lazy)
    assert recording.reads == []
    assert [frame[0, 0] for frame in lazy] == DATA[:, 0, 0].tolist()


def test_numpy_takes_a_lazy_array_for_an_array():
    lazy = LazyArray(ArrayFrames(DATA))
    np.testing.assert_array_equal(np.asarray(lazy), DATA)
    as_float = np.asarray(lazy, np.float32)
    assert as_float.dtype == np.float32
    np.testing.assert_array_equal(as_float, DATA)
    assert np.mean(lazy) == DATA.mean()


ORDER = np.array([5, 2, 2, 0, 6, -1])
WINDOW = Window(2, 3, 5, 6)
ARRAYS = {
    "numpy": lambda _: DATA,
    "big-endian": lambda _: DATA.astype(">u2"),
    "dask": lambda _: da.from_array(DATA, chunks=(2, 5, 13)),
    "lazy": lambda _: LazyArray(ArrayFrames(DATA)),
    "memory map": lambda folder: mapped(folder / "x.npy"),
    "zarr": lambda folder: pytest.importorskip("zarr").array(DATA, chunks=(2, 5, 13)),
}


def mapped(path) -> np.memmap:
    np.save(path, DATA)
    return np.load(path, mmap_mode="r")


@pytest.mark.parametrize("kind", ARRAYS)
@pytest.mark.parametrize(
    "index", [slice(None), slice(1, 6, 2), slice(0, 0), ORDER, ORDER[:0]],
    ids=str,
)  # fmt: skip
@pytest.mark.parametrize("window", [None, WINDOW], ids=["whole", "window"])
def test_frames_of_any_array_are_its_frames(tmp_path, kind, index, window):
    frames = ArrayFrames(ARRAYS[kind](tmp_path))
    assert frames.shape == SHAPE
    found = frames.read(index, window)
    rows, columns = (window or Window.whole(SHAPE)).slices
    assert isinstance(found, np.ndarray)
    assert found.dtype == frames.dtype
    np.testing.assert_array_equal(found, DATA[index, rows, columns])


@pytest.mark.parametrize("image", [DATA[0], da.from_array(DATA[0])], ids=["numpy", "dask"])
def test_a_single_image_is_a_run_of_one_frame(image):
    frames = ArrayFrames(image)
    assert frames.shape == (1, 11, 13)
    for index in (slice(None), slice(1), np.array([0]), np.array([0, 0]), slice(0, 0)):
        expected = DATA[:1][index, 2:7, 3:9]
        np.testing.assert_array_equal(frames.read(index, WINDOW), expected)


def test_a_subset_gives_its_frames_in_its_order():
    subset = Subset(ArrayFrames(DATA), np.array([6, 0, 3, 3, 1]))
    assert (subset.shape, subset.dtype) == ((5, 11, 13), np.uint16)
    chosen = DATA[[6, 0, 3, 3, 1]]
    np.testing.assert_array_equal(subset.read(slice(None)), chosen)
    np.testing.assert_array_equal(
        subset.read(np.array([4, 0, 2]), WINDOW), chosen[[4, 0, 2], 2:7, 3:9]
    )
    twice = Subset(subset, np.array([4, 0]))
    np.testing.assert_array_equal(twice.read(slice(None)), DATA[[1, 6]])


def test_a_subset_passes_the_window_down():
    recording = Recording(DATA)
    Subset(recording, np.array([6, 0, 3])).read(slice(1, 3), WINDOW)
    assert recording.reads == [([0, 3], WINDOW)]


@pytest.mark.parametrize("dtype", ["u1", ">u2", "i4", "f8", ">f4"])
def test_as_float32_is_native_float32(dtype):
    found = as_float32(DATA.astype(dtype))
    assert found.dtype == np.float32
    assert found.dtype.isnative
    np.testing.assert_array_equal(found, DATA.astype(dtype).astype(float))


def test_as_float32_copies_nothing_that_is_float32_already():
    pixels = DATA.astype(np.float32)
    assert np.shares_memory(as_float32(pixels), pixels)


@pytest.mark.parametrize(
    ("text", "chosen"),
    [
        ("0:3", [0, 1, 2]),
        (":", list(range(10))),
        ("7:", [7, 8, 9]),
        ("-2:", [8, 9]),
        ("1:9:3", [1, 4, 7]),
        ("::5", [0, 5]),
        (" 2 : 4 ", [2, 3]),
    ],
)
def test_ranges_are_pythons_slices(text, chosen):
    assert frames_in(10, parse_range(text)).tolist() == chosen


@pytest.mark.parametrize("text", ["", "3", "a:b", "1:2:3:4", "1:9:0", "9:1:-1", "1.5:3"])
def test_what_is_no_range_is_reported(text):
    with pytest.raises(LuckyError, match="START:STOP:STEP"):
        parse_range(text)


def test_a_range_without_frames_is_reported():
    with pytest.raises(LuckyError, match=r"20:30 chooses none of the run's 10 frames"):
        frames_in(10, parse_range("20:30"))


@pytest.mark.parametrize(
    "chosen",
    [
        slice(None),
        slice(2, -1, 3),
        slice(8, 2, -2),
        slice(20, 30),
        np.array([3, 3, 0]),
        np.array([-1, 2]),
        np.array([], np.intp),
        np.arange(10) % 3 == 0,
    ],
)
@pytest.mark.parametrize("many", [5, 50])
def test_frames_chosen_are_those_that_numpy_chooses(chosen, many, monkeypatch):
    monkeypatch.setattr(frames_module, "MANY", many)
    found = numbers_in(chosen, 10)
    assert found.dtype == np.intp
    assert found.tolist() == np.arange(10)[chosen].tolist()
    with pytest.raises(IndexError):
        numbers_in(np.array([10]), 10)
