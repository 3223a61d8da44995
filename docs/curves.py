"""Make the pictures of what registration, the keep fraction and the choice of a method do.

Usage: .venv/bin/python docs/curves.py

registration_steps.png and keep_fraction.png are of a simulated run (120 frames, D/r0 = 5, 7 px per
λ/D); accuracy_curves.png draws the tables of docs/background/accuracy.md.
"""

import re
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

import napari_lucky as lucky
from napari_lucky.optics.simulation import SIMULATED
from napari_lucky.plots.comparison import COLOURS

DOCS = Path(__file__).parent
IMAGES = DOCS / "images"
SIDE = 96


def save(figure, name):
    """Write a picture into docs/images."""
    figure.savefig(IMAGES / name, dpi=90)


def shown(axis, image, title):
    """Show the middle of an image, from its background to its maximum."""
    top, left = (np.array(image.shape) - SIDE) // 2
    cut = image[top : top + SIDE, left : left + SIDE]
    low, high = np.nanquantile(cut, (0.05, 1))
    axis.imshow(np.where(np.isnan(cut), low, cut), cmap="inferno", vmin=low, vmax=high)
    axis.set_title(title, fontsize=9)
    axis.set(xticks=[], yticks=[])


def registration(frames, shifts, kept, window):
    """Draw two frames with their brightest speckle, and the means without and with shifts."""
    figure, axes = plt.subplots(1, 5, figsize=(12, 2.9), layout="constrained")
    best, other = int(kept[0]), int(np.setdiff1d(np.arange(len(shifts.shifts)), kept)[0])
    corner = (
        np.array([window.y0, window.x0]) + (np.array([window.height, window.width]) - SIDE) // 2
    )
    for axis, frame, what in zip(
        axes, (other, best), ("a typical frame", "the best frame"), strict=False
    ):
        image = np.asarray(frames.read([frame], window))[0]
        shown(axis, image, f"{what}\nbrightest speckle ringed")
        y, x = shifts.points[frame] - corner
        axis.plot(x, y, "o", mfc="none", mec="#56b4e9", ms=12, mew=1.5)
    everything = np.arange(len(shifts.shifts))
    still = lucky.stack(frames, np.zeros_like(shifts.shifts), everything, window)
    for axis, stack, title in (
        (axes[2], still, f"mean of {len(everything)} frames,\nnot shifted"),
        (axes[3], lucky.stack(frames, shifts, everything, window), "mean of all,\nshifted"),
        (
            axes[4],
            lucky.stack(frames, shifts, kept, window),
            f"mean of the best {len(kept)},\nshifted",
        ),
    ):
        peak = np.nanmax(stack.image)
        shown(axis, np.asarray(stack.image), f"{title}: peak {peak:.0f} ADU")
    save(figure, "registration_steps.png")


def keep_fraction(frames, shifts, quality, window, telescope):
    """Draw the keep-fraction curve, and three of its stacks."""
    curve = lucky.keep_curve(frames, shifts, quality, window, diffraction=telescope)
    figure = plt.figure(figsize=(9, 3.6), layout="constrained")
    grid = figure.add_gridspec(3, 2, width_ratios=(4, 1))
    axis = figure.add_subplot(grid[:, 0])
    fraction = 100 * np.arange(1, len(curve.noise) + 1) / len(curve.noise)
    axis.plot(fraction, curve.strehl, color=COLOURS[0], label="Strehl ratio")
    axis.set(xscale="log", xlabel="frames kept (%)", ylabel="Strehl ratio of the stack")
    noise = axis.twinx()
    noise.plot(fraction, curve.noise, color=COLOURS[1], ls="--", label="noise")
    noise.set(yscale="log", ylabel="noise (ADU)")
    axis.set_xticks([1, 3, 10, 30, 100], ["1", "3", "10", "30", "100"])
    noise.set_yticks([1, 2, 4, 6], ["1", "2", "4", "6"])
    for one in (axis.xaxis, noise.yaxis):
        one.set_minor_formatter("")
    noise.legend(handles=[axis.lines[0], noise.lines[0]], loc="center left", fontsize=8)
    for row, count in enumerate((1, 12, len(quality))):
        stack = lucky.stack(frames, shifts, lucky.select(quality, count), window)
        small = figure.add_subplot(grid[row, 1])
        shown(small, np.asarray(stack.image), "")
        small.set_ylabel(
            f"{round(100 * count / len(quality))} %", rotation=0, ha="right", va="center"
        )
        axis.axvline(100 * count / len(quality), color="0.8", lw=0.8, zorder=0)
    save(figure, "keep_fraction.png")


