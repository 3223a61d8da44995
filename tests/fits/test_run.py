"""Which files of a folder or a list are the frames of a run, and in which order."""

import random
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from napari_lucky.errors import LuckyError
from napari_lucky.fits.run_files import open_run
from napari_lucky.fits.run_notes import run_notes
from napari_lucky.frames.window import Window
from systems import not_as_root, on_posix

SHAPE = (20, 30)


def frame(k: int, shape=SHAPE, dtype="u2") -> np.ndarray:
    return np.full(shape, k, dtype)


def write(folder: Path, *names: str, shape=SHAPE, dtype="u2") -> None:
    """Write one image a name, whose pixels hold the last number in the name."""
    for name in names:
        numbers = re.findall(r"\d+", name)
        fits.PrimaryHDU(frame(int(numbers[-1]) if numbers else 0, shape, dtype)).writeto(
            folder / name
        )


def values(run) -> list[int]:
    """The number that each frame's pixels hold."""
    return run.read(slice(None), Window(0, 0, 1, 1)).ravel().tolist()


def reasons(run) -> dict[str, str]:
    return {left.path.name: left.reason for left in run.left_out}


def test_frames_come_in_natural_order(tmp_path):
    names = [f"AF_{k}.fits" for k in (1, 2, 3, 10, 11, 20, 100)]
    shuffled = names.copy()
    random.Random(0).shuffle(shuffled)
    write(tmp_path, *shuffled)
    for run in (open_run(tmp_path), open_run([tmp_path / name for name in shuffled])):
        assert values(run) == [1, 2, 3, 10, 11, 20, 100]
        assert run.files == names
        assert run.left_out == ()


def test_two_numbers_in_a_name_sort_the_first_number_first(tmp_path):
    write(tmp_path, "n2_1.fits", "n10_2.fits", "n2_13.fits", "n10_0.fits")
    assert values(open_run(tmp_path)) == [1, 13, 0, 2]


def test_numbers_with_and_without_leading_zeros_are_sorted_by_value(tmp_path):
    write(tmp_path, "a010.fits", "a9.fits", "a0011.fits")
    assert values(open_run(tmp_path)) == [9, 10, 11]


@pytest.mark.parametrize("suffix", [".FITS", ".FIT", ".Fits", ".fts", ".FITS.GZ"])
def test_names_in_capitals_are_frames_too(tmp_path, suffix):
    for k in (1, 2):
        write(tmp_path, f"x{k}.fits.gz" if suffix == ".FITS.GZ" else f"x{k}.fits")
        plain = tmp_path / (f"x{k}.fits.gz" if suffix == ".FITS.GZ" else f"x{k}.fits")
        plain.rename(tmp_path / f"X{k}{suffix}")
    assert values(open_run(tmp_path)) == [1, 2]
    assert open_run(tmp_path / f"X1{suffix}").name == "X1"


def test_a_list_of_names_as_text_is_a_run(tmp_path):
    write(tmp_path, "a1.fits", "a2.fits")
    assert values(open_run([str(tmp_path / "a2.fits"), str(tmp_path / "a1.fits")])) == [1, 2]
    assert open_run(str(tmp_path)).name == tmp_path.name


def test_files_of_several_folders_are_named_after_the_first_files_folder(tmp_path):
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        write(tmp_path / folder, "a1.fits")
    for first, last in (("one", "two"), ("two", "one")):
        paths = [tmp_path / folder / "a1.fits" for folder in (first, last)]
        assert open_run(paths).name == first


def test_a_run_tells_its_shape_type_names_and_header(tmp_path):
    write(tmp_path, "a1.fits", "a2.fits")
    fits.setval(tmp_path / "a1.fits", "EXPTIME", value=0.03)
    run = open_run(tmp_path)
    assert (run.shape, run.dtype, run.header["EXPTIME"]) == ((2, *SHAPE), np.uint16, 0.03)
    inputs = run.inputs
    assert (inputs["first"], inputs["last"], inputs["frames"]) == ("a1.fits", "a2.fits", 2)
    with open(tmp_path / "a2.fits", "ab") as file:
        file.write(b"\0" * 2880)
    changed = open_run(tmp_path).inputs
    assert changed.pop("names_and_sizes_sha256") != inputs.pop("names_and_sizes_sha256")
    assert changed == inputs


