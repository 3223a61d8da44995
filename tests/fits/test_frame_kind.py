"""What headers and names say a frame is of."""

import pytest

from napari_lucky.fits.frame_kind import kind_in_header, kind_in_name, kind_of_folder, target_words

NAMES = {
    "dark": "dark DARK dark_30ms my_dark darkframe masterdark dark1 Dark_ASI290MM_10ms L_Dark_300s "
    "vegadark_1 capdark dark_cover_closed_3 dark_test_2 DARK_Vega_10.00s_0001 Dark-NGC7000_300s_1 "
    "Dark_10.0ms_Bin1_gain100_20261127-010203_-10.0C_0001 Vega-001dark Vega_Dark_10_secs_001 "
    "DARK_120s_G120_O30_T-10C_bin1 Dark_HD_12345_1",
    "flat": "Flat master_flat flat-2024-01-01 MasterFlat_V FlatWizard_001 skyflat_3 FLAT_Ha_001 "
    "dflat_1 tflat0001 domeflats_2 flat_evening_4",
    "bias": "bias biasframe_2 BIAS_gain0 offset offset_001 MasterOffset zero_003 Zeros",
    "dark flat": "DARKFLAT_001 flat_dark_001 dark_for_flat",
    "light": "Light_Offset=10_001 light_-5C_001 Lights_dark_cloud",
    None: "M15_1 Dark_Doodad_001 DarkDoodad_1 darkness flatiron_building biased deflated offset-5 "
    "M15_no_dark_1 vega-without-flat nodark_1 zero_crossing_2 "
    "Offset=10 M15_offset-5_001 M31_-10.0C_0001",
}
HEADERS = {
    "dark": ("IMAGETYP", "Dark Frame"),
    "flat": ("FRAME", "FLAT"),
    "bias": ("OBSTYPE", "zero"),
    "dark flat": ("IMAGETYP", "Dark frames for flats"),
    "light": ("FRAMETYP", "LIGHT"),
    None: ("FRAME", 12.0),
}


@pytest.mark.parametrize("kind", NAMES)
def test_names_say_what_a_frame_is_of(kind):
    assert {name: kind_in_name(name) for name in NAMES[kind].split()} == dict.fromkeys(
        NAMES[kind].split(), kind
    )
    assert kind_in_name("Dark Doodad 001") is None


def test_a_word_that_names_the_lights_makes_no_other_target_of_a_dark():
    assert kind_in_name("Dark_Tabby_001") is None
    assert kind_in_name("Dark_Tabby_001", target_words(["Tabby_001", "Dark_Tabby_001"])) == "dark"
    assert kind_in_name("Dark_Tabby_001", target_words(["Light_Tabby_001"])) == "dark"
    assert kind_in_name("Dark_Tabby_001", target_words(["Flat_Tabby_001"])) is None


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ({"PICTTYPE": 3.0}, "dark"),  # as TheSky writes it
        ({"PICTTYPE": 1.0, "OBJECT": "Flat"}, "light"),
        ({"OBJECT": "sky flat"}, "flat"),
        ({"OBJECT": "Dark"}, "dark"),
        ({"OBJECT": "Dark Doodad"}, None),
        ({"OBJECT": "M 15"}, None),
    ],
)
def test_numbers_and_objects_say_it_too(values, kind):
    assert kind_in_header(values) == kind


@pytest.mark.parametrize("kind", HEADERS)
def test_headers_say_what_a_frame_is_of(kind):
    keyword, value = HEADERS[kind]
    assert kind_in_header({keyword: value}) == kind


def test_folders_named_for_something_else_too_are_none_of_darks():
    assert kind_of_folder("Darks_300s") == "dark"
    assert kind_of_folder("the dark of the run") is None
