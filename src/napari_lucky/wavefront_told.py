"""What a measured wavefront tells, as rows of text for a person to read, and its record."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from .history import Step
from .steps import window_numbers
from .wavefront_result import Wavefront
from .wavefront_stacks import StackWavefront
from .zernikes import zernike_name

Measured = Wavefront | StackWavefront

LESSER = (
    "From one pair of stacks, the lesser way: the turbulence left in a stack is taken for a "
    "Gaussian blur, and what is not goes into the coefficients. Their errors hold the noise alone."
)
COLUMNS = ("Noll", "mode", "nm rms", "±", "rms without (nm)", "Strehl without")
"""Of `told_modes`."""


def told_wavefront(measured: Measured) -> list[tuple[str, str]]:
    """Return names and values of what a wavefront comes to."""
    lines = [
        ("rms wavefront error", f"{measured.rms_nm:.1f} nm"),
        ("Strehl ratio it leaves", f"{measured.strehl:.3f}"),
    ]
    if isinstance(measured, StackWavefront):
        return [
            *lines,
            ("blur fitted", f"{measured.blur_px:.2f} px (sigma)"),
            ("defocus between the images", f"{measured.defocus_waves:.4g} waves"),
            ("chi²", f"{measured.chi2:.2f}"),
        ]
    fitted = f" ± {measured.defocus_sigma:.1g}" if measured.task.fit_defocus else ", as given"
    return [
        *lines,
        ("D/r0", f"{measured.d_over_r0:.2f} ± {measured.d_over_r0_sigma:.2f}"),
        ("defocus between the images", f"{measured.defocus_waves:.4g} waves{fitted}"),
        (
            "frames averaged",
            f"{measured.used}; {measured.failed} failed, {measured.saturated} saturated",
        ),
        ("noise", measured.noise),
    ]


def told_modes(measured: Measured) -> list[tuple[str, ...]]:
    """Return a row of `COLUMNS` for each mode; of a pair of stacks the last two are empty."""
    rows = []
    of_stacks = isinstance(measured, StackWavefront)
    sigmas = measured.formal_sigma_nm if of_stacks else measured.sigma_nm
    without = [None] * len(sigmas) if of_stacks else measured.without
    values = zip(measured.coefficients_nm, sigmas, without, strict=True)
    for noll, (value, sigma, rest) in enumerate(values, start=4):
        left = ("", "") if rest is None else (f"{rest[0]:.1f}", f"{rest[1]:.3f}")
        rows.append((str(noll), zernike_name(noll), f"{value:+.1f}", f"{sigma:.1f}", *left))
    return rows


def wavefront_step(measured: Measured) -> Step:
    """Record with what a wavefront was measured, and what it comes to."""
    task = measured.task
    of_stacks = isinstance(measured, StackWavefront)
    parameters: dict[str, Any] = asdict(task)
    if of_stacks:
        for name in ("focus", "defocus", "choice", "count"):
            del parameters[name]
    else:
        parameters |= {name: window_numbers(getattr(task, name)) for name in ("focus", "defocus")}
        parameters |= {"frames": measured.used, "d_over_r0_found": measured.d_over_r0}
    found = {"rms_nm": measured.rms_nm, "strehl": measured.strehl}
    of = "a pair of stacks" if of_stacks else "frames"
    return Step("wavefront", {"of": of, **parameters, **found})
