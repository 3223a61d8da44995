"""PSF figures against known truth: bias of the Strehl ratio, stated errors, time.

    python benchmarks/figures.py [--frames 60] [--runs 40] [--run shared/data/simulated_run]

1. A diffraction-limited star, whose Strehl ratio is 1, at nine places within a pixel: the greatest
   error without noise, and bias and scatter of single frames in photon and read noise.
2. Noise-free stacks of simulated turbulence: the Strehl ratio over the true one, in windows of
   128 and 256 px, as it is and with the halo's light.
3. A faint star with apertures of 3 to 6 lambda/D: bias and scatter in noise and in turbulence.
4. Runs of a steady star in noise: the scatter of the figures over the error stated, in the mean.
5. Runs in frozen turbulence, whose neighbouring frames are alike: the error stated over the
   scatter of the figures.
6. Stacks of frames moved by parts of a pixel: the same for the errors of the noise in one image.

With --run, the Strehl ratios of the frames of a run of files with dark.fits, flat.fits and
truth.npz (strehl) over the true ones.
"""

import argparse
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
from scipy.stats import spearmanr

import napari_lucky as lucky
from napari_lucky.optics.diffraction import psf_at
from napari_lucky.optics.simulation import SIMULATED
from napari_lucky.psf import bootstrap

PLACES = [(y, x) for y in (-1 / 3, 0, 0.5) for x in (-1 / 3, 0, 0.5)]
D_OVER_R0 = (3, 5, 7, 10)
READ_NOISE, SKY = 6.0, 100.0  # e
CENTRE, SIDE = (140, 392), 128  # of the run of files


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=60, help="of each simulated run")
    parser.add_argument("--runs", type=int, default=40, help="for the errors")
    parser.add_argument("--run", type=Path, help="a run of files with its truth")
    given = parser.parse_args()
    tell_perfect()
    tell_noise()
    tell_turbulence(given.frames)
    tell_faint(given.frames)
    print_errors(given.runs)
    print_alike(given.runs + 8)
    tell_stack_noise(given.runs)
    if given.run:
        tell_run(given.run)


def perfect(sampling, obstruction, place, side):
    middle = side // 2
    diffraction = lucky.optics.Diffraction(sampling, obstruction)
    return psf_at(diffraction, (side, side), (middle + place[0], middle + place[1])), diffraction