def damaged(folder: Path, name: str, how: str) -> Path:
    path = folder / name
    if how == "text":
        path.write_text("Seeing was fair tonight.\n" * 300)
    elif how == "empty":
        path.write_bytes(b"")
    elif how == "no image":
        fits.HDUList([fits.PrimaryHDU()]).writeto(path)
    elif how == "truncated":
        write(folder, name)
        path.write_bytes(path.read_bytes()[:3500])
    elif how == "truncated gz":
        fits.PrimaryHDU(np.random.default_rng(0).integers(0, 60000, SHAPE).astype("u2")).writeto(
            path
        )
        path.write_bytes(path.read_bytes()[:600])
    elif how == "other shape":
        write(folder, name, shape=(10, 15))
    return path


ODD = {
    "AF_5.fits": "text",
    "AF_50.fits": "empty",
    "AF_6.fits": "no image",
    "AF_7.fits": "truncated",
    "AF_7000.fits.gz": "truncated gz",
    "AF_8.fits": "other shape",
}


def test_neighbours_in_a_folder_are_left_out_with_their_reasons(tmp_path):
    frames = [f"AF_{k}.fits" for k in (1, 2, 3, 4, 9, 10, 11, 12)]
    write(tmp_path, *frames, "dark.fits", "flat.fits", "dark_1.fits", "dark_2.fits", "focus.fits")
    write(tmp_path, "flat_small.fits", shape=(8, 9))
    for name, how in ODD.items():
        damaged(tmp_path, name, how)
    (tmp_path / "notes.txt").write_text("notes")
    (tmp_path / ".hidden_1.fits").write_text("hidden")
    (tmp_path / "AF_99.fits").mkdir()
    run = open_run(tmp_path)
    assert run.files == frames
    assert values(run) == [1, 2, 3, 4, 9, 10, 11, 12]
    why = reasons(run)
    for name in ("dark.fits", "flat.fits", "dark_1.fits", "dark_2.fits", "flat_small.fits"):
        assert why.pop(name) == "named like a dark, flat or bias"
    assert why.pop("focus.fits") == "not named like the frames (AF_1)"
    assert "not a FITS file" in why.pop("AF_5.fits")
    assert "not a FITS file" in why.pop("AF_50.fits")
    assert "no image" in why.pop("AF_6.fits")
    assert "truncated" in why.pop("AF_7.fits")
    assert "truncated" in why.pop("AF_7000.fits.gz")
    assert "10 x 15 pixels, the frames are 20 x 30" in why.pop("AF_8.fits")
    assert why == {}
    told = "\n".join(run_notes(run))
    assert "and 2 more (named like a dark, flat or bias). Use them as dark or flat" in told
    for name in ("dark.fits", "focus.fits", *ODD):
        assert name in told
    assert str(tmp_path) not in told


@pytest.mark.parametrize(("name", "how"), ODD.items())
def test_what_a_folder_leaves_out_is_an_error_in_a_list_or_alone(tmp_path, name, how):
    write(tmp_path, "AF_1.fits", "AF_2.fits", "AF_3.fits")
    path = damaged(tmp_path, name, how)
    with pytest.raises(LuckyError, match=name):
        open_run(sorted(tmp_path.iterdir()))
    if how == "other shape":
        assert open_run(path).shape == (1, 10, 15)
        return
    with pytest.raises(LuckyError, match=name):
        open_run(path)


def test_darks_and_flats_in_a_list_that_a_pattern_gathered_are_left_out(tmp_path):
    write(tmp_path, "AF_1.fits", "AF_2.fits", "dark.fits")
    write(tmp_path, "flat.fits", shape=(8, 9))
    run = open_run(sorted(tmp_path.glob("*.fits")))
    assert values(run) == [1, 2]
    assert set(reasons(run)) == {"dark.fits", "flat.fits"}


