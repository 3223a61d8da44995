"""The files of `napari-lucky figures`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from napari_lucky.errors import LuckyError, UsageError
from napari_lucky.fits.inputs import NO_INPUTS, Inputs, check_not_inputs
from napari_lucky.fits.write import write_text
from napari_lucky.pipeline.results_folder import write_folder
from napari_lucky.pipeline.summary import NAME, summary_of, write_summary
from napari_lucky.psf.images import inputs_of_images
from napari_lucky.psf.job import MeasuredImages
from napari_lucky.psf.table import (
    FigureRow,
    curves_to_csv,
    figures_to_csv,
    figures_to_toml,
    plain_figures,
)
from napari_lucky.text import counted

NAMES = ("figures.csv", "curves.csv", "figures.toml", "figures.png", NAME)
MOST_IN_SUMMARY = 100
"""Images whose figures are in summary.json too; of more, figures.csv has them all."""


def write_figures(
    measured: MeasuredImages,
    out: str | Path,
    *,
    report: bool = False,
    overwrite: bool = False,
    notices: Sequence[str] = (),
) -> list[Path]:
    """Write figures.csv, curves.csv, figures.toml, and figures.png if asked for; all or none.

    Parameters
    ----------
    measured : MeasuredImages
        What is written.
    out : str or pathlib.Path
        The folder; made if need be.
    report : bool
        Whether figures.png is drawn.
    overwrite : bool
        Whether older files of these names are replaced.
    notices : sequence of str
        What was said while they were measured, for summary.json.

    Returns
    -------
    list of pathlib.Path
        The files written.

    Raises
    ------
    LuckyError
        If they cannot be written, the folder holds some and `overwrite` is false, or one of them
        is an input.
    """
    out = Path(out)

    def write(folder: Path) -> None:
        rows = measured.rows
        write_text(folder / "figures.csv", figures_to_csv(rows))
        write_text(folder / "curves.csv", curves_to_csv(rows))
        inputs = [str(Path(path).absolute()) for path in measured.inputs]
        text = figures_to_toml(inputs, measured.request, measured.telescope)
        write_text(folder / "figures.toml", text)
        if report:
            from napari_lucky.psf.plots import write_figure_page

            write_figure_page(folder / "figures.png", rows)
        good = [row for row in rows if row.figures is not None]
        made = summary_of(
            "figures",
            f"Measured {counted(len(good), 'image')}",
            inputs={"images": measured.inputs},
            counts={"images": len(rows), "measured": len(good)},
            figures={row.title: plain_figures(row) for row in good[:MOST_IN_SUMMARY]},
            notices=notices,
        )
        write_summary(folder, made)

    return write_folder(out, write, NAMES, overwrite, inputs_of_images(measured.inputs))


def save_tables(
    path: Path, rows: Sequence[FigureRow], inputs: Inputs = NO_INPUTS
) -> tuple[Path, Path]:
    """Write figures into a CSV file, and their curves into another beside it.

    Parameters
    ----------
    path : pathlib.Path
        Ends in .csv, and is replaced; `figures.csv` has its curves in `figures_curves.csv`.
    rows : sequence of FigureRow
        What is written.
    inputs : mapping
        What must not be replaced; see `check_not_inputs`.

    Raises
    ------
    LuckyError
        If the name ends otherwise, there are curves already, or a file cannot be written.
    """
    if path.suffix.lower() != ".csv":
        raise UsageError(f"{path.name}: the table is saved as CSV; end the name in .csv.")
    curves = path.with_name(f"{path.stem}_curves.csv")
    if curves.exists():
        raise UsageError(f"{curves} is already there; it is kept. Choose another name.")
    check_not_inputs([path], inputs)
    write_text(curves, curves_to_csv(rows))
    try:
        write_text(path, figures_to_csv(rows), inputs)
    except LuckyError:
        curves.unlink(missing_ok=True)
        raise
    return path, curves
