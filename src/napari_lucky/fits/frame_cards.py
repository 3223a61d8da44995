"""Cards that say what a frame is of, with which settings and when it was taken."""

from __future__ import annotations

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
COLOURS = ("BAYERPAT", "COLORTYP", "COLORSPC", "CTYPE3", "XBAYROFF", "YBAYROFF", "ROWORDER")
"""Keywords with which headers say that pixels or planes are of several colours."""
KEYWORDS = (*KINDS, *sum(SETTINGS.values(), ()), *COLOURS)
DESCRIBING = {keyword.encode().ljust(8) for keyword in KEYWORDS if " " not in keyword}
TIMING = {keyword.encode().ljust(8) for keyword in TIMES}


def is_frame_card(card: bytes) -> bool:
    """Return whether a card is one of those."""
    return card[:8] in DESCRIBING or card[:8] in TIMING or card.startswith(ESO)
