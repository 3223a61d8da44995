"""A measured wavefront as rows of text for a person to read."""

from __future__ import annotations

import numpy as np

from napari_lucky.optics.zernikes import zernike_name
from napari_lucky.text import percent
from napari_lucky.wavefront.check import FIGURES
from napari_lucky.wavefront.from_stacks import StackWavefront
from napari_lucky.wavefront.result import Wavefront

Measured = Wavefront | StackWavefront

COLUMNS = ("Noll", "mode", "nm rms", "±", "rms without (nm)", "Strehl without")
"""Of `mode_rows`."""


def wavefront_rows(measured: Measured) -> list[tuple[str, str]]:
    """Return names and values of what a wavefront comes to."""
    lines = [
        ("rms wavefront error", f"{measured.rms_nm:.1f} nm"),
        ("Strehl ratio from static aberrations", f"{measured.strehl:.3f}"),
    ]
    if isinstance(measured, StackWavefront):
        return [
            *lines,
            ("blur fitted", f"{measured.blur_px:.2f} px (sigma)"),
            ("defocus between the images", f"{measured.defocus_waves:.4g} waves"),
            ("chi²", f"{measured.chi2:.2f}"),
        ]
    focused, defocused = (percent(part, ".1f") for part in measured.model_error)
    fitted = f" ± {measured.defocus_sigma:.1g}" if measured.task.fit_defocus else ", as given"
    return [
        *lines,
        ("D/r0", f"{measured.d_over_r0:.2f} ± {measured.d_over_r0_sigma:.2f}"),
        ("defocus between the images", f"{measured.defocus_waves:.4g} waves{fitted}"),
        (
            "frames averaged",
            f"{measured.used}; {measured.failed} failed, {measured.saturated} saturated",
        ),
        ("chi² (1 is right)", f"{measured.chi2:.2f}"),
        ("error of the model", f"{focused} focused, {defocused} defocused"),
        *_figure_rows(measured),
        ("noise", measured.noise),
    ]


def sign_note(measured: Measured) -> str:
    """Return what is known of the sign of the defocus between the images.

    A pupil that is symmetric about its centre (no spider, or an even number of vanes) makes the
    same two images with the other sign and all even terms turned over.
    """
    spider = measured.task.spider
    if spider is None or spider.vanes % 2 == 0:
        why = "images of a pupil with point symmetry cannot show it"
    else:
        why = "it is not checked"
    return (
        f"The sign of the defocus is taken as given: {why}. With the other sign, all even terms "
        "(defocus, astigmatism, spherical) of the result change sign."
    )


def _figure_rows(measured: Wavefront) -> list[tuple[str, str]]:
    """Return what the images say of the figures that were given."""
    found = measured.figures
    if found is None:
        return []
    scale = np.append(np.abs(found.given[:2]), 1.0)
    rows = zip(FIGURES, found.preferred, scale * found.sigma, found.given, strict=True)
    return [
        (f"{name} by the images", f"{value:.4g} ± {sigma:.1g}; given {given:.4g}")
        for name, value, sigma, given in rows
    ]


def mode_rows(measured: Measured) -> list[tuple[str, ...]]:
    """Return a row of `COLUMNS` for each mode; of a pair of stacks the last two are empty."""
    rows: list[tuple[str, ...]] = []
    left = [("", "")] * len(measured.coefficients_nm)
    if isinstance(measured, Wavefront):
        left = [(f"{rms:.1f}", f"{strehl:.3f}") for rms, strehl in measured.without]
    values = zip(measured.coefficients_nm, measured.sigma_nm, left, strict=True)
    for noll, (value, sigma, rest) in enumerate(values, start=4):
        rows.append((str(noll), zernike_name(noll), f"{value:+.1f}", f"{sigma:.1f}", *rest))
    return rows
