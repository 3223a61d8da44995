"""The telescope's figures in a FITS header, its units checked for sense."""

from __future__ import annotations

import math
import re
from typing import Any

from napari_lucky.optics.telescope_sense import impossible

UNITS = {
    "m": 1.0,
    "metre": 1.0,
    "meter": 1.0,
    "cm": 1e-2,
    "mm": 1e-3,
    "um": 1e-6,
    "micron": 1e-6,
    "micrometre": 1e-6,
    "micrometer": 1e-6,
    "nm": 1e-9,
    "nanometre": 1e-9,
    "nanometer": 1e-9,
    "angstrom": 1e-10,
    "a": 1e-10,
}
"""In metres."""
LEAST_OBSTRUCTION, MOST_OBSTRUCTION = 0.05, 0.9
"""APTAREA that makes another one is that of the whole circle, or wrong."""
BINNINGS = ("XBINNING", "CCDXBIN", "BINX")


def header_telescope(header: Any) -> dict[str, float]:
    """Return the telescope's figures in a FITS header: some of `Telescope`'s parameters.

    APTDIA and FOCALLEN are in mm, and FOCRATIO gives the focal ratio without them; XPIXSZ, the
    pixel after binning, or PIXSIZE1 or PIXSIZE times XBINNING in um; WAVELEN in nm, WAVELNTH in
    the unit of WAVEUNIT (its name, or the power of ten in m). A unit in brackets in the card's
    comment wins. APTAREA in mm², where it is less than the circle's, gives the obstruction. What
    makes no sense is passed over; `header_doubts` reports it.

    Parameters
    ----------
    header : mapping or astropy.io.fits.Header, optional
        Without one nothing is known.
    """
    return _Reading(header).values


def header_doubts(header: Any) -> tuple[str, ...]:
    """Return a sentence for each card of the telescope that makes no sense.

    Parameters
    ----------
    header : mapping or astropy.io.fits.Header, optional
        As `header_telescope` reads it.
    """
    return tuple(_Reading(header).doubts)


class _Reading:
    """The values of a header, and what was passed over."""

    def __init__(self, header: Any) -> None:
        self._header = {} if header is None else header
        self.values: dict[str, float] = {}
        self.doubts: list[str] = []
        diameter = self._length("APTDIA", "mm", "m")
        if diameter is not None:
            self._take("diameter_m", diameter, "APTDIA is")
        self._read_focal_ratio()
        self._read_wavelength()
        self._read_pixel()
        self._read_obstruction()

    def _number(self, keyword: str) -> float | None:
        value = self._header.get(keyword)
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            return None
        return float(value) if 0 < value < math.inf else None

    def _length(self, keyword: str, unit: str, wanted: str) -> float | None:
        """Return a card's length in a wanted unit; `unit` is the usual one of the card."""
        value = self._number(keyword)
        if value is None:
            return None
        comments = getattr(self._header, "comments", None)
        named = re.match(r"\s*[\[(]\s*(\w+?)s?\s*[\])]", str(comments[keyword]) if comments else "")
        factor = UNITS.get(named[1].lower() if named else unit, UNITS[unit])
        return value if factor == UNITS[wanted] else value * (factor / UNITS[wanted])

    def _take(self, name: str, value: float, cards: str) -> None:
        if why := impossible({name: value}):
            self.doubts.append(f"The header's {cards} ignored: {why[0].lower()}{why[1:]}")
        else:
            self.values[name] = value

    def _read_focal_ratio(self) -> None:
        focal, diameter = self._length("FOCALLEN", "mm", "m"), self.values.get("diameter_m")
        ratio = self._number("FOCRATIO")
        if focal is not None and diameter is not None:
            self._take("focal_ratio", focal / diameter, "FOCALLEN over APTDIA is")
        if ratio is not None and "focal_ratio" not in self.values:
            self._take("focal_ratio", ratio, "FOCRATIO is")

    def _read_wavelength(self) -> None:
        length = self._length("WAVELEN", "nm", "nm")
        card, unit = "WAVELEN", self._header.get("WAVEUNIT")
        if length is None and (number := self._number("WAVELNTH")) is not None:
            card = "WAVELNTH"
            if isinstance(unit, int) and -12 <= unit <= 0:
                length = number * 10.0 ** (unit + 9)
            elif isinstance(unit, str) and unit.strip().lower() in UNITS:
                length = number * UNITS[unit.strip().lower()] / UNITS["nm"]
        if length is not None:
            self._take("wavelength_nm", length, f"{card} is")

    def _read_pixel(self) -> None:
        binning = next(filter(None, map(self._number, BINNINGS)), 1.0)
        binned = self._length("XPIXSZ", "um", "um")
        card, bare = "XPIXSZ", None
        for card in ("PIXSIZE1", "PIXSIZE"):
            if (bare := self._length(card, "um", "um")) is not None:
                break
        both = binned is not None and bare is not None and binning > 1
        if both and math.isclose(binned or 0, bare or 0, rel_tol=1e-3):
            self.doubts.append(
                f"The header's XPIXSZ and {card} are ignored: both are {bare:g} um, with a "
                f"binning of {binning:g}; one should be the pixel after binning."
            )
            return
        side = binned if binned is not None else None if bare is None else bare * binning
        if side is None:
            return
        rows = self._length("YPIXSZ", "um", "um") if binned is not None else None
        if rows is not None and not math.isclose(rows, side, rel_tol=1e-3):
            self.doubts.append(
                f"The header's XPIXSZ and YPIXSZ are ignored: {side:g} and {rows:g} um; "
                "pixels must be square."
            )
            return
        self._take("pixel_um", side, f"{'XPIXSZ' if binned is not None else card} is")

    def _read_obstruction(self) -> None:
        area, diameter = self._number("APTAREA"), self.values.get("diameter_m")
        if area is None or diameter is None:
            return
        hidden = 1 - area / (math.pi / 4 * (diameter * 1e3) ** 2)
        if LEAST_OBSTRUCTION <= math.sqrt(max(hidden, 0)) <= MOST_OBSTRUCTION:
            self.values["obstruction"] = math.sqrt(hidden)
