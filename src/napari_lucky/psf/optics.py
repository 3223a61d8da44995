"""The optics behind an image: what its header gives, and what is known besides."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from napari_lucky.optics.diffraction import Diffraction
from napari_lucky.optics.request import TelescopeRequest
from napari_lucky.optics.telescope import Telescope
from napari_lucky.optics.telescope_header import header_doubts, header_telescope
from napari_lucky.optics.telescope_store import (
    diffraction_of,
    known_optics,
    no_strehl,
    telescope_notes,
    telescope_of,
)


def optics_for(
    header: Any, given: Mapping[str, float | None]
) -> tuple[Diffraction | None, Telescope | None, tuple[str, ...]]:
    """Return the diffraction-limited PSF, the telescope, and what is doubtful or missing.

    Parameters
    ----------
    header : mapping or astropy.io.fits.Header, optional
        Of the images.
    given : mapping
        What is known of the telescope (`telescope_of`); it wins over the header.
    """
    stated = header_telescope(header)
    diffraction = diffraction_of(stated, given)
    if diffraction is None:
        return None, None, (*header_doubts(header), no_strehl(stated, given))
    whole = "diameter_m" in known_optics(stated, given)
    return (
        diffraction,
        telescope_of(stated, given) if whole else None,
        telescope_notes(header, given),
    )


def complete_telescope(header: Any, given: Mapping[str, float | None]) -> TelescopeRequest:
    """Return a telescope's figures, those of a header included."""
    stated = header_telescope(header)
    known = known_optics(stated, given, needed=())
    if "obstruction" not in {**stated, **given}:
        known.pop("obstruction")  # it is no more than assumed
    figures: dict[str, Any] = {name: float(value) for name, value in known.items()}
    return TelescopeRequest(**figures)
