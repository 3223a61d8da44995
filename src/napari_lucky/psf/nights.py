"""The table of several nights: what was kept, how sharp it is, the seeing, what was left out."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from napari_lucky.errors import DONE, DOUBTFUL, INPUT, NOTHING, STATUSES, USAGE, LuckyError
from napari_lucky.fits.image_result import ImageResult
from napari_lucky.fits.read_back import read_saved
from napari_lucky.fits.write import ignore_note, write_text
from napari_lucky.optics.diffraction import Diffraction
from napari_lucky.pipeline.nights import TABLE, Night, by_date
from napari_lucky.pipeline.process import Result
from napari_lucky.pipeline.results_folder import made_folder
from napari_lucky.pipeline.summary import NAME, summary_of, write_summary
from napari_lucky.psf.figures import psf_figures
from napari_lucky.psf.folders import measure_folders
from napari_lucky.psf.job import figures_of_folder
from napari_lucky.psf.optics import optics_for
from napari_lucky.psf.recipe import PsfRecipe
from napari_lucky.psf.result import PsfFigures
from napari_lucky.psf.seeing import long_exposure_seeing
from napari_lucky.psf.summary import result_line
from napari_lucky.psf.table import FigureRow
from napari_lucky.text import cell, counted, csv_line

COLUMNS = (
    "night",
    "name",
    "run",
    "status",
    "frames",
    "kept",
    "without_star",
    "damaged",
    "fwhm_px",
    "fwhm_arcsec",
    "strehl",
    "aperture_lambda_d",
    "long_exposure_fwhm_px",
    "d_over_r0",
    "left_out",
)


@dataclass(frozen=True)
class NightRow:
    """One night and what was measured on its stacks.

    Parameters
    ----------
    night : Night
    focus, long_exposure : PsfFigures, optional
        None where nothing could be measured.
    d_over_r0 : float
        Estimated from the long exposure; NaN where it is not known.
    arcsec_per_px : float
        NaN where it is not known.
    """

    night: Night
    focus: PsfFigures | None = None
    long_exposure: PsfFigures | None = None
    d_over_r0: float = math.nan
    arcsec_per_px: float = math.nan
    scale: float = 1.0

    @property
    def doubtful(self) -> bool:
        """Whether the result is, also where it was there before."""
        return DOUBTFUL in (self.night.status, self.night.summary.get("status"))

    @property
    def values(self) -> dict[str, Any]:
        """What the table holds, by column; NaN where it is not known."""
        night, focus = self.night, self.focus
        counts = night.summary.get("counts", {})
        fwhm = self._fwhm("focus", focus)
        return {
            "night": night.date,
            "name": night.name,
            "run": night.run,
            "status": night.status,
            **{name: counts.get(name, math.nan) for name in COLUMNS[4:8]},
            "fwhm_px": fwhm,
            "fwhm_arcsec": fwhm * self.arcsec_per_px,
            "strehl": math.nan if focus is None else focus.strehl,
            "aperture_lambda_d": math.nan if focus is None else focus.aperture,
            "long_exposure_fwhm_px": self._fwhm("long_exposure", self.long_exposure),
            "d_over_r0": self.d_over_r0,
            "left_out": night.why or "; ".join(left_out(night.summary)),
        }

    def _fwhm(self, name: str, figures: PsfFigures | None) -> float:
        """Return the FWHM of a stack in pixels of the sensor, as the line on the result has it.

        It was measured with the run's own aperture, whose ring gives the background; with that of
        all nights it would differ by some tenths of a per cent. Where the line has none, it is
        measured here.
        """
        own = self.night.summary.get("figures", {}).get(name, {}).get("fwhm_px")
        if own and math.isfinite(own):
            return float(own)
        return math.nan if figures is None else figures.fwhm / self.scale


def left_out(summary: Mapping[str, Any]) -> list[str]:
    """Return what a summary says was left out or is doubtful."""
    return [one["text"] for one in summary.get("notices", []) if one.get("level") != "info"]


def result_figures(result: Result, telescope: Mapping[str, float | None]) -> dict[str, Any]:
    """Return the line on a result ("done") and the figures of its stacks, for summary.json.

    Focus and long exposure have one aperture. What cannot be measured is left out.
    """
    images = {n: result.images[n] for n in ("focus", "long_exposure") if n in result.images}
    made: dict[str, Any] = {}
    if not images:
        return {"done": result_line(result)}
    header = next(iter(images.values())).header
    diffraction, whole = None, None
    with suppress(LuckyError):  # the stacks are good, whatever is wrong with the optics
        diffraction, whole, _ = optics_for(header, telescope)
    tried = {name: _figures(image, diffraction) for name, image in images.items()}
    circles = [one.recipe for one in tried.values() if one is not None]
    of = min(circles, key=lambda recipe: recipe.aperture or 0, default=PsfRecipe())
    for name, image in images.items():
        one = tried[name]
        if image.scale == 1 and (one is None or one.recipe != of):
            one = _figures(image, diffraction, of) or one
        if one is not None:
            fwhm = one.fwhm / image.scale
            arcsec = math.nan if whole is None else fwhm * whole.arcsec_per_px
            made[name] = {
                "fwhm_px": fwhm,
                "fwhm_arcsec": arcsec,
                "strehl": one.strehl,
                "aperture_lambda_d": one.aperture,
            }
    if "long_exposure" in images:
        made["d_over_r0"] = seeing_of(images["long_exposure"], tried["long_exposure"])
    lucky, mean = (made.get(n, {}).get("fwhm_px", math.nan) for n in ("focus", "long_exposure"))
    return {"done": result_line(result, lucky, mean), **made}


def _figures(
    image: ImageResult, diffraction: Diffraction | None, recipe: PsfRecipe = PsfRecipe()
) -> PsfFigures | None:
    finer = diffraction and replace(diffraction, sampling=diffraction.sampling * image.scale)
    with suppress(LuckyError):
        return psf_figures(np.asarray(image.data), finer, recipe=recipe)
    return None


def seeing_of(image: ImageResult | None, figures: PsfFigures | None) -> float:
    """Return D/r0 by a long exposure and its figures; NaN where it is not known."""
    if image is None or figures is None or figures.diffraction is None:
        return math.nan
    return long_exposure_seeing(np.asarray(image.data), figures.diffraction, figures.centre)


def night_rows(
    nights: Sequence[Night],
    telescope: Mapping[str, float | None] | None = None,
    notify: Callable[[str], None] = ignore_note,
) -> list[NightRow]:
    """Return the nights, by their dates, with the figures of their stacks at one aperture.

    Parameters
    ----------
    nights : sequence of Night
        From `napari_lucky.pipeline.nights.process_each`.
    telescope : mapping, optional
        What is known of it; the FITS headers give the rest.
    notify : callable, optional
        Called with a sentence for the user.
    """
    there = {night.out: night for night in nights if night.summary}
    rows: dict[Path, dict[str, FigureRow]] = {out: {} for out in there}

    def measure(folder: Path, circles: Any, _: bool, report: Any) -> Sequence[FigureRow]:
        found = figures_of_folder(folder, telescope or {}, circles)
        if circles is not None:
            rows[folder] = {row.name.removesuffix(".fits"): row for row in found}
        return found

    measure_folders(list(there), measure, notify=notify)
    made = []
    for night in by_date(nights):
        of = rows.get(night.out, {})
        focus, mean = of.get("focus"), of.get("long_exposure")
        made.append(
            NightRow(
                night,
                None if focus is None else focus.figures,
                None if mean is None else mean.figures,
                _seeing(night.out, mean),
                math.nan
                if focus is None or focus.telescope is None
                else focus.telescope.arcsec_per_px,
                1.0 if focus is None else focus.scale,
            )
        )
    return made


def _seeing(out: Path, row: FigureRow | None) -> float:
    if row is None or row.figures is None:
        return math.nan
    with suppress(LuckyError):
        saved = read_saved(out / "long_exposure.fits")
        return seeing_of(next(one for one in saved if isinstance(one, ImageResult)), row.figures)
    return math.nan


def nights_to_csv(rows: Sequence[NightRow]) -> str:
    """Return the table as CSV text, a line a night; empty where nothing is known."""
    lines = [csv_line(COLUMNS)]
    for row in rows:
        lines.append(csv_line([_text(row.values[name]) for name in COLUMNS]))
    return "".join(lines)


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6g}" if math.isfinite(value) else ""
    return cell(value) if isinstance(value, str) else str(value)


def night_cells(rows: Sequence[NightRow]) -> list[tuple[str, ...]]:
    """Return the table as it is read at a glance, the head first."""
    head = ("night", "name", "kept", "FWHM px", "Strehl", "D/r0", "lost", "")
    lines: list[tuple[str, ...]] = [head]
    for row in rows:
        value = row.values
        number = {name: _short(value[name]) for name in ("fwhm_px", "strehl", "d_over_r0")}
        counts = [_short(value[name]) for name in ("frames", "kept", "without_star", "damaged")]
        lost = "" if not counts[0] else str(int(counts[2] or 0) + int(counts[3] or 0))
        kept = f"{counts[1]} of {counts[0]}" if counts[0] else ""
        says = "done before" if row.night.status == NOTHING else row.night.why
        how = ", ".join(filter(None, (says, "doubtful" * row.doubtful)))
        cells = (value["night"], row.night.name, kept, *number.values(), lost, how)
        lines.append(tuple(map(str, cells)))
    return lines


def nights_to_text(rows: Sequence[NightRow]) -> list[str]:
    """Return the table as lines for a terminal."""
    lines = night_cells(rows)
    wide = [max(len(line[k]) for line in lines) for k in range(len(lines[0]) - 1)]
    return [
        "  ".join([*(c.ljust(w) for c, w in zip(line, wide, strict=False)), line[-1]]).rstrip()
        for line in lines
    ]


def _short(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.3g}" if math.isfinite(value) else ""
    return str(value)


def status_of_nights(nights: Sequence[Night]) -> int:
    """Return the exit status of all: that of what failed, else of what is doubtful, else done."""
    found = {night.status for night in nights}
    worst = next((one for one in (INPUT, USAGE, DOUBTFUL, DONE) if one in found), NOTHING)
    return worst


def write_nights(rows: Sequence[NightRow], out: Path, notices: Sequence[str] = ()) -> list[Path]:
    """Write nights.csv and summary.json of several runs, each whole; older ones are replaced."""
    nights = [row.night for row in rows]
    failed = sum(bool(night.why) for night in nights)
    status = status_of_nights(nights)
    done = f"{counted(len(nights), 'run')}: {len(nights) - failed} done, {failed} failed"
    summary = summary_of(
        "process --each",
        done,
        status=status,
        inputs={"runs": [night.run for night in nights]},
        counts={"runs": len(nights), "done": len(nights) - failed, "failed": failed},
        notices=notices,
        nights=[{**row.values, "says": STATUSES.get(row.night.status, "")} for row in rows],
    )
    with made_folder(out):
        write_text(out / TABLE, nights_to_csv(rows))
        write_summary(out, summary)
    return [out / TABLE, out / NAME]
