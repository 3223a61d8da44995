import os
import pickle
import warnings

import numpy as np
import pytest
from numpy.polynomial import legendre

from napari_lucky import LuckyError, Window
from napari_lucky.cleaning import background
from napari_lucky.cleaning.background import (
    ABOVE,
    BELOW,
    ROUNDS,
    BackgroundModel,
    BackgroundRemoved,
    Basis,
    Disc,
    clipped_fit,
    discs_around,
)
from napari_lucky.frames import ArrayFrames
from napari_lucky.frames.cache import cached

SHAPE = (160, 220)
RNG = np.random.default_rng(8)


def polynomial(order):
    v, u = (np.linspace(-1, 1, side) for side in SHAPE)
    terms = RNG.normal(0, 20, (order + 1, order + 1))
    terms[np.add.outer(range(order + 1), range(order + 1)) > order] = 0
    return 200 + legendre.leggrid2d(v, u, terms)


def star(y, x, height=3000.0, sigma=5.0):
    rows, columns = np.mgrid[: SHAPE[0], : SHAPE[1]]
    return height * np.exp(-((rows - y) ** 2 + (columns - x) ** 2) / (2 * sigma**2))


@pytest.mark.parametrize("order", range(7))
def test_a_polynomial_put_in_is_taken_out_to_1e_4_of_its_range(order):
    true = polynomial(order)
    frames = np.stack([true + star(80, 120), 2 * true + star(60, 100)])
    discs = (Disc(80, 120, 40), Disc(60, 100, 40))
    made = BackgroundRemoved(ArrayFrames(frames), discs, order)
    scale = max(np.ptp(true), 1)
    assert np.abs(made.model(slice(None))[0] - true).max() < 1e-4 * scale
    assert np.abs(made.model(slice(None))[1] - 2 * true).max() < 2e-4 * scale
    assert np.abs(made.read(slice(None))[0] - star(80, 120)).max() < 2e-3 + 1e-4 * scale


def test_the_other_star_bad_pixels_and_noise_hardly_move_the_fit():
    true = polynomial(4)
    frame = true + star(80, 150) + star(70, 50, 400, 12) + RNG.normal(0, 3, SHAPE)
    frame[RNG.integers(0, 160, 50), RNG.integers(0, 220, 50)] = 4000
    frame[::9, ::7] = np.nan
    made = BackgroundRemoved(ArrayFrames(frame[None]), (Disc(80, 150, 40),))
    error = np.sqrt(np.mean((made.model(slice(None))[0] - true) ** 2))
    assert error < 1  # a third of the noise; 0.63 to 0.83 with twelve seeds


def test_clipping_leaves_no_bias_in_noise():
    frames = polynomial(2) + RNG.normal(0, 10, (40, *SHAPE))
    made = BackgroundRemoved(ArrayFrames(frames), (), 2)
    assert abs(made.read(slice(None)).mean()) < 0.1  # without the correction, 0.7


@pytest.mark.parametrize("apart", [0.0, 1e-9])
def test_functions_that_are_alike_share_the_fit(apart):
    """Of many fits that are as good, the terms are those of the least squares."""
    slope = np.linspace(-1, 1, 500)
    alike = np.stack([np.ones(500), slope, slope * (1 + apart)], axis=1)
    values = (5 + 4 * slope + RNG.normal(0, 0.1, 500)).astype(np.float32)
    terms, sigma = clipped_fit(Basis(alike), values, 5, 5, ROUNDS)
    np.testing.assert_allclose(terms, [5, 2, 2], atol=0.03)
    assert sigma == pytest.approx(0.1, rel=0.15)


@pytest.mark.parametrize("height", [0, 30, 300])
def test_clipping_that_stops_early_moves_the_fit_by_a_hundredth_of_the_noise(height, monkeypatch):
    x = np.linspace(0, 1, 20_000)
    halo = height * np.exp(-x / 0.05)
    values = (RNG.normal(0, 1, len(x)) + halo).astype(np.float32)
    basis = Basis(np.stack([np.ones_like(x), 2 * x - 1], axis=1))
    terms, _ = clipped_fit(basis, values, ABOVE, BELOW, ROUNDS)
    monkeypatch.setattr(background, "SETTLED", 0)
    to_the_end, _ = clipped_fit(basis, values, ABOVE, BELOW, ROUNDS)
    assert np.abs(terms - to_the_end).max() < 0.01


