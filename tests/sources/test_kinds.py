"""Which files are read, and what is said of the others."""

from importlib.resources import files

import pytest
import yaml

from napari_lucky import LuckyError, open_run
from napari_lucky.fits.image import SUFFIXES
from napari_lucky.sources.kinds import load_sources


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("run.avi", "a video, which cannot be read: convert it to SER"),
        ("RUN.MP4", "a video"),
        ("IMG_1.CR2", "a camera's raw file, which cannot be read: convert it to FITS or TIFF"),
        ("a.png", "its pixels have 8 bits or a tone curve"),
        ("a.adv", "export it as FITS or SER"),
        ("a.xisf", "save it as FITS"),
    ],
)
def test_other_kinds_are_named_with_what_to_do(tmp_path, name, told):
    path = tmp_path / name
    path.write_bytes(b"RIFF....")
    for source in (path, tmp_path):
        with pytest.raises(LuckyError) as error:
            open_run(source)
        assert told in str(error.value)
        assert name in str(error.value)
        assert "Frames are read from FITS" in str(error.value)


def test_a_folder_without_frames_says_what_is_there(tmp_path):
    for name in ("a.txt", "b.txt", "c.log"):
        (tmp_path / name).write_text("x")
    with pytest.raises(LuckyError, match=r"there are 2 \.txt, 1 \.log"):
        open_run(tmp_path)


def test_napari_asks_this_program_for_every_kind():
    manifest = yaml.safe_load(files("napari_lucky").joinpath("napari.yaml").read_text())
    (reader,) = manifest["contributions"]["readers"]
    patterns = set(reader["filename_patterns"])
    assert {f"*{suffix}" for suffix in (*load_sources(), *SUFFIXES)} - patterns <= {
        "*.fits.fz", "*.fit.fz", "*.fts.fz"  # which *.fz stands for
    }  # fmt: skip
