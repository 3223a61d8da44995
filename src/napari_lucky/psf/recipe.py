"""How the figures of a PSF are measured: aperture, background ring, pixel."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from napari_lucky.errors import UsageError
from napari_lucky.optics.plain_number import plain_number

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


@dataclass(frozen=True)
class PsfRecipe:
    """How the figures of a PSF are measured; without it a Strehl ratio says little.

    Parameters
    ----------
    aperture : float, optional
        Radius of the circle whose light is the flux, in pixels. If None, the largest of 16, 12,
        8, 6, 4 and 3 lambda/D for which the window is large enough, and in whose light the noise
        is bearable: the same for all images of one kind, wherever in the window the star is.
    ring : (float, float), optional
        Inner and outer radius of the ring whose mean is the background, in pixels. If None, from
        the largest aperture that the window holds, a quarter of that radius wide; from an
        aperture that was given, an eighth of it wide.
    background : float, optional
        ADU a pixel, where it is known; then there is no ring.
    integration : float
        Side of the square that a pixel integrates over, in pixels of the image; 0 for none.

    Raises
    ------
    LuckyError
        If one of them makes no sense.
    """

    aperture: float | None = None
    ring: tuple[float, float] | None = None
    background: float | None = None
    integration: float = 1.0

    def __post_init__(self) -> None:
        for name, unit in (("aperture", "pix"), ("background", "adu"), ("integration", "pix")):
            if (given := getattr(self, name)) is not None:
                object.__setattr__(self, name, plain_number(given, unit, name))
        if self.aperture is not None and not 1 <= self.aperture < math.inf:
            raise UsageError(f"The aperture's radius is {self.aperture} pixels; it must be over 1.")
        if self.ring is not None:
            inner, outer = self.ring
            if not 0 < inner < inner + 1 <= outer < math.inf:
                raise UsageError(
                    f"The background ring is from {inner:g} to {outer:g} pixels; the outer radius "
                    "must be at least 1 px over the inner one."
                )
            if self.background is not None:
                raise UsageError("A background that is known needs no ring; give one of the two.")
        if self.background is not None and not math.isfinite(self.background):
            raise UsageError(f"The background is {self.background} ADU; give a number.")
        if not 0 <= self.integration <= 10:
            raise UsageError(
                f"A pixel integrates over {self.integration} pixels; it must be 0 to 10. (The "
                "pixel's size in um belongs to the telescope.)"
            )

    def resolved(self, room: float, unit: float, most: float = math.inf) -> PsfRecipe:
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
        if reach > room or aperture < unit:
            needed = max(reach, unit + LEAST_RING)
            raise UsageError(
                f"The peak is {max(room, 0):.4g} pixels from the image's edge, but the aperture "
                f"and the background ring need {needed:.4g}. Make them smaller, take a larger "
                "image, or, if that peak is not the star, say in which window the star is."
            )
        return replace(self, aperture=float(aperture), ring=ring)


def _inside_ring(radius: float) -> float:
    """Return the largest aperture whose ring ends at a radius."""
    return min(radius / (1 + RING), radius - LEAST_RING)
