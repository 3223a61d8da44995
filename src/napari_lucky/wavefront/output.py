"""The files of `napari-lucky wavefront`: tables, the wavefront as an image, a summary, a page."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from napari_lucky.fits.image_result import ImageResult
from napari_lucky.fits.write import write_fits, write_text
from napari_lucky.frames.history import History, window_numbers
from napari_lucky.optics.request import TelescopeRequest
from napari_lucky.optics.zernikes import zernike_name
from napari_lucky.pipeline.results_folder import write_folder
from napari_lucky.pipeline.summary import NAME, summary_of, write_summary
from napari_lucky.steps.declaration import params
from napari_lucky.text import cell, csv_line
from napari_lucky.wavefront.check import FIGURES
from napari_lucky.wavefront.from_stacks import StackWavefront
from napari_lucky.wavefront.job import MeasuredWavefront
from napari_lucky.wavefront.request import WavefrontRequest
from napari_lucky.wavefront.result import MAP_SAMPLES, PerFrame, Wavefront
from napari_lucky.wavefront.task import OPTICS, WavefrontParameters

NAMES = ("zernike.csv", "wavefront.fits", "per_frame.csv", "report.png", NAME)
CONVENTIONS = (
    "Wavefront in nm on the pupil, y down (rows) and x right (columns) as in the camera's image; "
    "NaN where the pupil is shut.",
    "Noll's Zernikes, orthonormal on the full unit disk, theta from x towards y; piston and tilt "
    "are left out.",
    "Phase = 2 pi wavefront / wavelength; image = |fft2(P exp(i phase))|^2.",
    "The sign of the defocus is as given: with the other sign all even modes change sign, and the "
    "images of a symmetric pupil are the same.",
)


def write_wavefront(
    measured: MeasuredWavefront, out: str | Path, *, report: bool = False, overwrite: bool = False
) -> list[Path]:
    """Write a wavefront into a folder; all of it or nothing.

    Parameters
    ----------
    measured : MeasuredWavefront
        What is written.
    out : str or pathlib.Path
        The folder; made if need be.
    report : bool
        Whether report.png is drawn.
    overwrite : bool
        Whether older files of these names are replaced.

    Returns
    -------
    list of pathlib.Path
        The files written: zernike.csv, wavefront.fits, per_frame.csv (of frames), summary.json,
        and report.png.

    Raises
    ------
    LuckyError
        If something cannot be written, the folder holds such files and `overwrite` is false, or
        one of them is an input; then nothing in it has changed.
    """
    out = Path(out)
    wavefront = measured.wavefront

    def write(folder: Path) -> None:
        write_text(folder / "zernike.csv", zernikes_to_csv(wavefront))
        write_fits(folder / "wavefront.fits", [wavefront_image(measured)])
        if isinstance(wavefront, Wavefront):
            text = frames_to_csv(wavefront.frames, measured.numbers, measured.files)
            write_text(folder / "per_frame.csv", text)
        if report:
            from napari_lucky.wavefront.plots import write_wavefront_page

            write_wavefront_page(folder / "report.png", wavefront, _title(measured))
        write_summary(folder, wavefront_summary(measured))

    return write_folder(out, write, NAMES, overwrite, measured.inputs)


def zernikes_to_csv(wavefront: Wavefront | StackWavefront) -> str:
    """Return the coefficients as CSV text: noll, name, coefficient_nm, sigma_nm.

    Of a single frame there is no error, and the last is empty.
    """
    rows = [
        [noll, zernike_name(noll), _text(value), _text(sigma)]
        for noll, value, sigma in _modes(wavefront)
    ]
    return _csv(["noll", "name", "coefficient_nm", "sigma_nm"], rows)


def _modes(wavefront: Wavefront | StackWavefront) -> list[tuple[int, float, float]]:
    pairs = zip(wavefront.coefficients_nm, wavefront.sigma_nm, strict=True)
    return [(noll, float(value), float(error)) for noll, (value, error) in enumerate(pairs, 4)]


def frames_to_csv(frames: PerFrame, numbers: Any, files: Sequence[str]) -> str:
    """Return what was found in each frame as CSV text, a line a frame that was fitted.

    Parameters
    ----------
    frames : PerFrame
    numbers : ndarray of int, (total,)
        Of all frames given, in the run.
    files : sequence of str
        Of all frames given.
    """
    count = frames.coefficients_nm.shape[1]
    header = ["frame", "file", "used", "chi2", "starts", "strehl"]
    header += ["focus_y", "focus_x", "defocus_y", "defocus_x", "focus_adu", "defocus_adu"]
    header += [f"noll_{noll}_nm" for noll in range(4, 4 + count)]
    rows = []
    for k, place in enumerate(frames.frame):
        values = (
            frames.strehl[k],
            *frames.positions[k].ravel(),
            *frames.fluxes[k],
            *frames.coefficients_nm[k],
        )
        first = [
            int(numbers[place]),
            cell(files[place]),
            int(frames.good[k]),
            _text(frames.chi2[k]),
        ]
        rows.append([*first, int(frames.starts[k]), *map(_text, values)])
    return _csv(header, rows)


def _csv(header: list[str], rows: list[list[Any]]) -> str:
    return "".join(map(csv_line, [header, *rows]))


def _text(value: float) -> str:
    return f"{float(value):.9g}" if math.isfinite(value) else ""


def wavefront_image(measured: MeasuredWavefront) -> ImageResult:
    """Return the wavefront in nm on the pupil, with a header that says how it is meant."""
    from astropy.io import fits

    wavefront = measured.wavefront
    task = wavefront.task
    header = fits.Header()
    header["BUNIT"] = ("nm", "wavefront")
    header["WAVELEN"] = (task.wavelength_nm, "wavelength (nm)")
    header["PUPILPX"] = (MAP_SAMPLES, "samples across the pupil's diameter")
    header["OBSTRUCT"] = (task.obstruction, "central obstruction over the diameter")
    header["RMSNM"] = (wavefront.rms_nm, "rms over the open pupil (nm)")
    header["STREHL"] = (wavefront.strehl, "Strehl ratio that it implies")
    header["DEFOCPV"] = (wavefront.defocus_waves, "waves between the images, peak-to-valley")
    header["NOLLMAX"] = (3 + len(wavefront.coefficients_nm), "Noll 4 to this one are in it")
    if isinstance(wavefront, Wavefront):
        header["DR0"] = (wavefront.d_over_r0, "D over r0 at this wavelength")
    for text in CONVENTIONS:
        header.add_comment(text)
    steps = (*measured.history, *wavefront_records(wavefront))
    used = wavefront.used if isinstance(wavefront, Wavefront) else None
    return ImageResult(wavefront.image_nm, "WAVEFRONT", header, steps, combined=used)


def wavefront_records(wavefront: Wavefront | StackWavefront) -> History:
    """Record how a wavefront was measured: the steps that a recipe has for it."""
    task = wavefront.task
    request = WavefrontRequest(**{name: getattr(task, name) for name in params(WavefrontRequest)})
    telescope = TelescopeRequest(**{name: getattr(task, name) for name in OPTICS})
    facts: dict[str, Any] = {
        "modes": 3 + len(wavefront.coefficients_nm),
        "defocus_waves": wavefront.defocus_waves,
    }
    if isinstance(wavefront, Wavefront):
        windows = {name: window_numbers(getattr(task, name)) for name in ("focus", "defocus")}
        facts |= {**windows, "frames": wavefront.used}
    else:
        facts |= {"of": "stacks", "blur_px": wavefront.blur_px}
    spider = () if task.spider is None else (task.spider.record(),)
    return (telescope.record(), *spider, request.record(facts))


def _telescope(task: WavefrontParameters) -> dict[str, Any]:
    spider = task.spider
    return {
        "wavelength_nm": task.wavelength_nm,
        "focal_ratio": task.focal_ratio,
        "pixel_um": task.pixel_um,
        "obstruction": task.obstruction,
        "spider": None if spider is None else [spider.vanes, spider.width, spider.angle],
        "sampling_px": task.sampling,
    }


def wavefront_summary(measured: MeasuredWavefront) -> dict[str, Any]:
    """Return the summary of a wavefront."""
    wavefront = measured.wavefront
    task = wavefront.task
    defocus = {"waves": wavefront.defocus_waves, "fitted": task.fit_defocus}
    entries: dict[str, Any] = {"method": "frames" if isinstance(wavefront, Wavefront) else "stacks"}
    counts: dict[str, Any] = {}
    figures: dict[str, Any] = {
        "rms_nm": wavefront.rms_nm,
        "rms_waves": wavefront.rms_nm / task.wavelength_nm,
        "strehl": wavefront.strehl,
    }
    if isinstance(wavefront, Wavefront):
        counts = {
            "frames": len(measured.numbers),
            "used": wavefront.used,
            "saturated": wavefront.saturated,
            "not_fitted": wavefront.failed,
        }
        figures["d_over_r0"] = wavefront.d_over_r0
        figures["d_over_r0_sigma"] = wavefront.d_over_r0_sigma
        entries.update(_of_frames(wavefront))
        if task.fit_defocus:
            defocus["sigma_waves"] = wavefront.defocus_sigma
    else:
        figures["blur_px"] = wavefront.blur_px
    entries.update(
        defocus=defocus,
        telescope=_telescope(task),
        modes=_mode_entries(wavefront),
        conventions=list(CONVENTIONS),
    )
    return summary_of(
        "wavefront",
        describe_wavefront(measured),
        inputs=measured.inputs,
        counts=counts,
        figures={**figures, "chi2": wavefront.chi2},
        notices=measured.notes,
        **entries,
    )


def describe_wavefront(measured: MeasuredWavefront) -> str:
    """Return the figures of a wavefront in a sentence."""
    wavefront = measured.wavefront
    text = f"Wavefront: {wavefront.rms_nm:.4g} nm rms, Strehl ratio {wavefront.strehl:.3g}"
    if not isinstance(wavefront, Wavefront):
        return f"{text}, blur {wavefront.blur_px:.3g} px"
    if wavefront.task.fit_defocus:
        text += f", defocus {wavefront.defocus_waves:.4g} ± {wavefront.defocus_sigma:.2g} waves"
    return (
        f"{text}, D/r0 {wavefront.d_over_r0:.3g} ± {wavefront.d_over_r0_sigma:.2g}, from "
        f"{wavefront.used} of {len(measured.numbers)} frames"
    )


def _of_frames(wavefront: Wavefront) -> dict[str, Any]:
    task = wavefront.task
    random = task.choice == "random"
    return {
        "choice": {
            "by": task.choice,
            "count": None if task.choice == "all" else task.count,
            "seed": task.seed if random else None,
        },
        "windows": {name: window_numbers(getattr(task, name)) for name in ("focus", "defocus")},
        "noise": wavefront.noise,
        "model_error": dict(zip(("focus", "defocus"), wavefront.model_error, strict=True)),
        "frames_independent": wavefront.independent,
        "figures_by_the_images": _figure_entries(wavefront),
    }


def _figure_entries(wavefront: Wavefront) -> list[dict[str, Any]]:
    found = wavefront.figures
    if found is None:
        return []
    scale = np.append(np.abs(found.given[:2]), 1.0)
    rows = zip(
        FIGURES, found.given, found.preferred, scale * found.sigma, found.doubted, strict=True
    )
    return [
        {"name": name, "given": given, "preferred": best, "sigma": sigma, "doubted": bool(doubted)}
        for name, given, best, sigma, doubted in rows
    ]


def _mode_entries(wavefront: Wavefront | StackWavefront) -> list[dict[str, Any]]:
    out: list[dict[str, Any]] = []
    for noll, value, sigma in _modes(wavefront):
        out.append(
            {
                "noll": noll,
                "name": zernike_name(noll),
                "coefficient_nm": value,
                "sigma_nm": sigma,
            }
        )
    if isinstance(wavefront, Wavefront):
        further = zip(
            out, wavefront.without, wavefront.variance_rad2, wavefront.kolmogorov_rad2, strict=True
        )
        for mode, (rms, strehl), variance, expected in further:
            mode.update(
                rms_nm_without=rms,
                strehl_without=strehl,
                variance_rad2=variance,
                kolmogorov_rad2=expected,
            )
    return out


def _title(measured: MeasuredWavefront) -> str:
    wavefront, inputs = measured.wavefront, measured.inputs
    task = wavefront.task
    optics = f"{task.wavelength_nm:g} nm, defocus {wavefront.defocus_waves:.4g} waves"
    if isinstance(wavefront, StackWavefront):
        return f"{Path(str(inputs.get('focus', 'stacks'))).name}: from a pair of stacks, {optics}"
    first = Path(str(next(iter(inputs.get("frames", ())), "frames"))).name
    return f"{first}: {wavefront.used} frames, {optics}"
