"""Frames from paths, arrays of all kinds, masks and units."""

from types import SimpleNamespace

import numpy as np
import pytest
from astropy import units
from astropy.io import fits
from astropy.nddata import CCDData
from astropy.utils.masked import Masked

import napari_lucky as lucky
from napari_lucky import LuckyError, as_frames, open_run
from napari_lucky.fits import ImageResult, as_image
from napari_lucky.frames import ArrayFrames, LazyArray, Subset
from napari_lucky.stacking import Stack

CUBE = np.random.default_rng(0).normal(100, 3, (5, 9, 8)).astype(np.float32)
MASK = np.zeros(CUBE.shape, bool)
MASK[2, 3, 4] = True
HOLED = np.where(MASK, np.nan, CUBE)


class DataArray:
    """What xarray's looks like from outside."""

    def __init__(self, data, dims):
        self.data, self.dims = data, dims
        self.shape, self.dtype = data.shape, data.dtype

    def transpose(self, *dims):
        rest = [name for name in self.dims if name not in dims]
        order = [*rest, *(name for name in dims if name is not Ellipsis)]
        return DataArray(self.data.transpose([self.dims.index(d) for d in order]), tuple(order))


def made():
    import dask.array

    path_like = {
        "numpy": CUBE,
        "dask": dask.array.from_array(CUBE, chunks=(2, 9, 8)),
        "list of images": list(CUBE),
        "nested lists": CUBE.tolist(),
        "Quantity": CUBE * units.adu,
        "electrons": units.Quantity(CUBE, units.electron),
        "CCDData": CCDData(CUBE, unit="adu"),
        "frames": ArrayFrames(CUBE),
        "lazy": LazyArray(ArrayFrames(CUBE)),
        "view": Subset(ArrayFrames(CUBE), np.arange(5)),
        "holds frames": SimpleNamespace(frames=CUBE),
        "xarray": DataArray(CUBE, ("time", "y", "x")),
        "xarray in another order": DataArray(CUBE.transpose(1, 2, 0), ("y", "x", "time")),
        "xarray without names": DataArray(CUBE, ("dim_0", "dim_1", "dim_2")),
        "xarray of dask": DataArray(
            dask.array.from_array(CUBE.transpose(2, 0, 1)), ("x", "time", "y")
        ),
    }
    masked = {
        "masked array": np.ma.array(CUBE, mask=MASK),
        "masked dask": dask.array.ma.masked_array(dask.array.from_array(CUBE), mask=MASK),
        "CCDData with a mask": CCDData(CUBE, unit="adu", mask=MASK),
        "masked Quantity": Masked(CUBE * units.adu, mask=MASK),
        "list of masked images": list(np.ma.array(CUBE, mask=MASK)),
    }
    return [
        *(pytest.param(given, CUBE, id=name) for name, given in path_like.items()),
        *(pytest.param(given, HOLED, id=name) for name, given in masked.items()),
    ]


@pytest.mark.parametrize(("given", "pixels"), made())
def test_anything_that_holds_frames(given, pixels):
    frames = as_frames(given)
    assert frames.shape == CUBE.shape
    block = frames.read(slice(None))
    assert type(block) is np.ndarray
    assert block.dtype.kind == "f"
    np.testing.assert_array_equal(block, pixels)
    part = frames.read(np.array([2, 0]), lucky.Window(2, 3, 4, 5))
    np.testing.assert_array_equal(part, pixels[[2, 0], 2:6, 3:8])


def test_nothing_lazy_is_computed_and_nothing_is_copied():
    import dask.array

    def fail(block):
        raise AssertionError("computed")

    lazy = dask.array.map_blocks(fail, dask.array.zeros((3, 8, 8)), dtype=float)
    assert as_frames(lazy).shape == (3, 8, 8)
    assert as_frames(CUBE).array is CUBE
    frames = ArrayFrames(CUBE)
    assert as_frames(frames) is frames
    assert as_frames(LazyArray(frames)) is frames
    assert np.shares_memory(as_frames(CCDData(CUBE, unit="adu")).array, CUBE)


def test_whole_numbers_stay_unless_masked():
    raw = (CUBE * 100).astype(np.uint16)
    assert as_frames(raw).dtype == np.uint16
    assert as_frames(np.ma.array(raw)).dtype == np.float32
    masked = as_frames(np.ma.array(raw, mask=MASK)).read(slice(2, 3))
    assert masked.dtype == np.float32
    np.testing.assert_array_equal(masked[0], np.where(MASK[2], np.nan, raw[2]))


def test_paths_are_opened(tmp_path):
    for k, frame in enumerate(CUBE):
        fits.PrimaryHDU(frame).writeto(tmp_path / f"f{k}.fits")
    files = sorted(tmp_path.glob("*.fits"))
    for given in (tmp_path, str(tmp_path), files, tuple(map(str, files)), open_run(tmp_path)):
        np.testing.assert_array_equal(as_frames(given).read(slice(None)), CUBE)
    assert as_frames(files[1]).shape == (1, 9, 8)
    np.testing.assert_array_equal(as_image(files[1]), CUBE[1])


