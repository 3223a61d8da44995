"""Files that are alike are known as those that are opened one after the other."""

import pickle

import numpy as np
import pytest
from astropy.io import fits

from napari_lucky import Job, open_run
from napari_lucky.execution.processes import fork_executor
from napari_lucky.fits import open_images
from napari_lucky.fits.file_names import FolderFiles
from napari_lucky.fits.plain_files import PlainFiles
from napari_lucky.fits.run_notes import run_notes

N = 23
TIME = "2026-11-28T01:02:{:02d}.5"


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr(open_images, "BLOCK", 4)


@pytest.fixture
def folder(tmp_path):
    for k in range(N):
        image = np.full((6, 8), k, "u2")
        cards = {"EXPTIME": 0.01 + 0.02 * (k > 15), "DATE-OBS": TIME.format(k), "CCD-TEMP": -k / 7}
        hdu = fits.PrimaryHDU(image, fits.Header({"CAMERA": "x"} | cards))
        hdu.writeto(tmp_path / f"f_{k:03d}.fits")
    return tmp_path


def known(images):
    return [(one.path, one.layout, one.stamp, one.header_cards) for one in images]


def opened(folder, job=None):
    files = FolderFiles(folder, sorted(path.name for path in folder.iterdir()))
    images, odd = open_images.open_images(files, **({"job": job} if job else {}))
    each, not_read = open_images.open_images(list(files))
    assert not isinstance(each, PlainFiles)
    assert known(images) == known(each)
    assert odd == not_read
    return images, odd


def change(path, **cards):
    with fits.open(path, mode="update") as hdus:
        hdus[0].header.update(cards)


def test_files_that_differ_in_values_are_one_object(folder):
    images, odd = opened(folder)
    assert isinstance(images, PlainFiles)
    assert not odd
    assert [(n, one.path.name) for one, n in images.alike] == [
        (16, "f_000.fits"),
        (7, "f_016.fits"),
    ]
    again = pickle.loads(pickle.dumps(images))
    assert known(again) == known(images)


def test_copies_read_the_same(folder):
    with fork_executor() as executor:
        images, _ = opened(folder, Job(executor=executor))
    assert isinstance(images, PlainFiles)


def test_damaged_cards_are_known_of_each_file(folder):
    for k in (0, 7, 8):  # the first, and others
        path = folder / f"f_{k:03d}.fits"
        path.write_bytes(path.read_bytes().replace(b"= 'x  ", b"= x   "))
    images, _ = opened(folder)
    assert isinstance(images, PlainFiles)
    assert [k for k, one in enumerate(images) if one.header_cards.damaged] == [0, 7, 8]


@pytest.mark.parametrize("where", [0, 9, N - 1])
@pytest.mark.parametrize("how", ["longer", "another header", "cut", "no FITS", "another type"])
def test_others_among_them_are_opened_for_themselves(folder, where, how):
    path = folder / f"f_{where:03d}.fits"
    content = path.read_bytes()
    if how == "longer":
        fits.append(path, np.zeros((3, 3)))
    elif how == "another header":
        change(path, EXTRA=1)
    elif how == "cut":
        path.write_bytes(content[:2900])
    elif how == "no FITS":
        path.write_bytes(b" " * len(content))
    else:
        path.write_bytes(content.replace(b"=                32768", b"=                    0"))
    images, odd = opened(folder)
    assert isinstance(images, list)
    assert len(odd) == (how in ("cut", "no FITS"))


def test_a_run_of_them_is_what_a_list_of_them_is(folder):
    change(folder / "f_007.fits", **{"DATE-OBS": TIME.format(50)})
    run, listed = open_run(folder), open_run(sorted(folder.iterdir()))
    assert isinstance(run.images, PlainFiles)
    assert not isinstance(listed.images, PlainFiles)
    for what in ("shape", "dtype", "stored_dtype", "missing", "files", "pattern", "colour"):
        assert getattr(run, what) == getattr(listed, what)
    assert run.inputs == listed.inputs
    assert run_notes(run) == run_notes(listed)
    assert run_notes(run)[0].startswith("The frames differ in exposure: 0.01 s (16 frames)")
    assert "f_008.fits was taken before f_007.fits" in run_notes(run)[1]
    np.testing.assert_array_equal(run.times(), listed.times())
    assert run.times()[5] == np.datetime64(TIME.format(5))
    np.testing.assert_array_equal(run.exposures(), [0.01] * 16 + [0.03] * 7)
    np.testing.assert_array_equal(run.read([3, 20])[:, 0, 0], [3, 20])
