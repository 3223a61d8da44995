"""What a wavefront is measured with: telescope, windows, modes; and whether they make sense."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from napari_lucky.errors import UsageError
from napari_lucky.frames.window import Window, as_window
from napari_lucky.optics.plain_number import plain_number
from napari_lucky.optics.pupil import Spider
from napari_lucky.optics.telescope_sense import impossible
from napari_lucky.wavefront.pair_model import COARSE, bins_for

Choice = Literal["random", "all", "ranked"]
CHOICES: tuple[str, ...] = get_args(Choice)
OPTICS = ("wavelength_nm", "focal_ratio", "pixel_um", "obstruction")
FITTED = 66
"""The last Noll index that is fitted, whatever is reported: all of radial order 10 and less."""
MOST_MODES = 136
LEAST_DEFOCUS = 0.3
"""In waves: below, the two images are too much alike."""


@dataclass(frozen=True)
class WavefrontParameters:
    """What is measured, and how.

    Parameters
    ----------
    focus, defocus : Window or (y, x, size)
        Of the focused and of the defocused star, on the same frame.
    wavelength_nm, focal_ratio, pixel_um : float
        They set the scale: lambda F#/pixel px across lambda/D.
    obstruction : float
        Diameter of the central obstruction over the pupil's.
    defocus_waves : float
        Of the defocused image against the focused one, waves peak-to-valley, with its sign: it adds
        pi W (2 rho² - 1) to the phase. `defocus_waves` makes it of mm.
    fit_defocus : bool
        Whether it is fitted, one for all frames, from within some 10 % of it.
    spider : Spider, optional
        Vanes before the pupil.
    modes : int
        Noll 4 to this one are reported; 66 at least are fitted.
    choice : {"random", "all", "ranked"}
        Which frames: `count` at random, all, or the `count` of the highest quality, which biases
        the answer.
    count : int
        How many frames.
    seed : int
        Of the choice and of the starts.
    d_over_r0 : float
        First guess; what the run shows takes its place.
    gain, read_noise_e : float, optional
        Of the camera in e-/ADU and e-; measured on the frames if None.
    noise_source : str
        Where these two are from.
    """

    focus: Window
    defocus: Window
    wavelength_nm: float
    focal_ratio: float
    pixel_um: float
    defocus_waves: float
    obstruction: float = 0.0
    fit_defocus: bool = False
    spider: Spider | None = None
    modes: int = 36
    choice: Choice = "random"
    count: int = 200
    seed: int = 0
    d_over_r0: float = 5.0
    gain: float | None = None
    read_noise_e: float | None = None
    noise_source: str = "given"

    def __post_init__(self) -> None:
        for name in ("focus", "defocus"):
            object.__setattr__(self, name, as_window(getattr(self, name)))
        for name, unit in (("wavelength_nm", "nm"), ("focal_ratio", ""), ("pixel_um", "um")):
            object.__setattr__(self, name, plain_number(getattr(self, name), unit, name))

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
        bins_for(self.sampling)  # tells of too coarse a sampling
        for name, window in (("focus", self.focus), ("defocus", self.defocus)):
            window.check_on(shape, f"{name} window")
        return self._check_windows()

    def _check_numbers(self) -> None:
        if why := impossible({name: getattr(self, name) for name in OPTICS}):
            raise UsageError(why)
        if not (np.isfinite(self.d_over_r0) and self.d_over_r0 > 0):
            raise UsageError(f"d_over_r0 is {self.d_over_r0}; it must be over 0.")
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
        if not 4 <= self.modes <= MOST_MODES:
            raise UsageError(f"{self.modes} Zernikes cannot be told: Noll 4 to {MOST_MODES}.")
        if self.choice not in CHOICES:
            raise UsageError(f"Frames are chosen {', '.join(CHOICES)}; not {self.choice!r}.")
        if self.count < 1:
            raise UsageError(f"{self.count} frames are too few: 1 or more.")
        if self.seed < 0:
            raise UsageError(f"The seed is {self.seed}; it must be 0 or more.")
        for name in ("gain", "read_noise_e"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise UsageError(f"{name} is {value}; it must be over 0, or left out.")

    def _check_windows(self) -> tuple[str, ...]:
        notes = []
        if self.sampling < COARSE:
            notes.append(
                f"lambda F#/pixel is {self.sampling:.2f}, under {COARSE:g} pixels across lambda/D: "
                "the sensor does not see the finest speckles, and the answer is weak."
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
                f"The focus window is {min(self.focus.shape)} pixels wide, under 8 lambda/D "
                f"({8 * self.sampling:.0f} pixels): the speckles do not fit in it."
            )
        a, b = self.focus, self.defocus
        if a.y0 < b.y1 and b.y0 < a.y1 and a.x0 < b.x1 and b.x0 < a.x1:
            notes.append("The two windows overlap: one star's light may be in the other's window.")
        if self.choice == "ranked":
            notes.append(
                "The frames were ranked: selection prefers those whose turbulence cancels the "
                "telescope's own aberration, and the wavefront comes out too small. Random frames "
                "do not."
            )
        return tuple(notes)


def defocus_waves(shift_mm: float, focal_ratio: float, wavelength_nm: float) -> float:
    """Return the defocus in waves peak-to-valley that a shift of the focus by some mm makes.

    W = dz / (8 F² lambda).
    """
    return shift_mm * 1e6 / (8 * focal_ratio**2 * wavelength_nm)
