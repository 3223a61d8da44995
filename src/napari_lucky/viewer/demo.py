"""`napari-lucky demo`: a simulated run on disk, taken through the whole chain."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np

from napari_lucky.calibration.step import Calibrate
from napari_lucky.errors import UsageError
from napari_lucky.execution.job import QUIET, Job
from napari_lucky.fits.image import is_fits_name
from napari_lucky.fits.write import written_whole
from napari_lucky.optics.simulation import SimulatedRun, simulate_run
from napari_lucky.pipeline.process import Result, process
from napari_lucky.pipeline.recipe import Recipe
from napari_lucky.pipeline.results_folder import check_out, made_folder, write_results
from napari_lucky.viewer.open_docks import open_lead_dock


def make_demo(out: Path, *, overwrite: bool = False, job: Job = QUIET) -> tuple[Path, Result]:
    """Write a simulated run into out/run, process it, and write the results into `out`.

    Returns
    -------
    run : pathlib.Path
        The folder of frames, with dark.fits and flat.fits.
    result : Result
        What the chain made of them.

    Raises
    ------
    UsageError
        If `out` cannot be written, or holds results or a run and `overwrite` is false.
    """
    check_out(out, overwrite)
    run = out / "run"
    known = run.exists()
    if known and not (overwrite and run.is_dir()):
        raise UsageError(
            f"{run} is already there; it is kept. Choose another folder, or give --overwrite to "
            "replace its frames."
        )
    if known:
        _check_simulated(run)
    job.progress(0, 1, "simulating a run")
    simulated = simulate_run()
    recipe = Recipe(
        run,
        Calibrate(dark=str(run / "dark.fits"), flat=str(run / "flat.fits")),
        focus=simulated.focus,
        defocus=simulated.defocus,
    )
    with made_folder(run):
        try:
            _write_run(run, simulated)
            result = process(recipe, job=job)
            write_results(result, out, report=True, overwrite=overwrite)
        except BaseException:
            if not known:
                shutil.rmtree(run, ignore_errors=True)
            raise
    return run, result


def _check_simulated(run: Path) -> None:
    """Raise if a folder holds FITS files that no demo has made."""
    for path in run.iterdir():
        if is_fits_name(path.name) and path.is_file():
            with open(path, "rb") as file:
                header = file.read(2880)
            if header.startswith(b"SIMPLE") and b"'SIMULATED" not in header:
                raise UsageError(
                    f"{path}: this is not a simulated frame; it is kept. Choose another folder."
                )


def _write_run(folder: Path, run: SimulatedRun) -> None:
    for number, frame in enumerate(run.frames, start=1):
        _write_raw(folder / f"AF_{number:03d}.fits", frame, run.header)
    _write_raw(folder / "dark.fits", run.dark, run.header)
    _write_raw(folder / "flat.fits", run.flat, run.header)


def _write_raw(path: Path, image: np.ndarray, header: dict[str, str | int | float]) -> None:
    from astropy.io import fits

    with written_whole(path) as temporary, open(temporary, "wb") as file:
        fits.PrimaryHDU(image, fits.Header(list(header.items()))).writeto(file)


def show_demo(run: Path, result: Result) -> None:
    """Open napari with the run and what was made of it in the lead dock."""
    import napari

    viewer = napari.Viewer(title="napari-lucky demo")
    (raw,) = viewer.open(str(run), plugin="napari-lucky")
    dock = open_lead_dock(viewer)
    best = int(np.nanargmax(result.table.quality))

    def show_all() -> None:
        """Let run, windows and arrows be seen beside the stacks."""
        for name in ("", " windows", " shifts"):
            viewer.layers[f"{raw.name}{name}"].visible = True
        viewer.dims.set_current_step(0, best)
        dock.look_at([raw])

    dock.show_result(raw, result, show_all)
    napari.run()