def tables():
    """Return the tables of the page on accuracy: heads, and rows of cells."""
    text = (DOCS / "background" / "accuracy.md").read_text("utf-8")
    found = []
    for table in re.findall(r"(?:^\|.*\n)+", text, re.M):
        rows = [[cell.strip() for cell in row.strip("|").split("|")] for row in table.split("\n")]
        found.append((rows[0], rows[2:-1]))
    return found


def accuracy():
    """Draw errors of shifts, how well metrics rank, and the Strehl ratio of each method."""
    figure, axes = plt.subplots(1, 3, figsize=(13, 3.6), layout="constrained")
    methods = ("template", "correlation", "centroid", "brightest")
    colours = dict(zip(methods, COLOURS, strict=False))
    (steady_heads, steady), (_, turbulent), ranked = (
        next(table for table in tables() if starts(table))
        for starts in (
            lambda table: table[0][:2] == ["method", "rms (px), 400 e-"],
            lambda table: table[0][:3] == ["D/r0", "photons", "truth"],
            lambda table: table[0][:3] == ["metric", "0.5", "0.75"],
        )
    )
    peak = [float(re.findall(r"[0-9]+", head)[0]) for head in steady_heads[1:4]]
    errors = {row[0]: np.array(row[1:7], float) for row in steady}  # px, and over the bound
    for method in methods:
        axes[0].loglog(peak, errors[method][:3], "o-", color=colours[method], label=method)
    bound = errors["template"][:3] / errors["template"][3:]
    axes[0].loglog(peak, bound, "k:", label="bound")
    axes[0].set(xlabel="peak (e-)", ylabel="error of a shift (px)", title="A steady pattern")
    heads, metrics = ranked
    for k, row in enumerate(metrics):
        values = [float(cell) for cell in row[1:]]
        axes[1].plot(
            [float(head) for head in heads[1:]],
            values,
            "o-",
            ms=3,
            label=row[0],
            color=plt.get_cmap("tab10")(k),
        )
    axes[1].set(
        xlabel="smoothing (px), 7 px per λ/D",
        ylabel="rank correlation with the truth",
        title="Ranking",
    )
    heads = ["D/r0", "photons", "truth", *methods]
    rows = [row for row in turbulent if row[1] == "1e+05"]
    for method in methods:
        ratio = [float(row[heads.index(method)]) / float(row[2]) for row in rows]
        axes[2].plot(
            [float(row[0]) for row in rows], ratio, "o-", color=colours[method], label=method
        )
    axes[2].set(
        xlabel="D/r0",
        ylabel="Strehl ratio over that by true shifts",
        title="Turbulence, 1e5 photons",
    )
    for axis in (axes[0], axes[2]):
        axis.legend(fontsize=7)
    axes[1].legend(fontsize=7, loc="upper left", bbox_to_anchor=(1, 1))
    save(figure, "accuracy_curves.png")


def main():
    accuracy()
    run = lucky.simulate_run(120)
    frames = lucky.calibrate(run.frames, run.dark, run.flat)
    window = lucky.Window.centred(*run.focus)
    shifts = lucky.register(frames, window)
    quality = lucky.rank(frames, window)
    registration(frames, shifts, lucky.select(quality, 12), window)
    keep_fraction(frames, shifts, quality, window, SIMULATED)


if __name__ == "__main__":
    main()
