"""Files that other programs read, odd as they are: their values are astropy's."""

import bz2
import gzip
import lzma
import warnings
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from napari_lucky import LuckyError, open_run
from napari_lucky.fits.axes import planes_of
from napari_lucky.fits.header_scan import CARD
from napari_lucky.fits.header_units import BLOCK
from napari_lucky.fits.run_notes import run_notes
from napari_lucky.frames.window import Window

RANDOM = np.random.default_rng(0)
IMAGE = RANDOM.integers(0, 60000, (12, 16)).astype("u2")
CUBE = RANDOM.integers(0, 60000, (4, 12, 16)).astype("u2")
FOUR = RANDOM.integers(0, 60000, (4, 2, 12, 16)).astype("u2")
END = b"END".ljust(CARD)


def raw(pixels, cls=fits.PrimaryHDU, **cards) -> bytes:
    file = BytesIO()
    hdu = cls(pixels)
    hdu.header.update(cards)
    hdu.writeto(file)
    return file.getvalue()


def with_cards(content: bytes, *cards: bytes) -> bytes:
    at = content.index(END)
    more = b"".join(card.ljust(CARD) for card in cards)
    return content[:at] + more + END + content[at + CARD + len(more) :]


def packed_cube(pixels, tile) -> bytes:
    file = BytesIO()
    hdu = fits.CompImageHDU(pixels, tile_shape=tile)
    fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(file)
    return file.getvalue()


def free_format(content: bytes) -> bytes:
    """Return a file whose cards have their values right behind the equals sign and a blank."""
    at = content.index(END)
    cards = [content[k : k + CARD] for k in range(0, at, CARD)]
    short = [card[:10] + card[10:].split(b"/")[0].strip() for card in cards]
    return b"".join(card.ljust(CARD) for card in short) + content[at:]


PLAIN, SIGNED = raw(IMAGE), raw(IMAGE.astype("i2"))
AT = PLAIN.index(END)
ZERO = b"BZERO   =                32768"
NONE = b"BZERO   =                    0"
FILES = {
    "free format": free_format(PLAIN),
    "free format, gzipped cube": gzip.compress(free_format(raw(CUBE))),
    "END and zeros": PLAIN[:AT] + b"END".ljust(BLOCK - AT, b"\0") + PLAIN[BLOCK:],
    "END and a line feed": PLAIN[:AT] + b"END\n".ljust(BLOCK - AT) + PLAIN[BLOCK:],
    "END and a line's end": PLAIN[:AT] + b"END\r\n".ljust(BLOCK - AT) + PLAIN[BLOCK:],
    "blanks behind": PLAIN + b" " * BLOCK,
    "ones behind": PLAIN + b"\xff" * BLOCK,
    "junk behind": PLAIN + b"junk" * 900,
    "no padding": PLAIN[: BLOCK + IMAGE.nbytes],
    "gzipped": gzip.compress(PLAIN),
    "gzipped cube": gzip.compress(raw(CUBE)),
    "gzipped in two": gzip.compress(PLAIN[:3000]) + gzip.compress(PLAIN[3000:]),
    "gzipped, junk behind": gzip.compress(PLAIN) + b"junk" * 30,
    "gzipped cube, junk behind": gzip.compress(raw(CUBE)) + b"junk" * 30,
    "gzipped, zeros behind": gzip.compress(PLAIN) + b"\0" * 512,
    "bzipped": bz2.compress(PLAIN),
    "bzipped cube": bz2.compress(raw(CUBE)),
    "xz": lzma.compress(PLAIN),
    "xz cube": lzma.compress(raw(CUBE)),
    "xz in two": lzma.compress(PLAIN[:3000]) + lzma.compress(PLAIN[3000:]),
    "n 1 y x": raw(CUBE[:, None]),
    "1 n 1 y x": raw(CUBE[None, :, None]),
    "n y x 1": raw(CUBE[..., None]),
    "n y 1 x": raw(CUBE[:, :, None]),
    "y x 1": raw(IMAGE[..., None]),
    "y 1 x": raw(IMAGE[:, None]),
    "n 1 y x, scaled": raw(CUBE[:, None].astype("i2"), BSCALE=2.0),
    "n 1 y x, compressed": packed_cube(CUBE[:, None], (1, 1, 12, 16)),
    "n y x 1, compressed": packed_cube(CUBE[..., None], (1, 12, 16, 1)),
    "BZERO twice": with_cards(SIGNED, ZERO, NONE),
    "BZERO twice, the other way": with_cards(SIGNED, NONE, ZERO),
    "BSCALE twice": with_cards(SIGNED, b"BSCALE  =   2.0", b"BSCALE  =   3.0"),
    "BZERO of floats": with_cards(raw(IMAGE.astype("f4")), ZERO),
    "NAXIS4 of two axes": with_cards(PLAIN, b"NAXIS4  = 'none'"),
    "IMAGE without blanks": raw(None)
    + raw(IMAGE, fits.ImageHDU)[BLOCK:].replace(b"'IMAGE   '", b"'IMAGE'   "),
}


