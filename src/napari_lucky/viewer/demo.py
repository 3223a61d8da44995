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
from napari_lucky.viewer.to_layers import image_tuple, points_tuple, vectors_tuple, windows_tuple


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
    """Open napari with the run, the tracked speckle, the shifts and the stacks."""
    import napari

    viewer = napari.Viewer(title="napari-lucky demo")
    (raw,) = viewer.open(str(run), plugin="napari-lucky")
    header = raw.metadata["header"]
    windows = [w for name in ("focus", "defocus") if (w := result.recipe.window(name))]
    tuples = [
        windows_tuple(windows, f"{raw.name} windows"),
        points_tuple(result.table, f"{raw.name} tracked", header=header),
        vectors_tuple(result.table, f"{raw.name} shifts", header=header),
    ]
    for name in ("long_exposure", "defocus", "focus"):
        image = result.images[name]
        shown = {"header": header, "history": image.history, "origin": image.origin}
        tuples.append(
            image_tuple(
                np.asarray(image.data),
                f"{raw.name} {name.replace('_', ' ')}",
                colormap="inferno",
                **shown,
            )
        )
    for layer in tuples:
        viewer.add_layer(napari.layers.Layer.create(*layer))
    viewer.layers[f"{raw.name} long exposure"].visible = False
    viewer.layers.selection.active = raw
    viewer.window.add_plugin_dock_widget("napari-lucky", "Lucky imaging")
    viewer.dims.set_current_step(0, int(np.nanargmax(result.table.quality)))
    napari.run()
