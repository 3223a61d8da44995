"""Zernike polynomials in Noll's order, their names, and what turbulence makes of them."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

from napari_lucky.errors import LuckyError

_NAMES = {
    1: "piston",
    2: "tilt x",
    3: "tilt y",
    4: "defocus",
    5: "astigmatism 45°",
    6: "astigmatism 0°",
    7: "coma y",
    8: "coma x",
    9: "trefoil y",
    10: "trefoil x",
    11: "spherical",
}
_FAMILIES = {
    0: "spherical",
    1: "coma",
    2: "astigmatism",
    3: "trefoil",
    4: "tetrafoil",
    5: "pentafoil",
}
_PLACES = ("", "2nd ", "3rd ")


def noll_orders(noll: int) -> tuple[int, int]:
    """Return the radial order n and the azimuthal order m >= 0 of a Noll index.

    Raises
    ------
    LuckyError
        If there is no such index.
    """
    if noll < 1:
        raise LuckyError(f"A Noll index is 1 or more, not {noll}.")
    n = (math.isqrt(8 * noll - 7) - 1) // 2
    place = noll - n * (n + 1) // 2
    return n, place - (place + n) % 2


def zernike(noll: int, rho: NDArray[np.float64], theta: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return the Zernike polynomial of a Noll index (Noll 1976), orthonormal on the unit disk.

    Even indices go with cos(m theta), odd ones with sin(m theta); theta is counted from the
    x axis towards the y axis, which points down as in the image.

    Parameters
    ----------
    noll : int
        1 or more.
    rho, theta : ndarray
        Polar coordinates, rho = 1 on the rim, theta in rad.

    Returns
    -------
    ndarray of float32
        Of the shape of `rho` and `theta`; rms 1 over the unit disk.

    Raises
    ------
    LuckyError
        If there is no such index.
    """
    n, m = noll_orders(noll)
    radial = np.zeros_like(rho)
    for s in range((n - m) // 2 + 1):
        binomials = math.comb(n - s, s) * math.comb(n - 2 * s, (n - m) // 2 - s)
        radial += (-1) ** s * binomials * rho ** (n - 2 * s)
    angular = math.sqrt(2) * (np.sin if noll % 2 else np.cos)(m * theta) if m else 1.0
    return np.asarray(math.sqrt(n + 1) * radial * angular, np.float32)


def zernike_name(noll: int) -> str:
    """Return what a mode is called, such as "coma x"; of high orders "n = 8, m = 4, sin".

    Parameters
    ----------
    noll : int
        Noll index, 1 or more.

    Returns
    -------
    str
        Its name.
    """
    if noll in _NAMES:
        return _NAMES[noll]
    n, m = noll_orders(noll)
    base = max(m, 4 - m)  # the radial order of the lowest of the family: 4, 3, 2, 3, 4, 5
    family, place = _FAMILIES.get(m), (n - base) // 2
    if family is None or place >= len(_PLACES):
        family, place = f"n = {n}, m = {m}", 0
    side = "" if m == 0 else " sin" if noll % 2 else " cos"
    return _PLACES[place] + family + side


def kolmogorov_covariance(nolls: Sequence[int]) -> NDArray[np.float64]:
    """Return the covariance of Zernike coefficients in Kolmogorov turbulence, at D/r0 = 1.

    Noll (1976, J. Opt. Soc. Am. 66, 207), eq. 25, written as in Roddier (1990, Opt. Eng. 29,
    1174): modes of the same m and the same parity are correlated (defocus with spherical, tilt
    with coma, ...). It scales with (D/r0)^(5/3).

    Parameters
    ----------
    nolls : sequence of int
        Noll indices, 2 or more; the piston's variance is infinite.

    Returns
    -------
    ndarray of float64, (k, k)
        In rad².

    Raises
    ------
    LuckyError
        If the piston is among them.
    """
    if min(nolls) < 2:
        raise LuckyError("Kolmogorov turbulence has no finite piston: give Noll indices from 2 on.")
    orders = np.array([noll_orders(noll) for noll in nolls])
    n, m = orders.T
    n1, n2 = n[:, None], n[None, :]
    constant = math.gamma(14 / 3) * (24 / 5 * math.gamma(6 / 5)) ** (5 / 6)
    constant *= math.gamma(11 / 6) ** 2 / (2 * np.pi**2)
    log = (
        gammaln((n1 + n2 - 5 / 3) / 2)
        - gammaln((n1 - n2 + 17 / 3) / 2)
        - gammaln((n2 - n1 + 17 / 3) / 2)
        - gammaln((n1 + n2 + 23 / 3) / 2)
    )
    # gammaln is of the absolute value; where an argument is negative the sign must come beside
    sign = _gamma_sign((n1 - n2 + 17 / 3) / 2) * _gamma_sign((n2 - n1 + 17 / 3) / 2)
    sign = sign * (-1.0) ** ((n1 + n2 - 2 * m[:, None]) // 2)
    parity = np.array(nolls) % 2
    same = m[:, None] == m[None, :]
    same &= (parity[:, None] == parity[None, :]) | (m[:, None] == 0)
    return np.where(same, constant * sign * np.sqrt((n1 + 1) * (n2 + 1)) * np.exp(log), 0.0)


def _gamma_sign(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the sign of the gamma function."""
    return np.where((x > 0) | (np.floor(x) % 2 == 0), 1.0, -1.0)
