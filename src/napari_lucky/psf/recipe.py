"""How the figures of a PSF are measured: aperture, background ring, pixel.

What the constants do is measured by ``benchmarks/figures.py``.
"""

from __future__ import annotations

import math
from typing import Any, Self

from pydantic import field_validator, model_validator

from napari_lucky.errors import UsageError
from napari_lucky.frames.window import Window
from napari_lucky.optics.diffraction import MAX_SAMPLING, Diffraction
from napari_lucky.pipeline.step import WindowSpec, window_spec
from napari_lucky.steps.declaration import Request, param

APERTURES = {16: 0.02, 12: 0.05, 8: 0.05, 6: 0.15, 4: 0.25, 3: math.inf}
"""Radii of default apertures in lambda/D, and the noise of the flux over which the next one is
taken: about as much as its lost halo would add to the Strehl ratio at D/r0 = 5."""
FAITHFUL = 3.0
"""lambda/D; a smaller aperture leaves out much of even a good star's light."""
RING, NARROW_RING, LEAST_RING = 1 / 4, 1 / 8, 2.0
"""Width of a default ring, of the radius where it begins; around an aperture that was given; and
in pixels at least."""
SPARE = 0.85
"""Of half the window: what is beyond is left to the star's place, so that the aperture does not
depend on it."""
FEWEST_RESAMPLES, MOST_RESAMPLES = 10, 5000
LEAST_WIDTH = 1.0
"""Pixels that a ring is wide at least."""


class PsfRecipe(Request):
    """How the figures of a PSF are measured; without it a Strehl ratio says little.

    See `napari_lucky.psf_figures`.
    """

    aperture: float | None = param(
        None,
        "Radius of the circle whose light is the flux; by default the largest of 16, 12, 8, 6, 4 "
        "and 3 λ/D that the window has room for and in which the noise is acceptable.",
        "px",
        empty="auto",
        option="--aperture",
        ge=1,
    )
    ring: tuple[float, float] | None = param(
        None,
        "Inner and outer radius of the ring whose mean is the background; by default around the "
        "aperture.",
        "px",
        "ring",
        empty="auto",
        option="--ring",
        strict=False,
    )
    background: float | None = param(
        None,
        "The background if it is known, such as 0; then no ring is used.",
        "ADU",
        empty="by ring",
        option="--level",
    )
    integration: float = param(
        1.0,
        "Side of the square that a pixel integrates over; 0 for none.",
        "px",
        step=0.5,
        option="--integration",
        ge=0,
        le=10,
    )

    @model_validator(mode="after")
    def _ring_makes_sense(self) -> Self:
        if self.ring is not None:
            inner, outer = self.ring
            if not 0 < inner < inner + LEAST_WIDTH <= outer:
                raise UsageError(
                    f"The background ring is from {inner:g} to {outer:g} pixels; the outer radius "
                    "must be at least 1 px over the inner one."
                )
            if self.background is not None:
                raise UsageError("A background that is known needs no ring; give one of the two.")
        return self

    def changed(self, **values: Any) -> Self:
        """Return a copy with other values; ring and background replace each other."""
        if values.get("background") is not None:
            values = {"ring": None} | values
        if values.get("ring") is not None:
            values = {"background": None} | values
        return super().changed(**values)

    def resolved(self, room: float, unit: float, most: float = math.inf) -> Self:
        """Return the recipe with its radii filled in.

        Parameters
        ----------
        room : float
            Distance from the peak to the image's nearest edge, in pixels.
        unit : float
            lambda/D in pixels; where it is not known, the star's FWHM.
        most : float
            What a default aperture and its ring are held to, in pixels: half the window.

        Raises
        ------
        LuckyError
            If the circles do not fit.
        """
        aperture, ring = self.aperture, self.ring
        has_ring = self.background is None
        if aperture is None:
            free = min(room, SPARE * most)
            if ring is not None:
                free = min(free, ring[0])
            elif has_ring:
                free = _inside_ring(free)
            fits = (radius * unit for radius in APERTURES if radius * unit <= free)
            smallest = _inside_ring(room) if ring is None and has_ring else free
            aperture = next(fits, math.floor(min(smallest, FAITHFUL * unit)))
        if ring is None and has_ring:
            width = RING if self.aperture is None else NARROW_RING
            ring = (float(aperture), aperture + max(LEAST_RING, aperture * width))
        reach = max(aperture, ring[1] if ring else 0)
        if self.aperture is not None and self.aperture < unit:
            raise UsageError(
                f"An aperture of {self.aperture:g} px does not hold the star's core: it must be at "
                f"least {unit:.3g} px, which is λ/D or, where that is not known, the FWHM."
            )
        if reach > room or aperture < unit:
            needed = max(reach, unit + LEAST_RING)
            raise UsageError(
                f"The peak is {max(room, 0):.4g} pixels from the image's edge, but the aperture "
                f"and the background ring need {needed:.4g}. Make them smaller, take a larger "
                "image, or, if that peak is not the star, say in which window the star is."
            )
        return self.changed(aperture=float(aperture), ring=ring)


