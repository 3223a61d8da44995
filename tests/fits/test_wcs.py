"""Places on sensor and sky of images cut from others; astropy is the judge."""

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS

from napari_lucky.fits.wcs import move_wcs, place_image, take_back

STEP = 1e-5


def header(cards: str) -> fits.Header:
    made = fits.Header()
    made.update(CTYPE1="RA---TAN", CTYPE2="DEC--TAN", CRVAL1=83.6, CRVAL2=22.0)
    if cards != "no CRPIX":
        made.update(CRPIX1=31.25, CRPIX2=18.75)
    if cards in ("CD", "SIP", "CD and A", "TPV"):
        made.update(CD1_1=-STEP, CD1_2=2e-6, CD2_1=1e-6, CD2_2=STEP)
    elif cards == "PC alone":
        made.update(PC1_1=-STEP, PC1_2=2e-6, PC2_1=1e-6, PC2_2=STEP)
    else:
        made.update(CDELT1=-STEP, CDELT2=STEP, PC1_1=0.8, PC1_2=-0.6, PC2_1=0.6, PC2_2=0.8)
    if cards == "SIP":
        made.update(CTYPE1="RA---TAN-SIP", CTYPE2="DEC--TAN-SIP", A_ORDER=3, B_ORDER=2)
        made.update(AP_ORDER=2, BP_ORDER=2, A_DMAX=1.5, B_DMAX=0.5)
        made.update(A_2_0=2e-3, A_1_1=-1e-3, A_0_3=3e-5, B_0_2=-2e-3, B_1_1=1e-3)
        made.update(AP_2_0=-2e-3, AP_1_1=1e-3, AP_1_0=1e-3, BP_0_2=2e-3, BP_1_1=-1e-3)
    elif cards == "TPV":
        made.update(CTYPE1="RA---TPV", CTYPE2="DEC--TPV", PV1_1=1.0, PV1_4=3.0, PV2_1=1.0)
    elif cards == "CD and A":
        made.update(CTYPE1A="LINEAR", CTYPE2A="LINEAR", CRPIX1A=1.5, CRPIX2A=2.5)
        made.update(CRVAL1A=7.0, CRVAL2A=8.0, CDELT1A=5.3, CDELT2A=5.3)
    return made


@pytest.mark.parametrize("cards", ["CD", "CDELT", "PC alone", "no CRPIX", "SIP", "TPV", "CD and A"])
@pytest.mark.parametrize(("origin", "scale"), [((0, 0), 2), ((7, 12), 1), ((7, 12), 1.5)])
def test_a_place_keeps_its_coordinates(cards, origin, scale):
    before = header(cards)
    after = before.copy()
    place_image(after, origin, scale)
    y, x = np.array([[9.0, 30.2, 17.75], [14.0, 21.3, 40.5]])
    on_image = (scale * (x - origin[1] + 0.5) - 0.5, scale * (y - origin[0] + 0.5) - 0.5)
    for version in (" ", "A") if cards == "CD and A" else (" ",):
        one, two = WCS(before, key=version), WCS(after, key=version)
        sky = np.array(one.all_pix2world(x, y, 0))
        np.testing.assert_allclose(two.all_pix2world(*on_image, 0), sky, rtol=0, atol=1e-6 * STEP)
    if cards == "SIP":  # the inverse is another polynomial
        u, v = 14.0, -9.0
        for name in ("AP", "BP"):
            one, two = (
                sum(
                    card.value * (by * u) ** int(card.keyword[3]) * (by * v) ** int(card.keyword[5])
                    for card in found[f"{name}_?_?"].cards
                )
                for found, by in ((before, 1), (after, scale))
            )
            assert two == pytest.approx(scale * one)
        assert (after["A_DMAX"], after["B_DMAX"]) == (1.5 * scale, 0.5 * scale)
    again = after.copy()
    assert take_back(again) == (origin, scale)
    assert "LTV1" not in again
    for keyword, value in before.items():
        same = value if isinstance(value, str) else pytest.approx(value, rel=1e-12)
        assert again[keyword] == same


def test_coordinates_follow_a_shift_by_fractions():
    before = header("CD")
    after = before.copy()
    move_wcs(after, 3.25, -1.5)
    sky = WCS(before).all_pix2world([[20, 30]], 0)
    np.testing.assert_allclose(WCS(after).all_pix2world([[18.5, 33.25]], 0), sky, atol=1e-12)


