"""The figures of PSFs as tables: a line an image, a line a radius, and how they were measured."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from napari_lucky._version import __version__
from napari_lucky.optics.diffraction import Diffraction
from napari_lucky.optics.request import TelescopeRequest
from napari_lucky.optics.telescope import Telescope
from napari_lucky.psf.recipe import PsfRequest
from napari_lucky.psf.result import PsfErrors, PsfFigures
from napari_lucky.text import cell, csv_line


@dataclass(frozen=True, eq=False)
class FigureRow:
    """One image and its figures.

    Parameters
    ----------
    name : str
        Of the image: a file, or a layer.
    frame : int, optional
        Its number in the run, where it is a frame.
    figures : PsfFigures, optional
        None where nothing could be measured.
    why : str
        Why not.
    scale : float
        Pixels of the image a pixel of the sensor.
    telescope : Telescope, optional
        None where only the diffraction-limited PSF is known.
    """

    name: str
    frame: int | None
    figures: PsfFigures | None
    why: str = ""
    scale: float = 1.0
    telescope: Telescope | None = None

    @property
    def arcsec_per_px(self) -> float | None:
        """Angle on the sky of a pixel of the image, if the telescope is known."""
        return None if self.telescope is None else self.telescope.arcsec_per_px / self.scale

    @property
    def title(self) -> str:
        """What it is called in a drawing."""
        return self.name if self.frame is None else f"{self.name} frame {self.frame}"


MEASURED = {
    "strehl": "strehl",
    "fwhm_major_px": "fwhm_major",
    "fwhm_minor_px": "fwhm_minor",
    "angle_deg": "angle",
    "flux_adu": "flux",
    "background_adu": "background",
}
"""Columns that have an error beside them, and the figures in them."""
FURTHER: dict[str, Callable[[PsfFigures], float]] = {
    "strehl_with_halo": lambda f: f.strehl_with_halo,
    "aperture_lambda_d": lambda f: f.aperture,
    "peak_adu": lambda f: f.peak,
    "y_px": lambda f: f.centre[0],
    "x_px": lambda f: f.centre[1],
    "radius_50_px": lambda f: f.radius_of(0.5),
    "radius_80_px": lambda f: f.radius_of(0.8),
    "perfect_radius_50_px": lambda f: f.radius_of(0.5, perfect=True),
    "perfect_radius_80_px": lambda f: f.radius_of(0.8, perfect=True),
    "sampling_px": lambda f: f.diffraction.sampling if f.diffraction else math.nan,
    "obstruction": lambda f: f.diffraction.obstruction if f.diffraction else math.nan,
    "aperture_px": lambda f: f.recipe.aperture or math.nan,
    "ring_inner_px": lambda f: f.recipe.ring[0] if f.recipe.ring else math.nan,
    "ring_outer_px": lambda f: f.recipe.ring[1] if f.recipe.ring else math.nan,
    "integration_px": lambda f: f.recipe.integration,
    "masked_px": lambda f: f.masked,
    "resamples": lambda f: f.errors.resamples if f.errors else 0,
}
"""Columns without one."""
CURVES = ("encircled", "perfect_encircled", "profile", "perfect_profile")


def figures_to_csv(rows: Sequence[FigureRow]) -> str:
    """Return the figures as CSV text, a line an image; empty where nothing is known.

    Beside each figure of `MEASURED` stands its standard deviation, with `_error` after its name.
    The recipe is in the last columns, for a Strehl ratio without it says little; compare only
    those of one `aperture_lambda_d`. `cautions` says why a Strehl ratio may be wrong. Where the
    telescope is known, the FWHM is given in seconds of arc as well.
    """
    columns = [name for measured in MEASURED for name in (measured, f"{measured}_error")]
    arcsec = ("fwhm_major_arcsec", "fwhm_minor_arcsec")
    width = len(columns) + len(arcsec) + len(FURTHER)
    text = io.StringIO()
    text.write(csv_line(["image", "frame", *columns, *arcsec, *FURTHER, "cautions"]))
    for row in rows:
        values: list[float] = []
        if row.figures is not None:
            for name in MEASURED.values():
                values += [getattr(row.figures, name), row.figures.error_of(name)]
            angle = math.nan if row.arcsec_per_px is None else row.arcsec_per_px
            values += [row.figures.fwhm_major * angle, row.figures.fwhm_minor * angle]
            values += [further(row.figures) for further in FURTHER.values()]
        frame = "" if row.frame is None else row.frame
        cautions = [row.why] if row.figures is None else row.figures.cautions
        values += [math.nan] * (width - len(values))
        doubts = cell("; ".join(cautions))
        text.write(csv_line([cell(row.name), frame, *map(_text, values), doubts]))
    return text.getvalue()


def plain_figures(row: FigureRow) -> dict[str, Any]:
    """Return the figures of an image by the names of their columns, with what is doubtful."""
    figures = row.figures
    if figures is None:
        return {"why": row.why}
    made: dict[str, Any] = {}
    for column, name in MEASURED.items():
        made[column] = getattr(figures, name)
        made[f"{column}_error"] = figures.error_of(name)
    made |= {name: value(figures) for name, value in FURTHER.items()}
    return {**made, "cautions": list(figures.cautions)}


def curves_to_csv(rows: Sequence[FigureRow]) -> str:
    """Return encircled energy and radial profile as CSV text, a line a radius of each image."""
    text = io.StringIO()
    errors = ("encircled_error", "profile_error")
    text.write(csv_line(["image", "frame", "radius_px", *CURVES, *errors]))
    for row in rows:
        if row.figures is None:
            continue
        figures, of = row.figures, row.figures.errors
        for k, radius in enumerate(figures.radius):
            values = [radius, *(getattr(figures, name)[k] for name in CURVES)]
            if of is not None:
                values += [of.encircled[k], of.profile[k]]
            frame = "" if row.frame is None else row.frame
            text.write(csv_line([cell(row.name), frame, *map(_text, values)]))
    return text.getvalue()


def _text(value: float) -> str:
    return "" if math.isnan(value) else f"{float(value):.9g}"


def figure_rows(figures: PsfFigures, arcsec_per_px: float | None = None) -> list[tuple[str, str]]:
    """Return names and values of the figures, with their errors, to be shown."""
    diffraction = figures.diffraction

    def width(name: str) -> str:
        value, text = getattr(figures, name), f"{figures.text_of(name)} px"
        angle = "" if arcsec_per_px is None else f', {value * arcsec_per_px:.3g}"'
        if diffraction is None:
            return text + angle
        return f"{text} ({value / diffraction.sampling:.3g} λ/D{angle})"

    recipe = figures.recipe
    if recipe.ring is None:
        background = f"{figures.background:.5g} ADU a pixel, given"
    else:
        ring = "ring of {:.4g} to {:.4g} px".format(*recipe.ring)
        background = f"{figures.text_of('background')} ADU a pixel, {ring}"
    pixel = (
        "not integrated"
        if recipe.integration == 0
        else f"integrated over {recipe.integration:g} px"
    )
    whole = figures.strehl_with_halo
    strehl = "not known: it needs wavelength, focal ratio and pixel size"
    perfect: list[tuple[str, str]] = []
    if diffraction is not None:
        strehl = f"{figures.text_of('strehl')}, {aperture_note(figures)}"
        size = f"sampling {diffraction.sampling:.4g} px per λ/D"
        hidden = f"obstruction {diffraction.obstruction:.3g}"
        perfect = [("diffraction-limited", f"{size}, {hidden}, {pixel}")]
    return [
        ("Strehl ratio", strehl),
        *(("caution", sentence(caution)) for caution in figures.cautions),
        *([] if math.isnan(whole) else [("with the halo's light", f"{whole:.3g}, an estimate")]),
        ("FWHM, major", width("fwhm_major")),
        ("FWHM, minor", width("fwhm_minor")),
        ("angle", f"{figures.text_of('angle', '.3g')} deg from +x to +y (down)"),
        ("50 % of the light in", _radius(figures, 0.5)),
        ("80 % of the light in", _radius(figures, 0.8)),
        ("flux", f"{figures.text_of('flux', '.5g')} ADU, radius {recipe.aperture:.4g} px"),
        ("background", background),
        ("peak", "{:.5g} ADU at y {:.2f}, x {:.2f}".format(figures.peak, *figures.centre)),
        *perfect,
        *([("masked", f"{figures.masked} pixels of the aperture")] if figures.masked else []),
        *([("errors", describe_errors(figures.errors))] if figures.errors else []),
    ]


def _radius(figures: PsfFigures, part: float) -> str:
    text = f"{figures.radius_of(part):.4g} px"
    if figures.diffraction is None:
        return text
    return f"{text} (diffraction-limited {figures.radius_of(part, perfect=True):.4g})"


def aperture_notes(rows: Sequence[FigureRow]) -> str:
    """Return a sentence if Strehl ratios have different apertures, or an empty text."""
    made = [row.figures for row in rows if row.figures is not None]
    found = sorted({round(one.aperture, 1) for one in made if one.diffraction is not None})
    if len(found) < 2:
        return ""
    text = ", ".join(f"{radius:g}" for radius in found)
    return (
        f"The apertures differ ({text} λ/D): do not compare these Strehl ratios, or measure "
        "all with one aperture."
    )


def sentence(caution: str) -> str:
    """Return a caution as a sentence."""
    return f"{caution[0].upper()}{caution[1:]}."


def describe_errors(errors: PsfErrors) -> str:
    """Return what errors are of."""
    if errors.resamples:
        text = f"of {errors.resamples} resamples of the frames"
        if errors.alike:
            text += f", in blocks: neighbours are alike over about {errors.alike:.0f} frames"
        if errors.short:
            text += "; the run is too short to know the errors well"
        return text
    return "of the noise in this image"


def aperture_note(figures: PsfFigures) -> str:
    """Return the aperture of a Strehl ratio, without which it cannot be compared."""
    return aperture_text(figures.recipe.aperture or 0, figures.diffraction)


def aperture_text(radius: float, diffraction: Diffraction | None) -> str:
    """Return an aperture, its radius given in pixels, as a person reads it."""
    px = f"{radius:.4g} px"
    if diffraction is None:
        return f"aperture {px}"
    return f"aperture {radius / diffraction.sampling:.3g} λ/D ({px})"


def describe_row(row: FigureRow) -> str:
    """Return the figures of an image in a line."""
    of = row.figures
    if of is None:
        return f"{row.title}: {row.why}"
    width = f"FWHM {of.fwhm_major:.4g} x {of.fwhm_minor:.4g} px"
    if of.diffraction is None:
        half, most = of.radius_of(0.5), of.radius_of(0.8)
        light = f"50 % of the light in {half:.4g} px, 80 % in {most:.4g} px"
        return f"{row.title}: {width}, {light}, {aperture_note(of)}"
    error = "" if of.errors is None else f" ± {of.errors.strehl:.2g}"
    return f"{row.title}: Strehl ratio {of.strehl:.4g}{error}, {aperture_note(of)}, {width}"


def figures_to_toml(
    inputs: Sequence[str], request: PsfRequest, telescope: TelescopeRequest | None
) -> str:
    """Return how figures were measured, as a recipe that measures these images so again."""
    import tomli_w

    heading = {"version": __version__, "images": list(inputs)}
    steps = [step for step in (telescope, request) if step is not None]
    return tomli_w.dumps({"napari-lucky": heading} | {step.table: step.values() for step in steps})