@pytest.mark.parametrize(
    "name",
    ["dark", "DARK", "Flat", "masterdark", "master_flat", "bias", "offset", "flats", "dark_30ms",
     "my_dark", "flat-2024-01-01", "MasterFlat_V", "dark1", "2024_flat"],
)  # fmt: skip
def test_names_of_darks_flats_and_biases(tmp_path, name):
    write(tmp_path, "sun1.fits", f"{name}.fits")
    assert open_run(tmp_path).files == ["sun1.fits"]


@pytest.mark.parametrize("name", ["darkness", "flatiron_building", "biased", "deflated"])
def test_names_that_only_look_like_darks(tmp_path, name):
    write(tmp_path, f"{name}_1.fits", f"{name}_2.fits")
    write(tmp_path, "dark.fits")
    assert open_run(tmp_path).files == [f"{name}_1.fits", f"{name}_2.fits"]


def test_a_folder_of_nothing_but_darks_is_a_run(tmp_path):
    write(tmp_path, *(f"dark_{k}.fits" for k in range(12)))
    run = open_run(tmp_path)
    assert values(run) == list(range(12))
    assert run.left_out == ()


def test_darks_named_for_the_target_are_no_run_though_they_are_more(tmp_path):
    write(tmp_path, *(f"Tabby_{k}.fits" for k in range(3)))
    write(tmp_path, *(f"Dark_Tabby_{k}.fits" for k in range(5)))
    run = open_run(tmp_path)
    assert run.files == [f"Tabby_{k}.fits" for k in range(3)]
    assert {one.reason for one in run.left_out} == {"named like a dark, flat or bias"}


def test_one_dark_alone_opens(tmp_path):
    write(tmp_path, "dark.fits")
    assert open_run(tmp_path / "dark.fits").shape == (1, *SHAPE)


def test_of_two_runs_in_a_folder_the_longer_is_opened(tmp_path):
    write(tmp_path, *(f"moon_{k}.fits" for k in range(3)), *(f"star_{k}.fits" for k in range(5)))
    run = open_run(tmp_path)
    assert run.files == [f"star_{k}.fits" for k in range(5)]
    assert set(reasons(run)) == {f"moon_{k}.fits" for k in range(3)}


def test_files_without_numbers_are_frames_of_one_run(tmp_path):
    write(tmp_path, "alpha.fits", "beta.fits", "gamma.fits", "dark.fits")
    assert open_run(tmp_path).files == ["alpha.fits", "beta.fits", "gamma.fits"]


@pytest.mark.parametrize("packed", [".fits.gz", ".fits.fz"])
def test_of_twins_one_is_a_frame(tmp_path, packed):
    for k in (1, 2):
        write(tmp_path, f"a{k}.fits")
        image = fits.CompImageHDU(frame(k)) if packed == ".fits.fz" else fits.PrimaryHDU(frame(k))
        image.writeto(tmp_path / f"a{k}{packed}")
    run = open_run(tmp_path)
    assert run.files == ["a1.fits", "a2.fits"]
    assert reasons(run) == {f"a{k}{packed}": f"the same frame as a{k}.fits" for k in (1, 2)}


def test_a_file_given_twice_is_one_frame(tmp_path):
    write(tmp_path, "a1.fits", "a2.fits")
    assert values(open_run([tmp_path / f"a{k}.fits" for k in (2, 1, 2)])) == [1, 2]


def test_files_of_one_name_in_two_folders_are_two_frames(tmp_path):
    for k in (1, 2):
        (tmp_path / f"night{k}").mkdir()
        fits.PrimaryHDU(frame(k)).writeto(tmp_path / f"night{k}" / "a1.fits")
    assert sorted(values(open_run([tmp_path / f"night{k}" / "a1.fits" for k in (1, 2)]))) == [1, 2]


