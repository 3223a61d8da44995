"""How exact the shifts are: against the Cramér-Rao bound, over a long drift, and in turbulence.

    python benchmarks/registration.py [--frames 1000] [--drifting 500] [--pulls 400]
        [--turbulent 200]

1. A speckle pattern that does not change, in photon and read noise (6 e-): rms error of the
   shifts over the Cramér-Rao bound for a known pattern, after the common offset is off, as
   the mean over y and x; how many are over a pixel off; mean and width of the pulls (error
   over the stated error).
2. Width of the pulls of every method for this pattern and for an Airy pattern at
   3 px per λ/D, without and with 1 % of the sensor's pixels masked.
3. Turbulence: Strehl ratio of the stack of the 10 % of the frames that are truly best, with
   the shifts of each method. The stack is of the frames without noise, so that shifts alone
   make the difference; "truth" has the true brightest points.

scikit-image's phase_cross_correlation, with the frame of the highest peak as its reference,
is beside ours where it is installed.
"""

import argparse
import time
from collections.abc import Callable

import numpy as np

from napari_lucky import Window, register, simulate_run, stack_mean
from napari_lucky.frames import ArrayFrames
from napari_lucky.imaging import Shifted

READ, GAIN, SKY_ADU = 6.0, 2.0, 100.0  # e-, e-/ADU, ADU
SIDE = 128
PEAKS = (400, 2800, 27000)
METHODS = ("template", "correlation", "centroid", "brightest")


def noisy(light, rng):
    """Return frames in ADU of light in electrons."""
    return ((rng.poisson(light) + rng.normal(0, READ, light.shape)) / GAIN).astype(np.float32)


def speckles() -> np.ndarray:
    """Return a frame of a simulated star at D/r0 = 5, its edge brought to 0, its peak 1."""
    run = simulate_run(1, (192, 384), d_over_r0=5.0, seed=3)
    edge = np.minimum(np.arange(SIDE), np.arange(SIDE)[::-1])
    taper = np.minimum(1, edge / 16)
    light = run.truth.focus_images[0] * taper[:, None] * taper
    return light / light.max()


def airy(sampling) -> np.ndarray:
    """Return an Airy pattern, its edge brought to 0, its peak 1."""
    from scipy.special import j1

    middle = np.arange(SIDE) - SIDE // 2
    v = np.pi * np.maximum(np.hypot(middle[:, None], middle), 1e-9) / sampling
    edge = np.minimum(np.arange(SIDE), np.arange(SIDE)[::-1])
    taper = np.minimum(1, edge / 16)
    return (2 * j1(v) / v) ** 2 * taper[:, None] * taper


def spectrum_of(pattern, side):
    """Return a pattern's spectrum in the middle of a larger frame, and the frequencies."""
    frame, corner = np.zeros((side, side)), (side - SIDE) // 2
    frame[corner : corner + SIDE, corner : corner + SIDE] = pattern
    return np.fft.fft2(frame), 2 * np.pi * np.fft.fftfreq(side)


def bound(light):
    """Return the Cramér-Rao bound of a known pattern's shift, (dy, dx) in pixels."""
    spectrum, q = np.fft.fft2(light), 2 * np.pi * np.fft.fftfreq(len(light))
    down = np.fft.ifft2(spectrum * 1j * q[:, None]).real
    across = np.fft.ifft2(spectrum * 1j * q).real
    gradient = np.stack([down.ravel(), across.ravel()])
    fisher = gradient / (READ**2 + light.ravel()) @ gradient.T
    return np.sqrt(np.diag(np.linalg.inv(fisher)))


def static_run(n, peak, side, drift, rng, pattern=None):
    """Return frames of a pattern that only moves, (n, side, side) in ADU, and by how much."""
    spectrum, q = spectrum_of(peak * (speckles() if pattern is None else pattern), side)
    places = rng.uniform(-6, 6, (n, 2))
    places += np.linspace(-0.5, 0.5, n)[:, None] * drift * np.array([0.8, 0.6])
    frames = np.empty((n, side, side), np.float32)
    for frame, (y, x) in zip(frames, places, strict=True):
        light = np.fft.ifft2(spectrum * np.exp(-1j * (q[:, None] * y + q * x))).real
        frame[:] = noisy(np.maximum(light, 0), rng) + SKY_ADU
    return frames, places


def by_phase(normalization) -> Callable | None:
    """Return scikit-image's method as a function of frames that gives points, or None."""
    try:
        from skimage.registration import phase_cross_correlation
    except ImportError:
        return None

    def points(frames):
        best = frames[int(frames.max(axis=(1, 2)).argmax())]
        return -np.array(
            [
                phase_cross_correlation(
                    best, frame, upsample_factor=100, normalization=normalization
                )[0]
                for frame in frames
            ]
        )

    return points


def brightest_pixel(frames):
    """Return the brightest pixel of each frame, as the old program did."""
    flat = frames.reshape(len(frames), -1).argmax(axis=1)
    return np.stack(np.divmod(flat, frames.shape[2]), axis=1).astype(float)


def others() -> dict[str, Callable]:
    found = {
        "scikit-image, no normalization": by_phase(None),
        'scikit-image, "phase" (its default)': by_phase("phase"),
        "brightest pixel (old)": brightest_pixel,
    }
    return {name: method for name, method in found.items() if method is not None}


