"""Cards that tell what a frame is of, with which settings and when it was taken."""

from __future__ import annotations

from typing import NamedTuple

from napari_lucky.fits.times import KEYWORDS as TIMES

KINDS = (
    "IMAGETYP",
    "IMAGTYPE",
    "FRAMETYP",
    "OBSTYPE",
    "OBS_TYPE",
    "IMGTYPE",
    "IMTYPE",
    "EXPTYPE",
    "PICTTYPE",
    "FRAME",
    "ESO DPR TYPE",
)
"""Keywords with which headers say what a frame is of."""
SETTINGS: dict[str, tuple[str, ...]] = {
    "exposure": ("EXPTIME", "EXPOSURE", "EXP_TIME", "ITIME", "EXPOSED", "ESO DET DIT"),
    "filter": ("FILTER", "FILTER1", "FILTERS", "INSFLNAM", "FILTNAM", "FILTNAM1"),
    "gain": ("GAIN", "GAINRAW", "EGAIN", "ISOSPEED"),
    "binning": ("XBINNING", "BINNING", "CCDXBIN", "BINX", "CCDSUM"),
    "target": ("OBJECT", "OBJNAME", "TARGNAME"),
    "camera": ("INSTRUME", "CAMERA", "DETNAM"),
}
"""What is the same in all frames of a run, and the keywords with which headers say it."""
LONG = b"HIERARCH "
ESO = tuple(LONG + keyword.encode() + b" " for keyword in ("ESO DPR TYPE", "ESO DET DIT"))
TELLING = {k.encode().ljust(8) for k in (*KINDS, *sum(SETTINGS.values(), ())) if " " not in k}
TIMING = {keyword.encode().ljust(8) for keyword in TIMES}


class Told(NamedTuple):
    """What a file's headers tell of its frames: raw cards, one after the other.

    Parameters
    ----------
    settings : bytes
        Those of `KINDS` and `SETTINGS`: alike in most files of a run.
    times : bytes
        Those of `napari_lucky.fits.times`.
    """

    settings: bytes = b""
    times: bytes = b""


NOTHING = Told()


def tells(card: bytes) -> bool:
    """Return whether a card is one of those."""
    return card[:8] in TELLING or card[:8] in TIMING or card.startswith(ESO)
