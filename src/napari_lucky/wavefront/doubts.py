"""Whether fitted frames can be believed: chi² against 1, the error of the model, the turbulence.

What the constants do is measured by ``benchmarks/wavefront.py``.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_lucky.errors import LuckyError
from napari_lucky.text import percent
from napari_lucky.wavefront.check import Figures
from napari_lucky.wavefront.frame_fit import Floats
from napari_lucky.wavefront.many_frames import Fits

UNFITTED = 0.75
"""The model's error over the rms, in rad, of the turbulence that is not fitted: 0.69 to 0.78 at
D/r0 = 3 to 8 (benchmarks/wavefront.py)."""
FLOOR = 0.02
"""Error of the model that nothing needs to explain: a flat field, a pupil's samples."""
DOUBTED, REFUSED = 1.6, 2.5
"""The model's error over what turbulence explains."""
REFUSED_OVER = 0.5
"""No run is refused whose model's error is less."""
STRONG, TOO_STRONG = 0.33, 0.5
"""Error of the model over which frames, or all, end in false minima: D/r0 of 8 and 10."""
STRONG_TURBULENCE = 6.0
"""D/r0 over which they do whatever the error of the model, which a faint star hides."""
LEAST_CHI2, LOW_CHI2, HIGH_CHI2 = 0.3, 0.75, 2.0


def expected_error(d_over_r0: float, last_noll: int) -> float:
    """Return the error of the model that turbulence explains.

    Its phase beyond a Noll index J has 0.2944 J^(-sqrt(3)/2) (D/r0)^(5/3) rad² (Noll 1976).
    """
    unfitted = 0.2944 * last_noll ** (-np.sqrt(3) / 2) * d_over_r0 ** (5 / 3)
    return float(FLOOR + UNFITTED * np.sqrt(unfitted))


def doubts(
    fits: Fits,
    good: NDArray[np.bool_],
    d_over_r0: float,
    last_noll: int,
    figures: Figures | None,
    pedestal: float = 0.0,
) -> tuple[str, ...]:
    """Return what is doubtful about fitted frames, a sentence each.

    Parameters
    ----------
    fits : Fits
    good : ndarray of bool, (n,)
        Which frames are fitted.
    d_over_r0 : float
        As they have it.
    last_noll : int
        The last that is fitted.
    figures : Figures or None
        What the images say of the figures.
    pedestal : float, optional
        Level of the windows in ADU, if no dark was taken off them and it adds much to the noise
        that is expected; see `pedestal_in`.

    Raises
    ------
    LuckyError
        If the images are not those of a star.
    """
    chi2 = float(np.median(fits.chi2[good]))
    errors: Floats = np.median(fits.misfits[good], axis=0)
    error, expected = float(errors.max()), expected_error(d_over_r0, last_noll)
    if error > max(REFUSED * expected, REFUSED_OVER):
        raise LuckyError(
            "These are not the images of a star with these figures: the model is wrong by "
            f"{percent(error, '.0f')} of the light, where turbulence of D/r0 = {d_over_r0:.1f} "
            f"explains {percent(expected, '.0f')}. A wavefront needs a single point of light, not "
            "a double star or an extended object; otherwise check wavelength, focal ratio, "
            "pixel, obstruction and defocus."
        )
    level = ""
    if pedestal > 0 and chi2 < LOW_CHI2:
        level = (
            f"No dark is given, and the windows are at {pedestal:.4g} ADU beside the star: a "
            "pedestal of the camera counts as light, of which noise is expected that it does not "
            "have. Give a dark (--dark)"
        )
    if chi2 < LEAST_CHI2:
        raise LuckyError(
            f"chi² is {chi2:.2g}, far under 1: the noise assumed is too large, or the "
            "windows hold an extended object instead of a star. "
            + (f"{level}; otherwise check" if level else "Check")
            + " the gain and the read noise, and that there is nothing but the star in the windows."
        )
    said = list(figures.notes() if figures else ())
    if (strong := float(errors.mean())) > TOO_STRONG:
        said.append(
            f"Do not use this wavefront: the model is wrong by {percent(strong, '.0f')} of the "
            "light, and most frames end in false minima. Either the turbulence is too strong "
            f"(D/r0 = {d_over_r0:.1f} at least): use a longer wavelength, or a night with better "
            "seeing. Or defocus, focal ratio or obstruction are wrong: check them."
        )
    elif strong > STRONG or d_over_r0 > STRONG_TURBULENCE:
        said.append(
            f"The turbulence is strong (D/r0 = {d_over_r0:.1f}), or defocus, focal ratio or "
            f"obstruction are wrong: the model is wrong by {percent(strong, '.0f')} of the "
            "light, and a part of the frames may be in false minima. Do not rely on the standard "
            "errors."
        )
    elif error > DOUBTED * expected and not said:
        said.append(
            f"The model is wrong by {percent(error, '.0f')} of the light, where turbulence of "
            f"D/r0 = {d_over_r0:.1f} explains {percent(expected, '.0f')}: frames that moved during "
            "their exposure, a wide filter, a star that is not a point, or wrong figures of the "
            "telescope."
        )
    if not LOW_CHI2 < chi2 < HIGH_CHI2:
        said.append(
            f"chi² is {chi2:.2f} and should be about 1"
            + (f". {level}; otherwise check" if level else ": check")
            + " the gain and the read noise of the camera."
        )
    return tuple(said)
