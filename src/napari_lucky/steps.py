"""What each step of the chain records of itself; the docks and the command line share it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .background import BackgroundRemoved
from .by_hand import ByHand
from .calibration import Calibrated
from .dust import DustRemoved
from .history import History, Step
from .low_pass import LowPass
from .metrics import METRICS
from .noise_cut import NoiseCut
from .outliers import OutliersRemoved
from .ranking import select
from .registration import Registration
from .sensor_images import SensorImage, rows_of
from .stack_methods import parse_stack
from .table import FrameTable
from .windows import Window

FAR = 1 << 31
"""Beyond any number of frames."""


def open_step(frames: Any) -> Step:
    """Record where frames come from."""
    return Step("open", inputs=dict(getattr(frames, "inputs", {})))


def range_step(frame: NDArray[np.intp]) -> Step:
    """Record that only these frames of the run are used, evenly spaced."""
    step = int(frame[1] - frame[0]) if len(frame) > 1 else 1
    parameters = {"start": int(frame[0]), "stop": int(frame[-1]) + 1, "step": step}
    return Step("choose frames", parameters)


def frame_numbers(place: NDArray[np.intp], history: History) -> NDArray[np.intp]:
    """Return the numbers in the run of frames at these places of a layer with this history."""
    first, step = _numbering(history)
    return first + step * place


def frame_places(number: NDArray[np.intp], history: History) -> NDArray[np.intp]:
    """Return where frames of the run are in a layer with this history; −1 for those between."""
    first, step = _numbering(history)
    place, rest = np.divmod(number - first, step)
    return np.where(rest == 0, place, -1)


def _numbering(history: History) -> tuple[int, int]:
    """Return the number in the run of a layer's first frame, and the step to the next.

    Where a header says something impossible, frames are numbered by their places.
    """
    first, step = 0, 1
    for done in history:
        if done.name == "choose frames":
            start, by = (done.parameters.get(name) for name in ("start", "step"))
            if type(start) is not int or type(by) is not int or start < 0 or by < 1:
                return 0, 1  # an edited header
            first += step * start
            step *= by
    return (first, step) if max(first, step) < FAR else (0, 1)


def calibrate_step(
    calibrated: Calibrated, parameters: Mapping[str, Any], names: Mapping[str, str | None]
) -> Step:
    """Record a calibration: its parameters, and the checksums of its masters' pixels."""
    inputs: dict[str, dict[str, Any]] = {}
    for name in ("dark", "flat"):
        image = getattr(calibrated, name)
        if image is not None:
            inputs[name] = {"name": names.get(name), "master_sha256": checksum(image)}
    if calibrated.flat is not None and calibrated.light is None:
        inputs["flat"]["given_normalised"] = True
    saturation = calibrated.saturation
    return Step(
        "calibrate",
        {
            **parameters,
            "masked_pixels": calibrated.masked,
            "saturation": saturation if np.isfinite(saturation) else None,
        },
        inputs,
    )


def dust_step(removed: DustRemoved, on: str) -> Step:
    """Record the dust shadows, (y, x, radius), what was done, and what they were found on."""
    spots = [[round(float(value), 2) for value in spot] for spot in removed.spots]
    done = "mask" if removed.transmission is None else "divide"
    return Step("remove dust", {"as": done, "on": on, "spots": spots})


def outliers_step(removed: OutliersRemoved) -> Step:
    """Record the thresholds for outliers."""
    done = "replace" if removed.replace else "mask"
    parameters = {"sigma": removed.sigma, "flicker": removed.flicker, "as": done}
    return Step("remove outliers", parameters)


def background_step(removed: BackgroundRemoved) -> Step:
    """Record a background that was taken off, with the discs (y, x, radius) left out of its fit."""
    parameters = {"order": removed.order, "discs": list(removed.discs)}
    return Step("take off background", {**parameters, "discs_move": removed.follow is not None})


def noise_cut_step(cut: NoiseCut) -> Step:
    """Record a noise cut."""
    return Step("cut noise", {"sigma": cut.sigma, "tile": cut.tile})


def low_pass_step(low: LowPass) -> Step:
    """Record a low-pass, its cut-off in cycles/px."""
    return Step("low-pass", {"cutoff": low.cutoff})


