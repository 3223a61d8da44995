"""The layers of a stack."""

from __future__ import annotations

from typing import Any

from napari_lucky.fits.image_result import BESIDE, ImageResult
from napari_lucky.viewer.to_layers import image_tuple


def stack_layers(result: ImageResult, name: str, beside: bool, **shared: Any) -> list[Any]:
    """Return the layers of a stack: variance and coverage `beside` it, if wanted, and itself."""
    parts = [*(result.beside if beside else ()), result]
    return [
        image_tuple(
            part.data,
            f"{name} {part.name.lower()}" if part.name in BESIDE else name,
            header=part.header,
            history=part.history,
            origin=part.origin,
            finer=part.scale,
            colormap="inferno",
            visible=part is result and result.name != "long_exposure",
            **shared,
        )
        for part in parts
    ]