def test_a_window_has_the_model_of_the_whole_frame():
    frame = polynomial(3) + star(80, 120) + RNG.normal(0, 3, SHAPE)
    made = BackgroundRemoved(ArrayFrames(frame[None]), (Disc(80, 120, 40),), 3)
    window = Window(50, 90, 60, 64)
    whole = made.read(slice(None))[(slice(None), *window.slices)]
    np.testing.assert_allclose(made.read(slice(None), window), whole, atol=1e-3)


@pytest.mark.parametrize("follow", [None, Window(60, 100, 40, 40)])
def test_a_fit_without_whole_frames_is_that_to_whole_frames(follow):
    shape = (480, 660)  # of which every third row and column is fitted
    frames = RNG.normal(100, 3, (2, *shape))
    frames[:, :80, :120] += star(70, 110)[:80, :120]
    discs = (Disc(80, 120, 40),)
    seen = [BackgroundRemoved(ArrayFrames(frames), discs, 2, follow) for _ in range(2)]
    seen[0].read(slice(None))
    models = [one.model(slice(None)) for one in seen]
    assert models[0].any()
    np.testing.assert_array_equal(*models)


def test_the_model_is_what_was_taken_off():
    frames = np.stack([polynomial(2) + star(80, 120)] * 2)
    made = BackgroundRemoved(ArrayFrames(frames), (Disc(80, 120, 40),), 2)
    model = BackgroundModel(made)
    assert model.shape == frames.shape
    rest = frames - model.read(slice(None))
    np.testing.assert_allclose(rest, made.read(slice(None)), atol=1e-3)


def test_discs_reach_the_corners_of_windows_unless_reported():
    windows = [Window.centred(80, 120, 60), None, Window.centred(50, 40, 80)]
    assert discs_around(windows) == (
        Disc(80, 120, pytest.approx(60 / 2**0.5)),
        Disc(50, 40, pytest.approx(80 / 2**0.5)),
    )
    assert discs_around(windows[:1], 25) == (Disc(80, 120, 25),)


@pytest.mark.parametrize(
    ("order", "radius", "told"),
    [(7, 40, "0 to 6"), (4, -1, "0 pixels"), (4, 400, "a smaller radius")],
)
def test_bad_arguments_are_reported(order, radius, told):
    with pytest.raises(LuckyError, match=told):
        BackgroundRemoved(ArrayFrames(np.ones((1, *SHAPE))), (Disc(80, 120, radius),), order).read(
            slice(None)
        )


def test_frames_with_other_masks_are_fitted_as_if_alone():
    frames = polynomial(4) + RNG.normal(0, 3, (4, *SHAPE))
    frames[1:3, 20:60, 30:90] = np.nan
    together = BackgroundRemoved(ArrayFrames(frames), (), 4).model(slice(None))
    for frame, model in zip(frames, together, strict=True):
        alone = BackgroundRemoved(ArrayFrames(frame[None]), (), 4)
        np.testing.assert_array_equal(alone.model(slice(None))[0], model)


def test_a_frame_is_fitted_once_whatever_process_or_cache_reads_it(monkeypatch):
    frames = polynomial(3) + RNG.normal(0, 3, (6, *SHAPE)).astype(np.float32)
    view = BackgroundRemoved(ArrayFrames(frames), (), 3)
    expected = BackgroundRemoved(ArrayFrames(frames), (), 3).read(slice(None))
    if hasattr(os, "fork"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of BLAS's threads
            pid = os.fork()
        if pid == 0:
            try:
                view.read(slice(0, 3))
            finally:
                os._exit(0)
        os.waitpid(pid, 0)
    else:
        view.read(slice(0, 3))
    fitted, fit = [], BackgroundRemoved._fit
    monkeypatch.setattr(
        BackgroundRemoved,
        "_fit",
        lambda self, frame, whole: fitted.append(frame) or fit(self, frame, whole),
    )
    for one in (view, cached(view), view):
        np.testing.assert_array_equal(one.read(slice(None)), expected)
    assert fitted == [3, 4, 5]
    unpickled = pickle.loads(pickle.dumps(view))  # another machine measures for itself
    np.testing.assert_array_equal(unpickled.read(slice(4, 6)), expected[4:])
