"""What a wavefront is measured with: telescope, windows, modes; and whether they make sense.

What the constants do is measured by ``benchmarks/wavefront.py``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from pydantic import field_validator

from napari_lucky.errors import UsageError
from napari_lucky.frames.window import Window, as_window
from napari_lucky.optics.request import Spider
from napari_lucky.optics.telescope_sense import impossible
from napari_lucky.steps.declaration import param
from napari_lucky.wavefront.pair_model import COARSE, bins_for
from napari_lucky.wavefront.request import WavefrontRequest

OPTICS = ("wavelength_nm", "focal_ratio", "pixel_um", "obstruction")
FITTED = 66
"""The last Noll index that is fitted, whatever is reported: all of radial order 10 and less."""
LEAST_DEFOCUS = 0.3
"""In waves: below, the two images are too much alike."""


class WavefrontParameters(WavefrontRequest):
    """A `WavefrontRequest` with all that it needs: windows, telescope, defocus in waves, noise.

    It is made from keywords, those of the request among them; `WavefrontRequest` says what they
    are. λ F#/pixel px across λ/D set the scale. The obstruction is the central one's diameter over
    the pupil's. `defocus_waves` must be known; the function of that name makes it of mm.
    """

    focus: Window = param(..., "Of the focused star, or (y, x, size).")
    defocus: Window = param(..., "Of the defocused star on the same frame, or (y, x, size).")
    wavelength_nm: float = param(..., "Of the light.", "nm")
    focal_ratio: float = param(..., "Focal length over diameter, at the camera.")
    pixel_um: float = param(..., "Side of a pixel.", "µm")
    defocus_waves: float = param(..., "Of the second image against the first, with its sign.")
    obstruction: float = param(0.0, "Diameter of the central obstruction over the pupil's.")
    spider: Spider | None = param(None, "Vanes before the pupil.")
    d_over_r0: float = param(5.0, "First guess; what the run shows takes its place.", gt=0)
    noise_source: str = param("given", "Where gain and read noise are from.")

    @field_validator("focus", "defocus", mode="before")
    @classmethod
    def _windows(cls, given: Any) -> Window:
        return as_window(given)

    @property
    def sampling(self) -> float:
        """Pixels across lambda/D."""
        return self.wavelength_nm * 1e-3 * self.focal_ratio / self.pixel_um

    @property
    def last_fitted(self) -> int:
        """The last Noll index that is fitted."""
        return max(self.modes, FITTED)

    @property
    def nm_per_rad(self) -> float:
        """What makes nm of rad of phase."""
        return self.wavelength_nm / (2 * np.pi)

    def check(self, shape: tuple[int, ...]) -> tuple[str, ...]:
        """Raise unless this makes sense for frames of a (n, y, x) shape; return what to note.

        Raises
        ------
        LuckyError
            One sentence says what does not.
        """
        self._check_numbers()
        bins_for(self.sampling)  # refuses too coarse a sampling
        for name, window in (("focus", self.focus), ("defocus", self.defocus)):
            window.check_on(shape, f"{name} window")
        return self._check_windows()

    def _check_numbers(self) -> None:
        if why := impossible({name: getattr(self, name) for name in OPTICS}):
            raise UsageError(why)
        if not 0 <= self.obstruction < 0.9:
            raise UsageError(
                f"The central obstruction is {self.obstruction}; give its diameter over the "
                "pupil's, 0 to under 0.9."
            )
        if not (np.isfinite(self.defocus_waves) and abs(self.defocus_waves) >= LEAST_DEFOCUS):
            raise UsageError(
                f"The defocus between the images is {self.defocus_waves:g} waves; with less than "
                f"{LEAST_DEFOCUS} the sign of the even modes (defocus, astigmatism, spherical) "
                "cannot be known. Take the second image 1 to 3 waves out of focus."
            )

    def _check_windows(self) -> tuple[str, ...]:
        notes = []
        if self.sampling < COARSE:
            notes.append(
                f"The sampling is {self.sampling:.2f} px per λ/D, under {COARSE:g}: the "
                f"sensor does not resolve the finest speckles, so the result is uncertain."
            )
        radius = 4 * abs(self.defocus_waves) * self.sampling  # of the donut, in px
        side = min(self.defocus.shape)
        if side < 2 * radius + 2 * self.sampling:
            raise UsageError(
                f"The defocus window is {side} pixels wide, but {abs(self.defocus_waves):g} waves "
                f"of defocus make a donut of {2 * radius:.0f} pixels: give it "
                f"{int(2 * radius + 8 * self.sampling)} or more."
            )
        if side < 2 * radius + 6 * self.sampling:
            notes.append(
                f"The donut of {2 * radius:.0f} pixels nearly fills the defocus window of {side}; "
                "turbulence throws light beyond it. A larger window is better."
            )
        if min(self.focus.shape) < 8 * self.sampling:
            raise UsageError(
                f"The focus window is {min(self.focus.shape)} pixels wide, under 8 λ/D "
                f"({8 * self.sampling:.0f} pixels): the speckles do not fit in it."
            )
        a, b = self.focus, self.defocus
        if a.y0 < b.y1 and b.y0 < a.y1 and a.x0 < b.x1 and b.x0 < a.x1:
            notes.append("The two windows overlap: one star's light may be in the other's window.")
        if self.choice == "ranked":
            notes.append(
                "These are the best-ranked frames, in which turbulence cancels part of the "
                "telescope's aberration: the wavefront comes out too small. Use random frames."
            )
        return tuple(notes)


def defocus_waves(shift_mm: float, focal_ratio: float, wavelength_nm: float) -> float:
    """Return the defocus in waves peak-to-valley that a shift of the focus by some mm makes.

    W = dz / (8 F² lambda).

    Parameters
    ----------
    shift_mm : float
        Of the focus, along the axis, mm; with its sign.
    focal_ratio : float
        Focal length over diameter, at the camera.
    wavelength_nm : float
        Of the light.

    Returns
    -------
    float
        W, waves peak-to-valley.
    """
    return shift_mm * 1e6 / (8 * focal_ratio**2 * wavelength_nm)