@pytest.mark.parametrize("turn", [None, 0.5])
@pytest.mark.parametrize(("origin", "scale"), [((0, 0), 1), ((14, 19), 1), ((14, 19), 3)])
def test_the_place_on_the_sensor_is_put_on_that_of_the_source(turn, origin, scale):
    source = fits.Header([("LTV1", -100.0), ("LTV2", -50.0), ("XORGSUBF", 100.0)])
    if turn:
        source.update(LTM1_1=turn, LTM2_2=turn)
    made = source.copy()
    place_image(made, origin, scale)
    for axis, first in ((1, origin[1]), (2, origin[0])):
        on_sensor = 123.0  # seen at `pixel` in the source, counted from 1
        pixel = (turn or 1) * on_sensor + source[f"LTV{axis}"]
        expected = scale * (pixel - first - 0.5) + 0.5
        seen = made.get(f"LTM{axis}_{axis}", 1) * on_sensor + made[f"LTV{axis}"]
        assert seen == pytest.approx(expected)
    assert made["XORGSUBF"] == scale * (100 + origin[1])
    again = made.copy()
    assert take_back(again) == (origin, scale)
    assert {**again} == {**source}
    place_image(again, origin, scale)
    assert again.tostring() == made.tostring()


@pytest.mark.parametrize("scale", [1, 2])
def test_a_turned_place_on_the_sensor_is_scaled_in_all_its_terms(scale):
    turn, move, origin = np.array([[0.8, 0.6], [-0.6, 0.8]]), np.array([-10.0, 30.0]), (14, 19)
    terms = {f"LTM{i}_{j}": turn[i - 1, j - 1] for i in (1, 2) for j in (1, 2)}
    source = fits.Header([*terms.items(), ("LTV1", move[0]), ("LTV2", move[1])])
    made = source.copy()
    place_image(made, origin, scale)
    on_sensor = np.array([123.0, 45.0])
    expected = scale * (turn @ on_sensor + move - origin[::-1] - 0.5) + 0.5
    found = [[made[f"LTM{i}_{j}"] for j in (1, 2)] for i in (1, 2)]
    np.testing.assert_allclose(found @ on_sensor + [made["LTV1"], made["LTV2"]], expected)
    assert take_back(made) == (origin, scale)
    assert {**made} == {**source}


def test_the_parts_of_a_whole_image_are_not_those_of_a_window():
    source = fits.Header([("TRIMSEC", "[9:64,1:64]"), ("IMAGEW", 64), ("DATASEC", "[1:64,1:64]")])
    whole, cut = source.copy(), source.copy()
    place_image(whole, (0, 0), 1)
    place_image(cut, (3, 4), 1)
    assert {**whole} == {**source}
    assert set(cut) == {"LTV1", "LTV2"}


@pytest.mark.parametrize(
    "keyword",
    ["CCDSEC", "BIASSEC", "TRIMSEC1", "IMAGEH", "ATM1_1", "DTV2", "SUBRECT", "FRAMEX", "FRAMEHGT",
     "XPOSSUBF", "STARTY", "HIERARCH ESO DET WIN1 STRX"],
)  # fmt: skip
def test_however_a_part_of_the_sensor_is_called(keyword):
    cut = fits.Header([(keyword, 64), ("XORGSUBF", 100), ("XPIXSZ", 5.0), ("FRAME", "Light")])
    place_image(cut, (3, 4), 1)
    assert set(cut) == {"LTV1", "LTV2", "XORGSUBF", "XPIXSZ", "FRAME"}
    assert repr(cut["XORGSUBF"]) == "104"  # a whole number stays one


@pytest.mark.parametrize("value", ["middle", True, "1e400", 1e308])
def test_odd_values_do_no_harm(value):
    source = fits.Header()
    source.update(CRPIX1=value, LTV1=value, LTM1_1=value, CTYPE1="RA---TAN", CD1_1=value)
    place_image(source, (3, 4), 2)
    take_back(source)


@pytest.mark.parametrize(
    ("origin", "pattern"),
    [((0, 0), "RGGB"), ((2, 4), "RGGB"), ((0, 1), "GRBG"), ((3, 0), "GBRG"), ((3, 5), "BGGR")],
)
def test_the_pattern_of_a_mosaic_begins_at_the_images_first_pixel(origin, pattern):
    source = fits.Header([("BAYERPAT", "RGGB"), ("XBAYROFF", 0)])
    cut, fine = source.copy(), source.copy()
    place_image(cut, origin, 1)
    assert cut["BAYERPAT"] == pattern
    take_back(cut)
    assert cut["BAYERPAT"] == "RGGB"
    place_image(fine, origin, 2)  # its pixels are none of the mosaic's
    assert "BAYERPAT" not in fine