def _inside_ring(radius: float) -> float:
    """Return the largest aperture whose ring ends at a radius."""
    return min(radius / (1 + RING), radius - LEAST_RING)


class PsfRequest(PsfRecipe, table="psf", place=230, optional=True):
    """Measure Strehl ratio, FWHM, encircled energy and profile of a star's image.

    Strehl ratio = ((max I − b) / F) / ((max P − b_P) / F_P), with b the background, F the light in
    the aperture over it, and P the diffraction-limited PSF, measured in the same way (Roberts et
    al. 2004, Proc. SPIE 5490, 504); see `napari_lucky.psf_figures`. Errors come from a bootstrap
    over the frames of a stack (Efron 1979). Compare only Strehl ratios with the same aperture in
    λ/D. If a halo is wider than the aperture, they are too high.
    """

    sampling: float | None = param(
        None,
        "Sampling of the diffraction-limited PSF, px per λ/D, instead of the telescope.",
        "px",
        hand_made=True,
        ge=1,
        le=MAX_SAMPLING,
    )
    obstruction: float | None = param(
        None,
        "Diameter of the central obstruction over the pupil's, to go with the sampling; 0 by "
        "default.",
        hand_made=True,
        ge=0,
        lt=1,
    )
    window: WindowSpec | None = param(
        None,
        "Where the star is on the image: centre (y, x) and side; by default the brightest star is "
        "measured.",
        "px",
        option="--window",
        hand_made=True,
        strict=False,
    )
    resamples: int = param(
        200,
        "Number of bootstrap stacks, of frames drawn with replacement; their scatter is the error. "
        "At least 10, or 0 for the error from noise alone.",
        option="--bootstrap",
        step=10,
        ge=0,
        le=MOST_RESAMPLES,
    )

    _window_spec = field_validator("window", mode="before")(window_spec)

    @model_validator(mode="after")
    def _enough_resamples(self) -> Self:
        if self.resamples:
            check_resamples(self.resamples)
        if self.window is not None:
            Window.centred(*self.window)
        return self

    @property
    def diffraction(self) -> Diffraction | None:
        """The diffraction-limited PSF, if it is given instead of the telescope."""
        return (
            None if self.sampling is None else Diffraction(self.sampling, self.obstruction or 0.0)
        )

    @property
    def near(self) -> Window | None:
        """Where on the image the star is, if that is given."""
        return None if self.window is None else Window.centred(*self.window)

    @property
    def recipe(self) -> PsfRecipe:
        """Aperture, ring and pixel alone."""
        return PsfRecipe(**{name: getattr(self, name) for name in PsfRecipe.model_fields})


def check_resamples(resamples: int) -> None:
    """Raise a `LuckyError` unless there is a sensible number of resamples."""
    if not FEWEST_RESAMPLES <= resamples <= MOST_RESAMPLES:
        raise UsageError(
            f"{resamples} resamples cannot be made; give {FEWEST_RESAMPLES} to {MOST_RESAMPLES}."
        )
