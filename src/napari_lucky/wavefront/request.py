"""What is asked of a wavefront, declared as steps are: in recipes, options and docks alike."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import model_validator

from napari_lucky.errors import UsageError
from napari_lucky.steps.declaration import Request, param

MOST_MODES = 136


class WavefrontRequest(Request, table="wavefront", place=240, optional=True):
    """Measure the telescope's static wavefront from the focused and the defocused star.

    Each frame's pair of images is fitted with its own wavefront, and the mean over the frames is
    the telescope's: image = |fft2(P exp(i φ))|², φ = Σ a_j Z_j (Noll 1976, J. Opt. Soc. Am. 66,
    207), in the second image φ + π W (2 ρ² − 1); see docs/background/wavefront.md. Not with under 2
    pixels across λ/D, and not with frames that were chosen by their quality: selection biases the
    answer.
    """

    defocus_waves: float | None = param(
        None,
        "Defocus W of the second image against the first, peak-to-valley, with its sign.",
        "waves",
        "defocus",
        step=0.1,
        option="--defocus-pv",
    )
    defocus_mm: float | None = param(
        None,
        "The same as a shift of the focus, instead: W = shift / (8 F#² λ).",
        "mm",
        "or focus shift",
        step=0.1,
        option="--defocus-mm",
    )
    fit_defocus: bool = param(
        False,
        "Fit the defocus too, one for all frames, from a value that is right to some 10 %.",
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
        "How many frames; the error goes down with their square root.",
        step=10,
        option="--count",
        ge=1,
    )
    seed: int = param(
        0, "Of the random choice and of the starts of the fits.", option="--seed", ge=0
    )
    gain: float | None = param(
        None,
        "Of the camera; by default from the header (EGAIN), otherwise measured in the frames.",
        "e-/ADU",
        empty="auto",
        step=0.1,
        option="--gain",
        gt=0,
    )
    read_noise_e: float | None = param(
        None,
        "Of the camera; by default from the header (RDNOISE), otherwise measured in the frames.",
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
