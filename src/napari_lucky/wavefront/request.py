"""What is asked of a wavefront, declared as steps are: in recipes, options and docks alike."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import model_validator

from napari_lucky.errors import UsageError
from napari_lucky.steps.declaration import Request, param

MOST_MODES = 136


class WavefrontRequest(Request, table="wavefront", place=240, optional=True):
    """Measure the telescope's static wavefront from the focused and the defocused star.

    Each frame's pair of images is fitted with a separate wavefront; the mean over the frames is
    the telescope's: image = |fft2(P exp(i φ))|², φ = Σ a_j Z_j (Noll 1976, J. Opt. Soc. Am. 66,
    207), in the second image φ + π W (2 ρ² − 1); see docs/background/wavefront.md. Do not use it
    with fewer than 2 px per λ/D, or on frames chosen by their quality: selection biases the result.
    """

    defocus_waves: float | None = param(
        None,
        "Defocus W of the second image against the first, peak to valley, with its sign.",
        "waves",
        "defocus",
        step=0.1,
        option="--defocus-pv",
    )
    defocus_mm: float | None = param(
        None,
        "The same as a shift of the focus: W = shift / (8 F² λ).",
        "mm",
        "or focus shift",
        step=0.1,
        option="--defocus-mm",
    )
    fit_defocus: bool = param(
        False,
        "Fit the defocus too, one value for all frames; what you give must be right to about 10 %.",
        option="--fit-defocus",
    )
    modes: int = param(
        36,
        "Report Zernike terms 4 to this one (Noll); at least 66 are fitted.",
        label="last Zernike",
        option="--modes",
        ge=4,
        le=MOST_MODES,
    )
    choice: Literal["random", "all", "ranked"] = param(
        "random",
        "Which frames: a number at random, all, or the best ranked, which biases the result.",
        label="frames",
        option="--choose",
    )
    count: int = param(
        200,
        "Number of frames; the error falls with its square root.",
        step=10,
        option="--count",
        ge=1,
    )
    seed: int = param(
        0, "Seed of the random choice and of the starts of the fits.", option="--seed", ge=0
    )
    gain: float | None = param(
        None,
        "Gain of the camera; by default from the header (EGAIN), otherwise measured.",
        "e-/ADU",
        empty="auto",
        step=0.1,
        option="--gain",
        gt=0,
    )
    read_noise_e: float | None = param(
        None,
        "Read noise of the camera; by default from the header (RDNOISE), otherwise measured.",
        "e-",
        "read noise",
        empty="auto",
        step=0.1,
        option="--read-noise",
        gt=0,
    )

    @model_validator(mode="after")
    def _one_defocus(self) -> Self:
        if self.defocus_waves is not None and self.defocus_mm is not None:
            raise UsageError("The defocus is given in waves and in mm; give one of the two.")
        return self

    def changed(self, **values: Any) -> Self:
        """Return a copy with other values; defocus in waves and in mm replace each other."""
        if values.get("defocus_waves") is not None:
            values = {"defocus_mm": None} | values
        if values.get("defocus_mm") is not None:
            values = {"defocus_waves": None} | values
        return super().changed(**values)