def astropys(path: Path) -> np.ndarray:
    packed = path.read_bytes()
    xz = packed.startswith(lzma.compress(b"")[:6])  # read by astropy from 7.0 on
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with fits.open(BytesIO(lzma.decompress(packed)) if xz else path, memmap=False) as hdus:
            return next(np.array(hdu.data) for hdu in hdus if hdu.data is not None)


@pytest.mark.parametrize("name", ["a.fits", "a.fits.gz", "a.fits.bz2"])
@pytest.mark.parametrize("what", FILES)
def test_values_are_astropys_whatever_the_name_says(tmp_path, what, name):
    path = tmp_path / name
    path.write_bytes(FILES[what])
    expected = astropys(path).squeeze()
    run = open_run(path)
    found = run.read(slice(None))
    assert np.array_equal(found.squeeze(), expected)
    assert run.shape[1:] == (12, 16)
    window = run.read([run.shape[0] - 1], Window(3, 4, 5, 6))[0]
    assert np.array_equal(window, found[-1, 3:8, 4:10])
    assert run.header["NAXIS"] >= 2


@pytest.mark.parametrize(("name", "count"), [("RGB", 3), ("FREQ", 3), ("RGB", 4)])
def test_a_slow_axis_of_three_colours_is_chosen_by_their_names(tmp_path, name, count):
    cubes = RANDOM.integers(0, 60000, (count, 5, 12, 16)).astype("u2")
    (tmp_path / "a.fits").write_bytes(raw(cubes, CTYPE4=name))
    colours = (name, count) == ("RGB", 3)
    for k, place in enumerate(("red", "green", "blue") if colours else ("1", "2", "3")):
        run = open_run(tmp_path / "a.fits", where=f"{name}={place}")
        assert np.array_equal(run.read(slice(None)), cubes[k])


@pytest.mark.parametrize(
    ("cards", "first", "second", "choice"),
    [
        ({"CTYPE4": "STOKES"}, FOUR[0], FOUR[1], "STOKES=Q"),
        ({"CTYPE3": "STOKES"}, FOUR[:, 0], FOUR[:, 1], "STOKES=q"),
        ({"CTYPE4": "FREQ-LSR"}, FOUR[0], FOUR[3], "FREQ=4"),
        ({"CTYPE3": "FREQ", "CTYPE4": "TIME"}, FOUR[:, 0], FOUR[:, 1], "FREQ=2"),
        ({}, FOUR[0], FOUR[2], "AXIS4=3"),
    ],
)
def test_of_a_fourth_axis_one_place_is_read_and_another_can_be_chosen(
    tmp_path, cards, first, second, choice
):
    (tmp_path / "a.fits").write_bytes(raw(FOUR, **cards))
    run = open_run(tmp_path / "a.fits")
    assert np.array_equal(run.read(slice(None)), first)
    (told,) = run_notes(run)
    assert f"an axis {choice.partition('=')[0]} of {4 if len(first) == 2 else 2} pos" in told
    chosen = open_run(tmp_path / "a.fits", where=choice)
    assert np.array_equal(chosen.read(slice(None)), second)
    with pytest.raises(LuckyError, match="not nowhere"):
        open_run(tmp_path / "a.fits", where=f"{choice.partition('=')[0]}=nowhere")