def tell_static(n, peak, side, drift):
    """Print the rows of a run of a static pattern."""
    rng = np.random.default_rng(peak + side)
    frames, places = static_run(n, peak, side, drift, rng)
    least = bound(peak * speckles())
    window = Window.centred(side // 2, side // 2, SIDE)
    for name in METHODS:
        start = time.perf_counter()
        made = register(ArrayFrames(frames), window, method=name)
        took = 1e3 * (time.perf_counter() - start) / n
        error = made.points - places
        pulls = ""
        if made.sigma is not None:
            some = (error - np.nanmean(error, axis=0)) / made.sigma
            pulls = f"{np.nanmean(some):.2f} / {np.nanstd(some):.2f}"
        print_row(name, peak, drift, error, least, pulls, f"{took:.2f}")
    few = frames[:: max(1, n // 200)]
    if drift == 0:  # none of these follows
        for name, method in others().items():
            print_row(name, peak, drift, method(few) - places[:: max(1, n // 200)], least, "", "")


def tell_pulls(n):
    """Print the width of the pulls of stars with and without masked pixels."""
    print(f"| star | smoothing (px) | masked (%) | peak (e-) | {' | '.join(METHODS)} |")
    print("|---|---:|---:|---:|" + "---:|" * len(METHODS))
    stars = (("speckles, 7 px", speckles(), 2.0), ("Airy, 3 px", airy(3.0), 1.0))
    for name, pattern, smooth in stars:
        for masked in (0, 0.01):
            for peak in PEAKS:
                rng = np.random.default_rng(peak)
                frames, places = static_run(n, peak, SIDE, 0, rng, pattern)
                frames[:, rng.random((SIDE, SIDE)) < masked] = np.nan
                cells = []
                for method in METHODS:
                    made = register(
                        ArrayFrames(frames), Window(0, 0, SIDE, SIDE), method=method, smooth=smooth
                    )
                    error = made.points - places
                    pulls = (error - np.nanmean(error, axis=0)) / made.sigma
                    cells.append(f"{np.nanstd(pulls):.2f}")
                row = f"| {name} | {smooth:g} | {100 * masked:g} | {peak} | {' | '.join(cells)} |"
                print(row, flush=True)


def print_row(name, peak, drift, error, least, pulls, took):
    lost = int(np.isnan(error[:, 0]).sum())
    error = error - np.nanmedian(error, axis=0)
    gross = int((np.hypot(*error.T) > 1).sum())
    error = error - np.nanmean(error, axis=0)
    rms = np.sqrt(np.nanmean(error**2, axis=0))
    print(
        f"| {name} | {peak} | {drift} | {np.sqrt(np.mean((rms / least) ** 2)):.2f} | "
        f"{np.sqrt(np.mean(rms**2)):.4f} | {gross} of {len(error)} | {lost} | {pulls} | {took} |",
        flush=True,
    )


def strehl(images, shifts, kept, perfect):
    """Return the Strehl ratio of the kept frames' stack."""
    kept = kept[np.isfinite(shifts[kept]).all(axis=1)]
    window = Window.whole(images.shape)
    stack = stack_mean(Shifted(ArrayFrames(images), shifts), kept, window)
    return float(np.nanmax(stack.image) / perfect.max())


def tell_turbulence(n):
    """Print the Strehl ratios of stacks of the truly best tenth."""
    columns = [*METHODS, *others(), "lost"]
    print(f"| D/r0 | photons | truth | {' | '.join(columns)} |")
    print("|---|---|---|" + "---|" * len(columns))
    for d_over_r0 in (3, 5, 7, 10):
        run = simulate_run(n, (192, 384), d_over_r0=float(d_over_r0), photons=1e6, seed=5)
        images = run.truth.focus_images * np.float32(GAIN / 1e6)
        kept = np.argsort(-run.truth.strehl)[: n // 10]
        perfect = run.truth.perfect_psf
        best = strehl(images, run.truth.shifts, kept, perfect)
        for photons in (1e4, 1e5, 1e6):
            frames = noisy(images * photons, np.random.default_rng(0))
            found, lost = [], 0
            for name in METHODS:
                made = register(ArrayFrames(frames), Window.whole(frames.shape), method=name)
                found.append(strehl(images, made.shifts, kept, perfect))
                lost = max(lost, int((~made.found).sum()))
            for method in others().values():  # of the frames that are stacked
                shifts = np.full((n, 2), np.nan)
                shifts[kept] = SIDE // 2 - method(frames[kept])
                if method is not brightest_pixel:  # from the reference's place, not the star's
                    shifts[kept] -= SIDE // 2
                found.append(strehl(images, shifts, kept, perfect))
            cells = " | ".join(f"{value:.4f}" for value in found)
            print(f"| {d_over_r0} | {photons:.0e} | {best:.4f} | {cells} | {lost} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=1000, metavar="N")
    parser.add_argument("--drifting", type=int, default=500, metavar="N")
    parser.add_argument("--pulls", type=int, default=400, metavar="N")
    parser.add_argument("--turbulent", type=int, default=200, metavar="N")
    given = parser.parse_args()
    print(
        "| method | peak (e-) | drift (px) | rms / bound | rms (px) | over 1 px | left out | "
        "pulls: mean / width | a frame (ms) |\n|---|---:|---:|---:|---:|---:|---:|---:|---:|"
    )
    for peak in PEAKS:
        tell_static(given.frames, peak, SIDE, 0)
    for peak in PEAKS:
        tell_static(given.drifting, peak, 512, 300)
    print()
    tell_pulls(given.pulls)
    print()
    tell_turbulence(given.turbulent)


if __name__ == "__main__":
    main()
