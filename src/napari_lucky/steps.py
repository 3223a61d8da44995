"""What each step of the chain records of itself; the docks and the command line share it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .background import BackgroundRemoved
from .calibration import Calibrated
from .history import History, Step
from .registration import Registration
from .windows import Window


def open_step(frames: Any) -> Step:
    """Record where frames come from."""
    return Step("open", inputs=dict(getattr(frames, "inputs", {})))


def range_step(frame: NDArray[np.intp]) -> Step:
    """Record that only these frames of the run are used, evenly spaced."""
    step = int(frame[1] - frame[0]) if len(frame) > 1 else 1
    parameters = {"start": int(frame[0]), "stop": int(frame[-1]) + 1, "step": step}
    return Step("choose frames", parameters)


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


def background_step(removed: BackgroundRemoved) -> Step:
    """Record a background that was taken off, with the discs (y, x, radius) left out of its fit."""
    return Step("take off background", {"order": removed.order, "discs": list(removed.discs)})


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


def rank_step(metric: str, smooth: float, keep: float | int, kept: int) -> Step:
    """Record a ranking and the cut."""
    return Step("rank", {"metric": metric, "smooth": smooth, "keep": keep, "kept": kept})


def stack_step(window: Window, shifted: bool, subpixel: bool, count: int) -> Step:
    """Record a mean of frames in a window."""
    parameters = {"method": "mean", "window": window_numbers(window), "frames": count}
    return Step("stack", {**parameters, "shifted": shifted, "subpixel": shifted and subpixel})


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


def checksum(image: NDArray[Any]) -> str:
    """Return a checksum of an image's pixels."""
    return hashlib.sha256(np.ascontiguousarray(image).tobytes()).hexdigest()[:16]
