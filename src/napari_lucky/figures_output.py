"""The files of `napari-lucky figures`."""

from __future__ import annotations

from pathlib import Path

from .figure_table import curves_to_csv, figures_to_csv, figures_to_toml
from .figures_job import MeasuredImages
from .fits_output import write_text
from .outputs import write_folder

NAMES = ("figures.csv", "curves.csv", "figures.toml", "figures.png")


def write_figures(
    measured: MeasuredImages, out: Path, *, report: bool = False, overwrite: bool = False
) -> list[Path]:
    """Write figures.csv, curves.csv, figures.toml, and figures.png if asked for; all or none.

    Raises
    ------
    LuckyError
        If they cannot be written, or the folder holds some and `overwrite` is false.
    """

    def write(folder: Path) -> None:
        rows = measured.rows
        write_text(folder / "figures.csv", figures_to_csv(rows, measured.telescope))
        write_text(folder / "curves.csv", curves_to_csv(rows))
        inputs = [str(Path(path).absolute()) for path in measured.inputs]
        told = figures_to_toml(inputs, measured.recipe, measured.telescope, measured.diffraction)
        write_text(folder / "figures.toml", told)
        if report:
            from .figure_plots import write_figure_page

            write_figure_page(folder / "figures.png", rows)

    return write_folder(out, write, NAMES, overwrite)