@pytest.mark.parametrize(("pixels", "number"), [(CUBE, 3), (CUBE[:, None], 4)])
def test_an_axis_of_stokes_parameters_is_never_that_of_frames(tmp_path, pixels, number):
    content = raw(pixels, **{f"CTYPE{number}": "STOKES"})
    (tmp_path / "a.fits").write_bytes(content)
    run = open_run(tmp_path / "a.fits")
    assert np.array_equal(run.read(slice(None)), CUBE[:1])
    (told,) = run_notes(run)
    assert "an axis STOKES of 4 positions (I, Q, U, V); I is read" in told
    chosen = open_run(tmp_path / "a.fits", where="STOKES=u")
    assert np.array_equal(chosen.read(slice(None)), CUBE[2:3])


def test_five_long_axes_are_reported(tmp_path):
    (tmp_path / "a.fits").write_bytes(raw(FOUR[None].repeat(2, 0)))
    with pytest.raises(LuckyError, match=r"a\.fits: its image has 5 axes \(2, 4, 2, 12, 16\)"):
        open_run(tmp_path / "a.fits")


def test_an_offset_left_on_floating_point_pixels_is_said(tmp_path):
    (tmp_path / "a.fits").write_bytes(FILES["BZERO of floats"])
    (told,) = run_notes(open_run(tmp_path / "a.fits"))
    assert "BZERO = 32768 is added" in told


def test_a_packed_file_that_ends_too_early_is_reported(tmp_path):
    packed = {"a": gzip.compress(PLAIN), "b": bz2.compress(PLAIN), "c": lzma.compress(PLAIN)}
    for name, content in packed.items():
        path = tmp_path / f"{name}.fits"
        path.write_bytes(content[: len(content) // 2])
        with pytest.raises(LuckyError, match=r"truncated|cannot be"):
            open_run(path).read(slice(None))


@pytest.mark.parametrize(
    ("first", "step", "at", "names"),
    [
        (1.0, 1.0, 1.0, ("I", "Q", "U", "V")),
        (-1.0, -1.0, 1.0, ("RR", "LL", "RL", "LR")),
        (-5.0, -1.0, 1.0, ("XX", "YY", "XY", "YX")),
        (-8.0, 1.0, 1.0, ("YX", "XY", "YY", "XX")),
        (3.0, 1.0, 3.0, ("I", "Q", "U", "V")),
        (9.0, 1.0, 1.0, ("1", "2", "3", "4")),
        (1.0, 0.0, 1.0, ("1", "2", "3", "4")),
    ],
)
def test_places_of_polarization_are_called_as_fits_has_them(first, step, at, names):
    header = {"CTYPE3": "STOKES", "CRVAL3": first, "CDELT3": step, "CRPIX3": at}
    planes = planes_of((4, 6, 8), header)
    assert planes.axis.places == names
    assert planes.shape == (1, 6, 8)


@pytest.mark.parametrize(
    ("count", "names"), [(3, ("red", "green", "blue")), (2, ("1", "2")), (4, ("1", "2", "3", "4"))]
)
def test_places_of_a_slow_axis_of_colours_are_called_so_if_there_are_three(count, names):
    planes = planes_of((count, 5, 6, 8), {"CTYPE4": "RGB", "CTYPE3": "TIME"})
    assert planes.axis.places == names
    assert planes.axis.step == 5
    assert planes.shape == (5, 6, 8)
