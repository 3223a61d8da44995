"""How right the wavefront is: simulated runs with known truth, and the time a frame takes.

    python benchmarks/wavefront.py [--frames 200] [--run FOLDER] [--stacks] [--design] [--hard]

The simulation samples the pupil more finely than the fit (80 to 96 samples against 48), has
turbulence of all spatial frequencies, photon and read noise, and 12 bits; the frames are calibrated
with their dark and flat. Errors are rms sums over Noll 4 to 11, as fractions of the wavelength. "of
the frames' mean" is against the mean of the true wavefronts of the frames averaged, "floor" that
mean against the static aberration. "within 0.2 rad": frames whose wavefront (Noll 4 to 36) is right
to that, over the open pupil; "full disk" is the same with what the obstruction hides. Pulls are the
rms of error over standard error.

With --run, the same for a run of files with dark.fits, flat.fits, truth.npz and truth.json. With
--stacks, pairs of stacks of the best frames. With --design, only runs of other defocus, star and
turbulence, 40 frames each, for how to take such data. With --hard, only runs that are hard to fit,
--frames of each: how many frames are right (Noll 4 to 36 to 0.25 rad), how many wrong ones are
averaged, chi2, the misfit, the largest change of the figures that the images ask for, in
tolerances (over 1 may be doubted), and what is said.
"""

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

import napari_lucky as lucky
from napari_lucky.optics.simulation import SIMULATED, STATIC_ABERRATION, Camera
from napari_lucky.wavefront.check import TOLERANCE

WINDOWS = {"focus_size": 128, "defocus_size": 224}
SHAPE = (288, 512)
HEADS = (
    "run", "frames", "fitted", "static", "frames' mean", "floor", "within 0.2 rad", "full disk",
    "pulls", "D/r0", "defocus (waves)", "wall (s/frame)", "processor (s/frame)",
)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=200, help="in turbulence")
    parser.add_argument("--run", type=Path, help="a run of files with its truth")
    parser.add_argument("--stacks", action="store_true", help="the classic way too")
    parser.add_argument("--design", action="store_true", help="other defocus, star, turbulence")
    parser.add_argument("--hard", action="store_true", help="runs that are hard to fit")
    given = parser.parse_args()
    if given.hard:
        return hard(given.frames)
    print("|", " | ".join(HEADS), "|")
    print("|" + "---|" * len(HEADS))
    if given.design:
        return design()
    calm = {"d_over_r0": 0, "photons": 1.2e5, "seed": 12, "samples": 96}
    report("calm, dark sky", *simulated(6, camera=Camera(sky_adu=5), **calm), fit_defocus=True)
    report("calm, stray light", *simulated(6, **calm), fit_defocus=True)
    run = simulated(given.frames, d_over_r0=5.6, photons=6e5, seed=11, samples=80)
    made = report("D/r0 = 5.6", *run)
    report("D/r0 = 5.6, defocus fitted", *run, fit_defocus=True)
    if given.run:
        report(given.run.name, *of_files(given.run))
    fraction, rms = made.keep_curve()
    print("\n| best frames kept | rms (nm) |\n|---:|---:|")
    for share in (0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0):
        at = min(int(np.searchsorted(fraction, share - 1e-9)), len(rms) - 1)
        print(f"| {100 * share:.0f} % | {rms[at]:.1f} |")
    if given.stacks:
        of_stacks(*run)


def design():
    for waves in (0.5, 1.0, 1.8, 2.5):
        run = simulated(40, d_over_r0=5.6, photons=6e5, seed=21, samples=64, defocus_waves=waves)
        report(f"{waves:g} waves", *run)
    for photons in (5e4, 1e5, 3e5):
        report(f"{photons:.0e} photons", *simulated(40, photons=photons, seed=22, samples=64))
    for strength in (3, 8):
        report(f"D/r0 = {strength}", *simulated(40, d_over_r0=strength, seed=23, samples=64))


def hard(n):
    heads = (
        "run",
        "right",
        "wrong but averaged",
        "frames' mean",
        "chi²",
        "misfit",
        "figures",
        "warning",
    )
    print("|", " | ".join(heads), "|")
    print("|" + "---|" * len(heads))
    usual = {"d_over_r0": 5.6, "photons": 6e5, "samples": 64, "seed": 31}
    for name, scale, obstruction, waves, changes in (
        ("static 0.5 rad, D/r0 5", 1, 0.3, 1.8, {"d_over_r0": 5}),
        ("static 1 rad, D/r0 5", 2.04, 0.3, 1.8, {"d_over_r0": 5}),
        ("static 1 rad, obstruction 0.4, D/r0 5", 2.04, 0.4, 1.8, {"d_over_r0": 5}),
        ("static 1 rad, W = 1, D/r0 5", 2.04, 0.3, 1.0, {"d_over_r0": 5}),
        ("static 0.5 rad, D/r0 8", 1, 0.3, 1.8, {"d_over_r0": 8, "samples": None}),
        ("static 0.5 rad, D/r0 10", 1, 0.3, 1.8, {"d_over_r0": 10, "samples": None}),
        ("static 0.5 rad, calm", 1, 0.3, 1.8, {"d_over_r0": 0, "photons": 1.2e5}),
    ):
        telescope = replace(SIMULATED, obstruction=obstruction)
        static = {noll: scale * value for noll, value in STATIC_ABERRATION.items()}
        run = {**usual, **changes, "telescope": telescope, "aberration": static}
        frames, windows, truth, _, _ = simulated(n, waves, **run)
        task = task_of(windows, waves, obstruction=obstruction)
        made = lucky.wavefront.measure_wavefront(frames, task)
        good = made.frames.good
        own = truth[made.frames.frame, 3:36]
        off = made.frames.coefficients_nm / task.nm_per_rad - own
        right = np.nan_to_num([made.pupil.rms(error) for error in off], nan=9) < 0.25
        mean = made.coefficients_nm / task.nm_per_rad - own[good].mean(axis=0)
        asked = float(np.abs(made.figures.change / TOLERANCE).max())
        said = "; ".join(note.split(":")[0] for note in made.notes) or "nothing"
        errors = ", ".join(f"{error:.3f}" for error in made.model_error)
        print(
            f"| {name} | {right.sum()} of {len(right)} | {(good & ~right).sum()} | "
            f"{fraction(mean)} | {made.chi2:.2f} | {errors} | {asked:.2f} | {said} |",
            flush=True,
        )


