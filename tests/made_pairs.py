"""Pairs of images that the model itself makes, of a small telescope: quick, and known truth."""

import numpy as np

from napari_lucky import Window
from napari_lucky.frames import ArrayFrames
from napari_lucky.wavefront.many_frames import FitBlock, PairReader
from napari_lucky.wavefront.observe import SensorNoise
from napari_lucky.wavefront.pair_model import PairModel, make_pair_model
from napari_lucky.wavefront.static import turbulence, unknown

SAMPLING, LAST, WAVES = 2.5, 10, 1.0
GAIN, READ, SKY, FLUX = 2.0, 3.0, 20.0, 2e5
"""e-/ADU, and ADU a pixel or a star."""
FOCUS, DEFOCUS = Window(0, 0, 24, 24), Window(0, 26, 32, 32)
SHAPE = 32, 60
STATIC = np.array([0, 0.3, -0.2, 0.1, 0, 0.15, 0])
"""Noll 4 to 10, rad rms."""


def small_model(last: int = LAST, obstruction: float = 0.0, blur: float = 0.0) -> PairModel:
    shapes = FOCUS.shape, DEFOCUS.shape
    return make_pair_model(shapes, SAMPLING, obstruction, last, samples=24, blur=blur)


def wavefronts(n: int, d_over_r0: float = 0.6, seed: int = 1):
    """Return x of n frames: `STATIC` and Kolmogorov turbulence, small tilts, one defocus."""
    rng = np.random.default_rng(seed)
    spread = d_over_r0 ** (5 / 3) * turbulence(len(STATIC))
    x = np.full((n, len(STATIC) + 5), WAVES)
    x[:, :4] = rng.normal(0, 0.3, (n, 4))
    x[:, 4:-1] = rng.multivariate_normal(STATIC, spread, n)
    return x


def frame_of(model: PairModel, x, flux: float = FLUX, seed: int = 0):
    """Return a frame with both stars, a sky, photon and read noise, ADU."""
    rng = np.random.default_rng(seed)
    light = np.full(SHAPE, SKY)
    for window, image in zip((FOCUS, DEFOCUS), model.images(x), strict=True):
        light[window.slices] += flux * image
    noisy = rng.poisson(GAIN * light) / GAIN + rng.normal(0, READ, SHAPE)
    return noisy.astype(np.float32)


def block_of(frames, model: PairModel, waves: float = WAVES, **changes) -> FitBlock:
    """Return what fits frames, a mean and a strength of the turbulence unknown."""
    noise = SensorNoise(GAIN, READ, "given")
    reader = PairReader(ArrayFrames(np.array(frames)), (FOCUS, DEFOCUS), noise, 1, SAMPLING)
    prior = unknown(len(model.modes) + 1, 1.0, waves).prior(False)
    nowhere = np.full((len(frames), model.size), np.nan)
    given = {"level": 0.0, "most": 1, "seed": 0, **changes}
    return FitBlock(reader, model, prior, np.arange(len(frames)), nowhere, **given)