def tell_perfect():
    print("\nDiffraction-limited, no noise: greatest error over nine places\n")
    print("| px per λ/D | obstruction | Strehl ratio | place (px) | FWHM spread (%) | ms |")
    print("|---:|---:|---:|---:|---:|---:|")
    for sampling in (1.5, 2, 3, 7):
        for obstruction in (0, 0.3):
            wrong, off, widths, start = [], [], [], time.perf_counter()
            side = 2 * int(10 * sampling) + 1
            for place in PLACES:
                image, diffraction = perfect(sampling, obstruction, place, side)
                of = lucky.psf_figures(1e5 * image + 300, diffraction)
                wrong.append(abs(of.strehl - 1))
                off.append(np.hypot(*np.subtract(of.centre, np.add(place, side // 2))))
                widths += [of.fwhm_major, of.fwhm_minor]
            spread = 100 * (max(widths) / min(widths) - 1)
            each = 1e3 * (time.perf_counter() - start) / len(PLACES)
            print(
                f"| {sampling} | {obstruction} | {max(wrong):.1e} | {max(off):.4f} "
                f"| {spread:.3f} | {each:.0f} |"
            )


def tell_noise():
    print("\nDiffraction-limited, one frame of 128 px in noise: mean ± scatter of 100\n")
    print("| px per λ/D | 1e4 photons | 1e5 photons | 1e6 photons |\n|---:|---:|---:|---:|")
    rng = np.random.default_rng(0)
    for sampling in (2, 3, 7):
        cells = []
        for photons in (1e4, 1e5, 1e6):
            made = []
            for k in range(100):
                image, diffraction = perfect(sampling, 0.3, PLACES[k % 9], 128)
                seen = rng.poisson(photons * image + SKY) + rng.normal(0, READ_NOISE, image.shape)
                made.append(lucky.psf_figures(seen, diffraction).strehl)
            cells.append(f"{np.mean(made):.3f} ± {np.std(made):.3f}")
        print(f"| {sampling} | {' | '.join(cells)} |")


def tell_turbulence(frames):
    diffraction = SIMULATED.diffraction
    print("\nStrehl ratio over the true one, noise-free stacks, 7 px across lambda/D\n")
    names = "128 px | 128 px, with halo | 256 px | 256 px, with halo | 128 px, known background"
    print(f"| D/r0 | stack | true | {names} |\n|---:|---|{'---:|' * 6}")
    for d_over_r0 in D_OVER_R0:
        for name, image, true in stacks_of(d_over_r0, frames):
            cells = []
            for side in (128, 256):
                of = lucky.psf_figures(middle_of(image, side), diffraction)
                cells += [of.strehl / true, of.strehl_with_halo / true]
            known = lucky.psf.PsfRecipe(background=0.0)
            cells.append(
                lucky.psf_figures(middle_of(image, 128), diffraction, recipe=known).strehl / true
            )
            ratios = " | ".join(f"{cell:.2f}" for cell in cells)
            print(f"| {d_over_r0} | {name} | {true:.3f} | {ratios} |")


def middle_of(image, side):
    return image[lucky.Window.centred(128, 128, side).slices]


def stacks_of(d_over_r0, frames):
    """Yield the name, image and true Strehl ratio of noise-free stacks."""
    run = lucky.simulate_run(frames, (256, 512), d_over_r0=d_over_r0, seed=9, focus_size=256)
    truth, whole = run.truth, lucky.Window(0, 0, 256, 256)
    shifted = lucky.imaging.Shifted(lucky.frames.ArrayFrames(truth.focus_images), truth.shifts)
    order = np.argsort(-truth.strehl)
    factor = truth.strehl[order[0]] / truth.focus_images[order[0]].max()
    for name, count in {
        "best frame": 1,
        "10 %": max(1, round(0.1 * frames)),
        "all": frames,
    }.items():
        image = np.nan_to_num(lucky.stack_mean(shifted, order[:count], whole).image)
        yield name, image, image.max() * factor


def tell_faint(frames):
    diffraction = SIMULATED.diffraction
    q = diffraction.sampling
    print("\nOne frame of 129 px, 7 px across lambda/D, 1e4 and 3e3 photons: mean of 40 in noise;")
    print("and noise-free stacks of the best 10 %: Strehl ratio over the true one\n")
    turbulent = [next(s for s in stacks_of(d, frames) if s[0] == "10 %") for d in D_OVER_R0]
    head = " | ".join(f"D/r0 {d}" for d in D_OVER_R0)
    print(f"| aperture, ring (lambda/D) | 1e4 | 3e3 | {head} |\n|---|{'---:|' * 6}")
    recipes = {"by the noise": lucky.psf.PsfRecipe()}
    for radius, inner, outer in ((6, 6, 7.5), (4, 6, 7.5), (3, 6, 7.5)):
        ring = (inner * q, outer * q)
        recipes[f"{radius}, {inner} to {outer}"] = lucky.psf.PsfRecipe(radius * q, ring)
    rng = np.random.default_rng(3)
    for name, recipe in recipes.items():
        noisy = " | ".join(in_noise(photons, recipe, diffraction, rng) for photons in (1e4, 3e3))
        ratios = [
            lucky.psf_figures(middle_of(image, 128), diffraction, recipe=recipe).strehl / true
            for _, image, true in turbulent
        ]
        cells = " | ".join(f"{ratio:.2f}" for ratio in ratios)
        print(f"| {name} | {noisy} | {cells} |")


def in_noise(photons, recipe, diffraction, rng):
    """Print mean and scatter of 40 Strehl ratios, and how many were refused: under 3 sigma."""
    made, near = [], lucky.Window.centred(64, 64, 127)
    for k in range(40):
        y, x = PLACES[k % 9]
        image = psf_at(diffraction, (129, 129), (64 + y, 64 + x))
        seen = rng.poisson(photons * image + SKY) + rng.normal(0, READ_NOISE, image.shape)
        with suppress(lucky.LuckyError):
            made.append(lucky.psf_figures(seen, diffraction, recipe=recipe, window=near).strehl)
    lost = f" ({40 - len(made)} refused)" if len(made) < 40 else ""
    return f"{np.mean(made):.2f} ± {np.std(made):.2f}{lost}"


def print_errors(runs):
    n, side = 60, 96
    print(f"\nScatter over {runs} runs of {n} frames, over the mean error stated\n")
    names = ("strehl", "fwhm_major", "fwhm_minor", "flux", "background")
    print(f"| photons | {' | '.join(names)} |\n|---:|{'---:|' * len(names)}")
    rng = np.random.default_rng(1)
    image, diffraction = perfect(3, 0.3, (0.2, -0.3), side)
    image = image + 0.3 * np.roll(image, (1, 3), (0, 1))  # not round, or the axes change places
    for photons in (1e4, 1e6):
        values, errors = [], []
        for _ in range(runs):
            seen = rng.poisson(photons * image + SKY, (n, side, side))
            frames = (seen + rng.normal(0, READ_NOISE, seen.shape)).astype(np.float32)
            of = lucky.psf.bootstrap_figures(
                lucky.frames.ArrayFrames(frames),
                np.arange(n),
                lucky.Window(0, 0, side, side),
                diffraction=diffraction,
                resamples=100,
            )
            values.append([getattr(of, name) for name in names])
            errors.append([getattr(of.errors, name) for name in names])
        ratio = np.std(values, axis=0, ddof=1) / np.mean(errors, axis=0)
        print(f"| {photons:.0e} | {' | '.join(f'{r:.2f}' for r in ratio)} |")


def frozen_frames(n, screen, rng, across=48, side=128, step=0.05):
    """Return frames of a star at 3 px per lambda/D behind a screen that moves by 0.05 D a frame."""
    y, x = np.mgrid[:across, :across] - (across - 1) / 2
    pupil = np.abs(np.hypot(y, x) * 2 / across - 0.65) <= 0.35
    tilts, _ = np.linalg.qr(np.stack([np.ones(pupil.sum()), y[pupil], x[pupil]], axis=1))
    top, frames = rng.integers(0, len(screen) - across), np.empty((n, side, side), np.float32)
    for k in range(n):
        left, part = divmod(k * step * across, 1)
        columns = np.arange(int(left), int(left) + across + 1)
        some = screen[top : top + across].take(columns, axis=1, mode="wrap")
        phase = ((1 - part) * some[:, :-1] + part * some[:, 1:])[pupil]
        field = np.zeros((3 * across, 3 * across), complex)
        field[:across, :across][pupil] = np.exp(1j * (phase - tilts @ (tilts.T @ phase)))
        image = np.fft.fftshift(np.abs(np.fft.fft2(field)) ** 2)
        edge = (3 * across - side) // 2
        frames[k] = (image / image.sum())[edge:-edge, edge:-edge]
    return (rng.poisson(frames * 1e5 + 20) + rng.normal(0, 5, frames.shape)).astype(np.float32)


def print_alike(runs, d_over_r0=5, across=48, size=1024):
    print(f"\nError stated over the scatter of {runs} runs: root mean square (median)\n")
    names = ("strehl", "fwhm_major", "fwhm_minor", "flux", "background", "encircled energy in 4 px")
    print(f"| frames | drawn | {' | '.join(names)} | short |")
    print(f"|---:|---|{'---:|' * len(names)}---:|")
    y, x = (np.fft.fftfreq(size)[:, None], np.fft.fftfreq(size))
    power = (
        0.023 * (across / d_over_r0) ** (-5 / 3) / (y**2 + x**2 + (20 * across) ** -2) ** (11 / 6)
    )
    power[0, 0] = 0
    diffraction, window = lucky.optics.Diffraction(3, 0.3), lucky.Window(0, 0, 128, 128)
    measured = bootstrap.alike_over
    for n, single in ((200, True), (200, False), (100, False)):
        bootstrap.alike_over = (lambda *given: 0.0) if single else measured
        rng, values, errors, short = np.random.default_rng(7), [], [], 0
        for k in range(runs):
            if k % 2 == 0:
                draw = rng.normal(size=(size, size)) + 1j * rng.normal(size=(size, size))
                screens = np.fft.ifft2(draw * np.sqrt(power)) * size
            screen = screens.imag if k % 2 else screens.real
            frames = lucky.frames.ArrayFrames(frozen_frames(n, screen, rng))
            of = lucky.psf.bootstrap_figures(
                frames, np.arange(n), window, diffraction=diffraction, resamples=100
            )
            short += of.errors.short
            for made, kept in ((of, values), (of.errors, errors)):
                kept.append([*(getattr(made, name) for name in names[:-1]), made.encircled[4]])
        scatter = np.std(values, axis=0, ddof=1)
        square = np.sqrt(np.mean(np.square(errors), axis=0)) / scatter
        cells = [
            f"{a:.2f} ({b:.2f})"
            for a, b in zip(square, np.median(errors, axis=0) / scatter, strict=True)
        ]
        drawn = "single frames" if single else "blocks"
        print(f"| {n} | {drawn} | {' | '.join(cells)} | {short} |", flush=True)
    bootstrap.alike_over = measured


def tell_stack_noise(runs):
    n, side = 20, 96
    print(f"\nScatter over {runs} stacks of {n} moved frames, over the noise stated of one image\n")
    names = ("strehl", "flux", "background")
    print(f"| photons | px per lambda/D | {' | '.join(names)} |\n|---:|---:|{'---:|' * len(names)}")
    rng = np.random.default_rng(5)
    whole = lucky.Window(0, 0, side, side)
    for photons in (1e4, 1e6):
        for sampling in (3, 5):
            diffraction = lucky.optics.Diffraction(sampling, 0.3)
            recipe = lucky.psf.PsfRecipe(6 * sampling, (6 * sampling, 8 * sampling))
            values, errors = [], []
            for _ in range(runs):
                places = rng.uniform(-0.5, 0.5, (n, 2)) + side // 2
                light = np.stack([psf_at(diffraction, (side, side), place) for place in places])
                seen = rng.poisson(photons * light + SKY) + rng.normal(0, READ_NOISE, light.shape)
                frames = lucky.imaging.Shifted(
                    lucky.frames.ArrayFrames(seen.astype(np.float32)), side // 2 - places
                )
                stack = np.nan_to_num(lucky.stack_mean(frames, np.arange(n), whole).image, nan=SKY)
                of = lucky.psf_figures(stack, diffraction, recipe=recipe)
                values.append([getattr(of, name) for name in names])
                errors.append([getattr(of.errors, name) for name in names])
            ratio = np.std(values, axis=0, ddof=1) / np.mean(errors, axis=0)
            print(f"| {photons:.0e} | {sampling} | {' | '.join(f'{r:.2f}' for r in ratio)} |")


def tell_run(folder):
    truth = np.load(folder / "truth.npz")["strehl"]
    run, dark, flat = (lucky.open_run(folder / f) for f in ("", "dark.fits", "flat.fits"))
    calibrated = lucky.calibrate(run, dark, flat)
    diffraction = SIMULATED.diffraction
    seen = lucky.Window.centred(*CENTRE, 240)  # as large as the sensor lets it be
    print("\nFrames of the run: Strehl ratio over the true one\n")
    print("| window (px) | median | 16 % | 84 % | Spearman |\n|---:|---:|---:|---:|---:|")
    for side in (SIDE, 200):
        near = lucky.Window.centred(120, 120, side)
        made = []
        for k in range(len(truth)):
            (image,) = calibrated.read(np.array([k]), seen)
            made.append(lucky.psf_figures(image, diffraction, window=near).strehl)
        ratio = np.array(made) / truth
        low, middle, high = np.percentile(ratio, (16, 50, 84))
        rho = spearmanr(made, truth).statistic
        print(f"| {side} | {middle:.3f} | {low:.3f} | {high:.3f} | {rho:.4f} |")


if __name__ == "__main__":
    main()