def register_step(registration: Registration, defocus: Window | None = None) -> Step:
    """Record a registration, with the windows, [y0, x0, height, width]."""
    return Step(
        "register",
        {
            "method": registration.method,
            "smooth": registration.smooth,
            "reference_frame": registration.reference_frame
            if registration.method == "correlation"
            else None,
            "reference": registration.reference,
            "focus": window_numbers(registration.focus),
            "defocus": window_numbers(defocus) if defocus else None,
            "frames_without_star": int((~registration.found).sum()),
        },
    )


def shifts_step(path: Path, kept: int) -> Step:
    """Record that shifts and choice of frames come from an earlier job's table."""
    digest = hashlib.sha256(path.read_bytes()).hexdigest()[:16]
    return Step("read shifts", {"kept": kept}, {"name": path.name, "sha256": digest})


def shift_step(subpixel: bool) -> Step:
    """Record that frames were shifted."""
    return Step("shift", {"subpixel": subpixel})


def rank_step(
    metric: str,
    smooth: float | None,
    keep: float | int,
    kept: int,
    frames: int,
    above: float | None = None,
    by_hand: ByHand | None = None,
    psf: Sequence[float] | None = None,
) -> Step:
    """Record a ranking, the cut, and the frames (numbers of the run) changed by hand after it.

    The PSF, (sampling, obstruction), is recorded for metrics that need it.
    """
    needed = metric in METRICS and METRICS[metric].needs_diffraction
    parameters = {
        "metric": metric,
        "smooth": smooth,
        "psf": list(psf) if psf and needed else None,
        "keep": keep if above is None else None,
        "keep_above": above,
        "add": by_hand.add if by_hand and by_hand.add else None,
        "drop": by_hand.drop if by_hand and by_hand.drop else None,
        "kept": kept,
        "of": frames,
    }
    return Step("rank", parameters)


def rank_step_now(step: Step, table: FrameTable, numbers: NDArray[np.intp]) -> Step:
    """Return the record of a ranking with what was changed by hand since.

    Parameters
    ----------
    step : Step
        What `rank_step` recorded.
    table : FrameTable
        Quality and choice as they are now.
    numbers : ndarray of int, (n,)
        Number of each frame in the run.
    """
    told = step.parameters
    if not np.isfinite(table.quality).any():
        return step
    cut = np.zeros(len(numbers), bool)
    cut[select(table.quality, told.get("keep", 1.0), told.get("keep_above"))] = True
    by_hand = ByHand(tuple(told.get("add", ())), tuple(told.get("drop", ())))
    if np.array_equal(by_hand.apply(cut, numbers), table.selected):
        return step
    return rank_step(
        told["metric"],
        told["smooth"],
        told.get("keep", 1.0),
        int(table.selected.sum()),
        len(table.frame),
        told.get("keep_above"),
        ByHand.between(cut, table.selected, numbers),
        told.get("psf"),
    )


def stack_step(
    window: Window, shifted: bool, subpixel: bool, count: int, method: str = "mean"
) -> Step:
    """Record a stack of frames in a window; the long exposure, not shifted, is a mean always."""
    by = parse_stack(method if shifted else "mean")
    parameters = {"method": by.name, **by.parameters, "window": window_numbers(window)}
    applied = {"shifted": shifted, "subpixel": shifted and subpixel}
    return Step("stack", {**parameters, "frames": count, **applied})


def stack_scale(history: History) -> float:
    """Return how many pixels an image has a pixel of the sensor: 1, but for drizzled stacks."""
    made = [step.parameters for step in history if step.name == "stack"]
    return float(made[-1].get("scale", 1)) if made else 1.0


def window_numbers(window: Window) -> list[int]:
    """Return [y0, x0, height, width], as a history holds a window."""
    return [window.y0, window.x0, window.height, window.width]


def recorded_windows(history: History) -> tuple[Window | None, Window | None]:
    """Return the focus and defocus windows of the last registration in a history."""
    for step in reversed(history):
        if step.name == "register":
            focus, defocus = (step.parameters.get(name) for name in ("focus", "defocus"))
            return (Window(*focus) if focus else None, Window(*defocus) if defocus else None)
    return None, None


def checksum(image: SensorImage) -> str:
    """Return a checksum of an image's pixels."""
    found = hashlib.sha256()
    for rows in rows_of(image):
        found.update(np.ascontiguousarray(rows).data)
    return found.hexdigest()[:16]
