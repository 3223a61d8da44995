"""How the figures of a PSF are measured: aperture, background ring, pixel."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from .diffraction import Diffraction
from .errors import LuckyError

MOST_APERTURE = 20.0
"""lambda/D; a default aperture is no larger, lest it hold another star."""
RING, LEAST_RING = 1 / 8, 2.0
"""Width of a default ring, of the aperture's radius, and in pixels at least."""


@dataclass(frozen=True)
class FigureRecipe:
    """How the figures of a PSF are measured; without it a Strehl ratio says little.

    Parameters
    ----------
    aperture : float, optional
        Radius of the circle whose light is the flux, in pixels. If None, as large as the image
        allows with a ring around it, an eighth of its radius wide; 20 lambda/D at most.
    ring : (float, float), optional
        Inner and outer radius of the ring whose mean is the background, in pixels. If None, from
        the aperture on, as wide as said.
    background : float, optional
        ADU a pixel, where it is known; then there is no ring.
    pixel : float
        Side of the square that a pixel integrates over, in pixels of the image; 0 for none.

    Raises
    ------
    LuckyError
        If one of them makes no sense.
    """

    aperture: float | None = None
    ring: tuple[float, float] | None = None
    background: float | None = None
    pixel: float = 1.0

    def __post_init__(self) -> None:
        if self.aperture is not None and not 1 <= self.aperture < math.inf:
            raise LuckyError(f"The aperture's radius is {self.aperture} pixels; it must be over 1.")
        if self.ring is not None:
            inner, outer = self.ring
            if not 0 < inner < inner + 1 <= outer < math.inf:
                raise LuckyError(
                    f"The background ring is from {inner:g} to {outer:g} pixels; the outer radius "
                    "must be at least 1 px over the inner one."
                )
            if self.background is not None:
                raise LuckyError("A background that is known needs no ring; give one of the two.")
        if self.background is not None and not math.isfinite(self.background):
            raise LuckyError(f"The background is {self.background} ADU; give a number.")
        if not 0 <= self.pixel <= 10:
            raise LuckyError(
                f"The pixel that integrates is {self.pixel} pixels wide; it must be 0 to 10."
            )

    def resolved(
        self, room: float, diffraction: Diffraction, most: float = math.inf
    ) -> FigureRecipe:
        """Return the recipe with its radii filled in.

        Parameters
        ----------
        room : float
            Distance from the peak to the image's nearest edge, in pixels.
        diffraction : Diffraction
            The diffraction-limited PSF.
        most : float
            What a default aperture and its ring are held to, in pixels.

        Raises
        ------
        LuckyError
            If the circles do not fit.
        """
        aperture, ring = self.aperture, self.ring
        if aperture is None:
            free = min(room, most)
            if ring is None and self.background is None:
                free = min(free / (1 + RING), free - LEAST_RING)
            elif ring is not None:
                free = min(free, ring[0])
            aperture = math.floor(min(free, MOST_APERTURE * diffraction.sampling))
        if ring is None and self.background is None:
            ring = (float(aperture), aperture + max(LEAST_RING, aperture * RING))
        reach = max(aperture, ring[1] if ring else 0)
        if reach > room or aperture < diffraction.sampling:
            needed = max(reach, diffraction.sampling + LEAST_RING)
            raise LuckyError(
                f"The peak is {max(room, 0):.4g} pixels from the image's edge, but the aperture "
                f"and the background ring need {needed:.4g}. Make them smaller, or take a larger "
                "window."
            )
        return replace(self, aperture=float(aperture), ring=ring)
