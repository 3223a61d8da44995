"""A job on SER and TIFF files is that on a FITS cube of the same frames."""

import numpy as np
import pytest
import tifffile
from astropy.io import fits

from napari_lucky.cli.main import main
from napari_lucky.frames.history import read_history

BEGIN = np.datetime64("2026-05-12T21:03:04.5", "us")
TIMES = BEGIN + np.arange(14) * np.timedelta64(10_000, "us")


@pytest.fixture
def run():
    rng = np.random.default_rng(3)
    y, x = np.mgrid[:48, :64]
    at = np.array([24, 32]) + rng.normal(0, 2, (14, 2))
    light = [3000 * np.exp(-((y - cy) ** 2 + (x - cx) ** 2) / 12) + 200 for cy, cx in at]
    return rng.poisson(np.array(light)).astype(np.uint16)


def test_results_are_the_same_whatever_the_kind_of_file(tmp_path, run, made_ser, capsys):
    dark = np.full((3, 48, 64), 100, np.uint16)
    for name, frames in (("run", run), ("dark", dark)):
        fits.PrimaryHDU(frames).writeto(tmp_path / f"{name}.fits")
        made_ser(frames, f"{name}.ser", times=TIMES[: len(frames)])
        tifffile.imwrite(tmp_path / f"{name}.tif", frames, photometric="minisblack")
    found = {}
    for kind in ("fits", "ser", "tif"):
        given = [str(tmp_path / f"run.{kind}"), "--dark", str(tmp_path / f"dark.{kind}")]
        out = tmp_path / kind
        assert main(["process", *given, "--focus", "24,32,32", "-o", str(out)]) == 0
        found[kind] = fits.getdata(out / "focus.fits")
    assert np.array_equal(found["fits"], found["ser"])
    assert np.array_equal(found["fits"], found["tif"])
    header = fits.getheader(tmp_path / "ser" / "focus.fits")
    assert header["INSTRUME"] == "ZWO ASI290MM"
    assert header["DATE-OBS"].startswith("2026-05-12T21:03:04.5")
    read_as = "SER, 16 bits, little-endian, mono"
    assert f"Read from {read_as}" in list(header["COMMENT"])
    assert read_history(map(str, header["HISTORY"]))[0].inputs["read_as"] == read_as
    table = (tmp_path / "ser" / "frames.csv").read_text()
    assert "2026-05-12T21:03:04.510000" in table
    assert "Traceback" not in capsys.readouterr().err
