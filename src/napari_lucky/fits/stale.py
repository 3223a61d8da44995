"""Cards of a source's header that do not hold for a result made of it."""

from __future__ import annotations

import re

from napari_lucky.fits.integers import FULL, TOP
from napari_lucky.fits.names import WHOLE_NAME

STORED = {
    *("SIMPLE", "XTENSION", "EXTEND", "BLOCKED", "BITPIX", "PCOUNT", "GCOUNT", "GROUPS"),
    *("TFIELDS", "THEAP"),
    *("BSCALE", "BZERO", "BLANK", "CHECKSUM", "DATASUM", "DATAMIN", "DATAMAX", FULL, TOP),
    *("EXTNAME", "EXTVER", "EXTLEVEL", "INHERIT", "HDUNAME", "HDUVERS", WHOLE_NAME),
}
"""How pixels are stored, which the writer writes itself."""
OF_THE_FILE = {
    *("CREATOR", "DATE", "FILENAME", "ORIGFILE", "RAWFILE", "UTYPE", "LAYER"),
    *("SATURATE", "CBLACK", "CWHITE", "NCOMBINE"),
}
"""What file it was, and the levels of its raw numbers."""
NUMBERED = {
    *("FRAMENUM", "FRAMENO", "FRAME_NO", "FRAMEID", "FRAMENR", "IMAGENUM", "IMGNUM", "SEQNUM"),
    *("EXPNUM", "EXPID"),
}
"""Number of one frame."""
AXES = re.compile(
    r"Z?NAXIS\d*|T(TYPE|FORM|UNIT|DIM|BCOL|SCAL|ZERO|NULL|DISP|CTYP|CUNI|CRVL|CDLT|CRPX|CROT)\d.*"
    r"|P(TYPE|SCAL|ZERO)\d.*"
)
"""Axes, columns, and parameters of random groups."""
STATISTICS = re.compile(r"(DATA|IMG|IMAGE|PIX)_?(MEAN|AVG|MED(IAN)?|STD(EV)?|RMS|MIN|MAX|SUM)")
"""Figures of one frame's pixels."""
FRAME_AXIS = re.compile(
    r"WCSAXES[A-Z]?|(CTYPE|CRVAL|CRPIX|CDELT|CUNIT|CROTA|CNAME|CRDER|CSYER)[3-9][A-Z]?"
    r"|(CD|PC)([3-9]_\d|\d_[3-9])[A-Z]?|(PV|PS)[3-9]_\d+[A-Z]?"
)
"""Keywords of coordinates that an image has no longer, but the cube had that it comes from."""


def is_stale(keyword: str, axes: int) -> bool:
    """Return whether a source's card does not hold for a result of so many axes."""
    return bool(
        keyword in STORED
        or keyword in OF_THE_FILE
        or keyword in NUMBERED
        or AXES.fullmatch(keyword)
        or STATISTICS.fullmatch(keyword)
        or (axes == 2 and FRAME_AXIS.fullmatch(keyword))
    )
