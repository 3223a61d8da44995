"""What a job wrote, for comparison with what another wrote."""

import re
from pathlib import Path

WRITTEN = re.compile(rb"DATE    = '[^']*'")
"""The card that says when a FITS file was written."""


def contents(folder: Path) -> dict[str, bytes]:
    """Return every file's bytes, but for when it was written and how the job was asked for."""
    return {
        str(path.relative_to(folder)): WRITTEN.sub(b"", path.read_bytes())
        for path in folder.rglob("*")
        if path.is_file() and path.name != "summary.json"
    }