def test_several_cubes_in_a_folder_are_one_run(tmp_path):
    cubes = {2: 4, 10: 3, 1: 1}
    for k, n in cubes.items():
        data = np.arange(n, dtype="u2")[:, None, None] + 100 * k + np.zeros(SHAPE, "u2")
        fits.PrimaryHDU(data).writeto(tmp_path / f"cube{k}.fits")
    run = open_run(tmp_path)
    truth = [100, 200, 201, 202, 203, 1000, 1001, 1002]
    assert values(run) == truth
    assert run.files == ["cube1.fits"] + ["cube2.fits"] * 4 + ["cube10.fits"] * 3
    order = np.array([7, 0, 4, 4, 1, 6])
    found = run.read(order, Window(3, 4, 5, 6))
    assert found.shape == (6, 5, 6)
    assert found[:, 0, 0].tolist() == [truth[k] for k in order]
    assert (found == found[:, :1, :1]).all()


def test_plain_packed_and_zipped_frames_mix(tmp_path):
    write(tmp_path, "a1.fits", "a2.fits.gz")
    fits.CompImageHDU(frame(3)).writeto(tmp_path / "a3.fits.fz")
    assert values(open_run(tmp_path)) == [1, 2, 3]


def write_extensions(path: Path, names: list[str], k: int = 0, primary=None) -> None:
    images = [fits.ImageHDU(frame(10 * k + i), name=name) for i, name in enumerate(names)]
    fits.HDUList([fits.PrimaryHDU(primary), *images]).writeto(path)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["", "", ""], [0, 1, 2]),
        (["IM1", "IM2", "IM3", "IM10"], [0, 1, 2, 3]),
        (["SCI", "ERR", "DQ"], [0]),
        (["SCI", "ERR", "DQ", "SCI", "ERR", "DQ"], [0, 3]),
    ],
)
def test_images_of_one_family_of_extensions_are_the_frames(tmp_path, names, expected):
    path = tmp_path / "m.fits"
    write_extensions(path, names)
    run = open_run(path)
    assert values(run) == expected
    left_out = [f"its {name} image; the frames are SCI images" for name in ("ERR", "DQ")]
    assert sorted(left.reason for left in run.left_out) == sorted(
        left_out * (names.count("ERR") if "ERR" in names else 0)
    )


def test_science_extensions_of_many_files_are_the_frames(tmp_path):
    for k in (1, 2, 3):
        write_extensions(tmp_path / f"m{k}.fits", ["SCI", "ERR", "DQ"], k)
    for source in (tmp_path, sorted(tmp_path.iterdir())):
        run = open_run(source)
        assert values(run) == [10, 20, 30]
        assert len(run.left_out) == 6
        assert any("ERR" in told for told in run_notes(run))


def test_small_previews_beside_the_frames_are_left_out(tmp_path):
    for k in (1, 2, 3):
        images = [fits.ImageHDU(frame(k), name="SCI"), fits.ImageHDU(frame(0), name="MASK")]
        preview = fits.PrimaryHDU(frame(0, (4, 5)))
        fits.HDUList([preview, *images]).writeto(tmp_path / f"m{k}.fits")
    for source in (tmp_path, sorted(tmp_path.iterdir())):
        run = open_run(source)
        assert values(run) == [1, 2, 3]
        assert len(run.left_out) == 6
    assert values(open_run(tmp_path / "m2.fits")) == [2]


def test_frames_of_two_shapes_half_and_half_are_refused(tmp_path):
    write(tmp_path, "a1.fits", "a2.fits")
    write(tmp_path, "a3.fits", "a4.fits", shape=(40, 50))
    for source in (tmp_path, sorted(tmp_path.iterdir())):
        with pytest.raises(LuckyError, match=r"different shapes.*20 x 30, 40 x 50"):
            open_run(source)


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda p: p, "no frames in this folder (it is empty)"),
        (
            lambda p: (p / "a.txt").write_text("x") and p,
            "no frames in this folder (there are 1 .txt)",
        ),
        (
            lambda p: (p / "a.avi").write_text("x") and p,
            "no frames in this folder. a.avi: this is a video, which cannot be read",
        ),
        (lambda p: p / "nothing_here", "there is no such file or folder"),
        (lambda p: [p / "a1.fits", p / "a2.fits"], "a1.fits: there is no such file"),
        (lambda p: [], "No frames were given"),
        (lambda p: [p, p], "is a folder; give one folder alone"),
    ],
    ids=["empty", "no FITS", "foreign", "missing", "missing files", "nothing", "two folders"],
)
def test_a_source_without_frames_is_reported(tmp_path, make, told):
    with pytest.raises(LuckyError, match=re.escape(told)):
        open_run(make(tmp_path))