def test_two_axes_are_one_frame():
    assert as_frames(CUBE[0]).shape == (1, 9, 8)
    ccd = CCDData(CUBE[2], unit="adu", mask=MASK[2])
    np.testing.assert_array_equal(as_frames(ccd).read(slice(None)), HOLED[2:3])
    np.testing.assert_array_equal(as_image(ccd), HOLED[2])


@pytest.mark.parametrize(
    "given",
    [
        CUBE[0],
        CUBE[:1],
        Stack(CUBE[0], np.ones((9, 8)), 5),
        ImageResult(CUBE[0], "focus"),
        np.ma.array(CUBE[0]),
        CUBE[0] * units.adu,
    ],
)
def test_anything_that_holds_an_image(given):
    np.testing.assert_array_equal(as_image(given), CUBE[0])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (None, "The frames cannot be a NoneType; expected a path, an array"),
        (5, "The frames cannot be a int; expected a path"),
        ([], "The frames cannot be a list; expected a path"),
        ({"a": 1}, "The frames cannot be a dict; expected a path"),
        (np.zeros(4), r"shape \(4,\); expected \(frame, y, x\), or \(y, x\) for one frame"),
        (np.zeros((2, 3, 8, 8)), r"shape \(2, 3, 8, 8\); expected"),
        (np.zeros((0, 8, 8)), "There are no pixels in the frames"),
        (np.zeros((2, 8, 8), complex), "type complex128; expected whole numbers"),
        (np.zeros((8, 8), bool), "type bool; expected whole numbers"),
        (np.zeros((8, 8), object), "type object; expected whole numbers"),
        (["a", 5], "expected whole numbers|have different shapes"),
        ([np.zeros((8, 8)), np.zeros((9, 8))], "The frames have different shapes"),
        (CUBE * units.m, "The frames cannot be in m; expected adu or electron"),
        (CCDData(CUBE, unit="erg"), "The frames cannot be in erg; expected adu"),
        ("no such file.fits", "no such file"),
    ],
)
def test_what_is_no_frames_is_refused_in_a_sentence(given, message):
    with pytest.raises(LuckyError, match=message):
        as_frames(given)


def test_several_frames_are_no_image():
    with pytest.raises(LuckyError, match="The dark has 5 frames; expected a single one"):
        as_image(CUBE, "dark")


# --- every function takes them


@pytest.fixture(scope="module")
def run():
    return lucky.simulate_run(12, (200, 400), d_over_r0=2.5, photons=3e5, seed=3)


def test_the_steps_take_arrays_tuples_a_registration_and_a_telescope(run):
    """With the same numbers as from `Frames`, `Window` and arrays."""
    window = lucky.find_star(run.frames, 64)
    spot = (*window.centre, 64)
    telescope = lucky.Telescope(0.45, 0.3, 633.0, 58.6, 5.3)
    view = lucky.calibrate(*(ArrayFrames(of) for of in (run.frames, run.dark, run.flat)))
    ccd = CCDData(run.frames, unit="adu")
    same = lucky.calibrate(ccd, run.dark * units.adu, np.ma.array(run.flat))
    np.testing.assert_allclose(same.read(slice(2)), view.read(slice(2)), rtol=1e-6)
    cube = view.read(slice(None))
    tracked, expected = lucky.register(cube, spot), lucky.register(view, window)
    np.testing.assert_allclose(tracked.points, expected.points, atol=1e-4)
    quality = lucky.rank(
        cube, spot, metric="psf-correlation", shifts=tracked, diffraction=telescope
    )
    np.testing.assert_allclose(
        quality,
        lucky.rank(
            view,
            window,
            metric="psf-correlation",
            shifts=expected.shifts,
            reference=expected.reference,
            diffraction=telescope.diffraction,
        ),
        rtol=1e-3,
    )
    best = np.isin(np.arange(12), lucky.select(quality, 5))
    stack = lucky.stack(cube, tracked, best, spot, method="clipped,3")
    other = lucky.stack(view, expected.shifts, np.flatnonzero(best), window, method="clipped,3")
    np.testing.assert_allclose(stack.image, other.image, rtol=1e-3, atol=0.5)
    names = [name for name, *_ in lucky.stack_pair(cube, tracked, best, spot, None)]
    assert names == ["focus", "long_exposure"]
    mean = lucky.stack_mean(cube, best, spot)
    np.testing.assert_allclose(mean.image, lucky.stack_mean(view, best, window).image, rtol=1e-5)
    figures = lucky.psf_figures(stack, telescope)
    assert figures.strehl == lucky.psf_figures(stack.image, telescope.diffraction).strehl
    curve = lucky.keep_curve(cube, tracked, quality, spot, diffraction=telescope)
    assert len(curve.noise) == 12
    cleaned = lucky.clean(cube, [lucky.steps.RemoveOutliers()], windows=[spot])
    assert cleaned.frames.shape == cube.shape
    np.testing.assert_array_equal(lucky.master(list(run.frames)), lucky.master(run.frames))