def simulated(n, defocus_waves=1.8, **given):
    """Return calibrated frames, the windows, true coefficients and static ones, and defocus."""
    run = lucky.simulate_run(n, SHAPE, defocus_waves=defocus_waves, **WINDOWS, **given)
    frames = lucky.calibrate(
        *(lucky.frames.ArrayFrames(a) for a in (run.frames, run.dark, run.flat)), saturation=4095
    )
    windows = lucky.Window.centred(*run.focus), lucky.Window.centred(*run.defocus)
    return frames, windows, run.truth.zernikes, static_of(STATIC_ABERRATION), defocus_waves


def of_files(folder):
    truth, facts = (
        np.load(folder / "truth.npz"),
        json.loads((folder / "truth.json").read_text()),
    )
    run, dark, flat = (
        lucky.open_run(str(path)) for path in (folder, folder / "dark.fits", folder / "flat.fits")
    )
    frames = lucky.calibrate(run, dark, flat, saturation=4095)
    windows = (
        lucky.Window.centred(*facts["focus"], 128),
        lucky.Window.centred(*facts["defoc"], 224),
    )
    static = {int(noll): value for noll, value in facts["noll_rad"].items()}
    return frames, windows, truth["coeffs"], static_of(static), facts["defocus_waves_pv"]


def static_of(aberration):
    return np.array([aberration.get(noll, 0) for noll in range(4, 37)])


def task_of(windows, waves, obstruction=0.3, **given):
    focus, defocus = windows
    optics = {"wavelength_nm": 633.0, "focal_ratio": 58.6, "pixel_um": 5.3}
    stars = {"focus": focus, "defocus": defocus, "defocus_waves": waves}
    return lucky.wavefront.WavefrontParameters(**stars, **optics, obstruction=obstruction, **given)


def report(name, frames, windows, truth, static, waves, fit_defocus=False):
    start = 1.05 * waves if fit_defocus else waves  # which is what the fit has to find
    task = task_of(windows, start, fit_defocus=fit_defocus)
    wall, processor = time.perf_counter(), time.process_time()
    made = lucky.wavefront.measure_wavefront(frames, task)
    n = len(made.frames.good)
    wall, processor = (time.perf_counter() - wall) / n, (time.process_time() - processor) / n
    rad, good = made.coefficients_nm / task.nm_per_rad, made.frames.good
    own = truth[made.frames.frame, 3:36]
    mean = own[good].mean(axis=0)
    off = made.frames.coefficients_nm / task.nm_per_rad - own
    near = np.nan_to_num([made.pupil.rms(error) for error in off], nan=9) < 0.2
    disk = np.nan_to_num(np.sqrt((off**2).sum(axis=1)), nan=9) < 0.2
    pulls = (rad - static) / (made.sigma_nm / task.nm_per_rad)
    print(
        f"| {name} | {n} | {made.used} | {fraction(rad - static)} | {fraction(rad - mean)} | "
        f"{fraction(mean - static)} | {near.mean():.1%} | {disk.mean():.1%} | "
        f"{np.sqrt(np.mean(pulls**2)):.2f} | {made.d_over_r0:.2f} ± {made.d_over_r0_sigma:.2f} | "
        f"{made.defocus_waves:.4f} ± {made.defocus_sigma:.4f} | {wall:.2f} | {processor:.2f} |",
        flush=True,
    )
    return made


def fraction(error):
    rms = np.sqrt((error[:8] ** 2).sum())
    return f"λ/{2 * np.pi / rms:.0f}" if rms > 1e-5 else "0"


def of_stacks(frames, windows, truth, static, waves):
    found = lucky.register(frames, windows[0])
    quality = lucky.rank(frames, windows[0], metric="peak", shifts=found.shifts)
    print("\n| kept | λ/ of the static | blur (px) |\n|---:|---:|---:|")
    for keep in (0.05, 0.1, 0.3, 1.0):
        kept = lucky.select(quality, keep)
        images = {
            name: stack.image for name, _, stack in lucky.stack_pair(frames, found, kept, *windows)
        }
        made = lucky.wavefront.measure_wavefront_stacks(
            images["focus"], images["defocus"], task_of(windows, waves)
        )
        rad = made.coefficients_nm / made.task.nm_per_rad
        print(f"| {100 * keep:.0f} % | {fraction(rad - static[: len(rad)])} | {made.blur_px:.1f} |")


if __name__ == "__main__":
    main()
