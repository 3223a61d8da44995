"""Wavefronts made by hand, for tests of what is done with them."""

import numpy as np

from napari_lucky import Window
from napari_lucky.wavefront.from_stacks import StackWavefront
from napari_lucky.wavefront.result import PerFrame, Pictures, Wavefront
from napari_lucky.wavefront.task import WavefrontParameters

TASK = WavefrontParameters(
    focus=Window.centred(30, 100, 32),
    defocus=Window.centred(33, 36, 48),
    wavelength_nm=600.0,
    focal_ratio=60.0,
    pixel_um=12.0,
    defocus_waves=-1.5,
    obstruction=0.25,
    modes=15,
    count=6,
    seed=5,
)
STATIC = np.array([0, -20.0, 10, 5, -30, 0, 2, 15, 0, 0, 1, -1])
"""Noll 4 to 15, nm."""


def pictures(frame=3):
    y, x = np.mgrid[-16:16, -16:16]
    model = (100 + 1000 * np.exp(-(x**2 + y**2) / 20)).astype(np.float32)
    donut = (100 + 200 * np.exp(-((np.hypot(y, x) - 9) ** 2) / 8)).astype(np.float32)
    measured, beside = model + np.float32(4), donut - np.float32(3)
    measured[2, 5] = np.nan
    return Pictures(frame, 1, (measured, beside), (model, donut))


def made(n=6):
    """A wavefront of n frames of which the last but one failed; frames 1, 3, 5, ... were chosen."""
    k = len(STATIC)
    coefficients = STATIC + np.random.default_rng(0).normal(0, 10, (n, k))
    good = np.ones(n, bool)
    if n > 1:
        good[-2] = False
        coefficients[-2] = np.nan
    own = coefficients[good]
    count = np.arange(1, len(own) + 1)[:, None]
    sigma = own.std(axis=0, ddof=1) / np.sqrt(len(own)) if n > 1 else np.full(k, np.nan)
    strehl = np.where(good, np.linspace(0.2, 0.6, n), np.nan)
    frames = PerFrame(
        np.arange(1, 2 * n, 2),
        good,
        coefficients,
        np.arange(4.0 * n).reshape(n, 2, 2),
        strehl,
        np.where(good, 1.1, np.inf),
        np.arange(n) + 1,
        np.full((n, 2), 5e4),
    )
    return Wavefront(
        TASK,
        own.mean(axis=0),
        sigma,
        own.cumsum(axis=0) / count,
        frames,
        (own / TASK.nm_per_rad).var(axis=0),
        3.25,
        0.125,
        -1.5,
        0.0,
        2,
        "2 e-/ADU, 3 ADU: told",
        pictures(),
        ("A note.",),
    )


def made_of_stacks():
    return StackWavefront(TASK, STATIC, np.full(12, 0.5), 2.5, -1.5, 1.75, pictures(0))