def test_a_folder_with_damaged_files_only_names_them(tmp_path):
    for k in range(5):
        damaged(tmp_path, f"a{k}.fits", "text")
    with pytest.raises(LuckyError, match=r"(?s)a0\.fits: this is not a FITS.*a1.*And 2 more"):
        open_run(tmp_path)


@not_as_root
@on_posix
def test_a_folder_that_may_not_be_read_is_reported(tmp_path):
    tmp_path.chmod(0)
    with pytest.raises(LuckyError, match="cannot be read"):
        open_run(tmp_path)


def test_a_file_replaced_by_a_shorter_one_gives_a_sentence_that_names_it(tmp_path):
    write(tmp_path, "a1.fits", "a2.fits")
    run = open_run(tmp_path)
    shutil.copyfile(damaged(tmp_path, "b.fits", "truncated"), tmp_path / "a2.fits")
    assert run.read(slice(1)).shape == (1, *SHAPE)
    with pytest.raises(LuckyError, match=r"a2\.fits.*cannot be read"):
        run.read(slice(None))


def write_kind(folder: Path, name: str, kind: str) -> None:
    write(folder, name)
    fits.setval(folder / name, "IMAGETYP", value=kind)


def test_what_headers_say_wins_over_names(tmp_path):
    for k in range(5):
        write_kind(tmp_path, f"cal_{k}.fits", "Dark Frame")
        write_kind(tmp_path, f"dark_star_{k}.fits", "Light Frame")
    write_kind(tmp_path, "dark_star_5.fits", "Bias Frame")
    run = open_run(tmp_path)
    assert run.files == [f"dark_star_{k}.fits" for k in range(5)]
    assert reasons(run) == {f"cal_{k}.fits": "its header says dark" for k in range(5)} | {
        "dark_star_5.fits": "its header says bias"
    }


@pytest.mark.parametrize("first", [[0, 1], [4, 5]])
def test_of_one_family_the_lights_are_the_run_though_darks_are_more(tmp_path, first):
    for k in range(6):
        write_kind(tmp_path, f"img_{k}.fits", "light" if k in first else "dark")
    assert values(open_run(tmp_path)) == first
    darks = [k for k in range(6) if k not in first]
    assert values(open_run(tmp_path, kind="dark")) == darks


def test_of_darks_and_flats_alone_the_kind_with_most_frames_is_opened(tmp_path):
    write(tmp_path, "dark_1.fits", "dark_2.fits", "dark_3.fits", "flat_1.fits", "flat_2.fits")
    run = open_run(tmp_path)
    assert values(run) == [1, 2, 3]
    assert set(reasons(run)) == {"flat_1.fits", "flat_2.fits"}


def test_of_a_folder_of_lights_and_darks_the_darks_are_taken_where_a_dark_is_wanted(tmp_path):
    write(tmp_path, *(f"M15_{k}.fits" for k in range(5)), "dark_1.fits", "dark_2.fits", "flat.fits")
    run = open_run(tmp_path, kind="dark")
    assert run.files == ["dark_1.fits", "dark_2.fits"]
    assert reasons(run)["M15_0.fits"] == "not a dark, by its header or name"
    assert open_run(tmp_path, kind="flat").files == ["flat.fits"]
    assert open_run(tmp_path).shape[0] == 5
    (tmp_path / "plain").mkdir()
    write(tmp_path / "plain", "a_1.fits", "a_2.fits")
    assert open_run(tmp_path / "plain", kind="dark").shape[0] == 2
