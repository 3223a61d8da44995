"""Runs as files, the command line run in this process, and what files hold."""

import csv
import os

from astropy.io import fits

from napari_lucky.cli.main import main


def write_run(folder, frames, header=None, name="AF_{}.fits", first=1):
    """Write frames into a folder, which is made; return it."""
    folder.mkdir(parents=True)
    for k, frame in enumerate(frames, first):
        fits.PrimaryHDU(frame, header).writeto(folder / name.format(k))
    return folder


def write_masters(folder, made, header=None):
    """Write dark.fits and flat.fits of a simulated run."""
    for name in ("dark", "flat"):
        fits.PrimaryHDU(getattr(made, name), header).writeto(folder / f"{name}.fits")


def link_run(folder, made, n):
    """Write run/ of n frames, which are links to few, and its dark and flat."""
    write_masters(folder, made)
    run = write_run(folder / "run", made.frames, first=0)
    for k in range(len(made.frames), n):
        os.link(run / f"AF_{k % len(made.frames)}.fits", run / f"AF_{k}.fits")


def run_cli(*arguments):
    """Return the exit status of a command line, wherever it was decided."""
    try:
        return main([str(a) for a in arguments])
    except SystemExit as end:
        return end.code


def rows_of(path):
    """Return the lines of a CSV file as dicts."""
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def all_bytes(folder):
    """Return the bytes of every file below a folder, hidden ones too."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}
