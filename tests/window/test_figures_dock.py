"""The dock PSF figures in a real window: numbers of the core, errors, telescopes, tables."""

import csv
from dataclasses import replace

import numpy as np
import pytest

from napari_lucky import Window, psf_figures
from napari_lucky.execution.blas_threads import one_blas_thread
from napari_lucky.frames import ArrayFrames, LazyArray
from napari_lucky.optics import Diffraction, saved_telescopes
from napari_lucky.optics.diffraction import psf_at
from napari_lucky.optics.simulation import SIMULATED
from napari_lucky.psf import PsfRecipe, PsfRequest, bootstrap_figures


@pytest.fixture
def star(viewer):
    image = (1e5 * psf_at(Diffraction(3, 0.3), (81, 81), (40.2, 39.7)) + 100).astype(np.float32)
    return viewer.add_image(image, name="star")


def dial(dock, telescope):
    for name, box in dock.telescope.boxes.items():
        box.value = getattr(telescope, name)


THREE = replace(SIMULATED, pixel_um=6.33, focal_ratio=30.0)


def test_an_image_is_measured_as_the_core_measures_it(viewer, hand, star, messages, tmp_path):
    before = star.data.copy()
    dock = hand.dock("figures")
    assert not dock.canvas.isVisible()
    dial(dock, THREE)
    hand.run(dock)
    assert messages() == []
    (row,) = dock.rows.values()
    with one_blas_thread():  # as in the docks' helper: more threads may round otherwise
        expected = psf_figures(star.data, THREE.diffraction)
    assert row.figures.strehl == expected.strehl == pytest.approx(1, abs=1e-3)
    assert f"{expected.strehl:.4g}" in dock.summary.text()
    hand.wait(dock.canvas.isVisible)
    profile, encircled = dock.canvas.figure.axes
    perfect, drawn = (line.get_ydata() for line in profile.lines)
    np.testing.assert_array_equal(drawn, expected.profile)
    np.testing.assert_array_equal(perfect, expected.perfect_profile)
    np.testing.assert_array_equal(encircled.lines[1].get_ydata(), expected.encircled)
    np.testing.assert_array_equal(star.data, before)

    dock.forms["psf"].show(PsfRequest(aperture=12, background=100, integration=0))
    star.name = "other"
    hand.run(dock)
    assert list(dock.rows) == ["star", "other"]
    made = dock.rows["other"].figures
    assert made.strehl == psf_figures(star.data, THREE.diffraction, recipe=made.recipe).strehl
    assert made.recipe == PsfRecipe(aperture=12, background=100, integration=0)
    assert "The apertures differ (4, 8 λ/D)" in dock.summary.text()
    assert len(profile.figure.axes[0].lines) == 3


def test_tables_are_saved_and_nothing_is_overwritten(
    viewer, hand, star, messages, tmp_path, monkeypatch
):
    dock = hand.dock("figures")
    dial(dock, THREE)
    hand.run(dock)
    path = tmp_path / "figures.csv"
    monkeypatch.setattr(
        "napari_lucky.docks.result_dock.QFileDialog.getSaveFileName", lambda *_: (str(path), "")
    )
    hand.press(dock.table_button)
    with open(path, newline="") as file:
        (line,) = csv.DictReader(file)
    figures = dock.rows["star"].figures
    assert float(line["strehl"]) == pytest.approx(figures.strehl, rel=1e-8)
    assert float(line["fwhm_major_arcsec"]) == pytest.approx(
        figures.fwhm_major * THREE.arcsec_per_px, rel=1e-6
    )
    with open(tmp_path / "figures_curves.csv", newline="") as file:
        curve = [float(line["encircled"]) for line in csv.DictReader(file)]
    np.testing.assert_allclose(curve, figures.encircled, rtol=1e-7)
    assert messages() == []
    hand.press(dock.table_button)
    (told,) = messages()
    assert "figures_curves.csv is already there" in told[1]

    path = tmp_path / "figures.png"
    hand.press(dock.figure_button)
    assert path.read_bytes().startswith(b"\x89PNG")
    hand.press(dock.clear_button)
    assert not dock.rows
    assert not dock.canvas.isVisible()


def test_the_header_and_saved_telescopes_fill_the_boxes(viewer, hand, star, messages):
    from astropy.io import fits

    header = fits.Header()
    header["FOCALLEN"], header["APTDIA"], header["PIXSIZE1"] = 9000.0, 300.0, 4.5
    star.metadata["header"] = header
    dock = hand.dock("figures")
    choice = dock.telescope
    assert choice.given == {
        "wavelength_nm": None,
        "focal_ratio": 30.0,
        "pixel_um": 4.5,
        "diameter_m": 0.3,
        "obstruction": None,
    }
    assert [choice.beside[name].value for name in ("focal_ratio", "wavelength_nm")] == [
        "(header)",
        "nm",
    ]
    choice.boxes["wavelength_nm"].value = 633
    choice.boxes["obstruction"].value = 0.25
    choice.name.value = "the small one"
    hand.press(choice.save_button)
    assert choice.named.value == "the small one"
    assert saved_telescopes() == {"the small one": choice.telescope}

    dial(dock, THREE)
    choice.name.value = "the small one"
    hand.press(choice.save_button)
    (told,) = messages()
    assert "another telescope 'the small one' already" in told[1]
    choice.name.value = "three"
    hand.press(choice.save_button)
    choice.named.value = "the small one"
    assert choice.telescope.focal_ratio == 30.0
    other = viewer.add_image(np.ones((20, 20)), name="no star", metadata={"header": header})
    dock.image.value = other
    assert choice.telescope.obstruction == 0.25  # the header does not undo a choice
    hand.press(choice.remove_button)
    assert list(saved_telescopes()) == ["three"]
    assert list(choice.named.choices) == ["as below", "three"]


def test_boxes_are_empty_until_something_is_known(viewer, hand, star, messages):
    """Without optics there is no Strehl ratio, which is said; what is typed stays."""
    from napari_lucky.optics.telescope_store import no_strehl

    dock = hand.dock("figures")
    choice = dock.telescope
    assert set(choice.given.values()) == {None}
    hand.run(dock)
    assert messages() == [("warning", no_strehl({}))]
    (row,) = dock.rows.values()
    assert np.isnan(row.figures.strehl)
    assert row.figures.fwhm_major == pytest.approx(psf_figures(star.data).fwhm_major)
    assert "not known: it needs wavelength" in dock.summary.text()
    assert [axes.get_xlabel() for axes in dock.canvas.figure.axes] == ["radius (px)"] * 2
    hand.press(dock.clear_button)

    choice.boxes["pixel_um"].value = "6,33"
    hand.press(dock.run_button)
    assert "pixel size (µm): '6,33' is not a number" in messages()[0][1]
    choice.boxes["pixel_um"].value = 6.33
    told = {"PIXSIZE1": 5.0, "WAVELEN": 550.0, "FOCRATIO": 58.6}
    other = viewer.add_image(star.data, name="other", metadata={"header": told})
    dock.image.value = other
    assert choice.given["pixel_um"] == 6.33
    beside = {name: label.value for name, label in choice.beside.items()}
    assert (beside["pixel_um"], beside["wavelength_nm"]) == ("µm (header: 5)", "nm (header)")
    dock.image.value = star  # which has no header
    assert (choice.given["wavelength_nm"], choice.given["pixel_um"]) == (None, 6.33)
    dial(dock, THREE)
    choice.boxes["diameter_m"].value = 450
    hand.press(dock.run_button)
    assert "If that is in mm, give 0.45 m;" in messages()[-1][1]


def test_a_frame_of_a_run_and_errors_of_its_stack(viewer, hand, messages):
    """The sample goes through the docks; errors are those of the core on the same frames."""
    viewer.open_sample("napari-lucky", "simulated")
    for name in ("calibration", "registration", "ranking", "stacking"):
        hand.run(hand.dock(name))
    run = next(la for la in viewer.layers if la.name.endswith("calibrated"))
    shifts = next(la for la in viewer.layers if la.name.endswith("shifts"))
    focus = next(la for la in viewer.layers if la.name.endswith(" focus"))
    dock = hand.dock("figures")
    assert vars(dock.telescope.telescope) == pytest.approx(vars(SIMULATED))  # from the header
    dock.image.value, dock.forms["psf"]["resamples"].value = focus, 20
    hand.run(dock)
    assert dock.rows[focus.name].figures.errors.resamples == 0
    assert "6 λ/D (41.99 px)" in dock.summary.text()
    assert "A halo beyond the aperture" in dock.summary.text()

    messages()
    dock.run_layer.value = run
    hand.run(dock)
    (told,) = messages()
    assert "a run and its shifts" in told[1]
    dock.shifts.value = shifts
    hand.run(dock)
    assert messages() == []
    figures = dock.rows[focus.name].figures
    assert figures.errors.resamples == 20
    assert 0 < figures.errors.strehl < 0.2 * figures.strehl
    assert "±" in dock.summary.text()

    viewer.dims.set_current_step(0, 3)
    dock.image.value = run
    windows = next(la for la in viewer.layers if la.name.endswith("windows"))
    dock.windows.value = windows
    hand.run(dock)
    assert messages() == []
    row = dock.rows[f"{run.name} frame 3"]
    assert row.figures.errors.resamples == 0
    assert 0 < row.figures.strehl < 1


def test_what_cannot_be_measured_is_reported(viewer, hand, messages):
    dock = hand.dock("figures")
    hand.press(dock.run_button)
    assert "no image to measure" in messages()[0][1]
    viewer.add_image(LazyArray(ArrayFrames(np.zeros((3, 40, 40), np.float32))), name="dark run")
    dial(dock, THREE)
    hand.run(dock)
    assert "no star to measure" in messages()[0][1]
    dock.forms["psf"]["ring"].boxes[0].value = 20
    hand.press(dock.run_button)
    assert "ring is (20.0, None); it must be a list of numbers, 2 in all" in messages()[0][1]
    assert not dock.rows


def test_bootstrap_is_cancelled(viewer, hand, slow_frames, messages):
    """As every job: nothing is added."""
    from napari_lucky.stacking.methods import stack_record

    window = Window(0, 0, 64, 64)
    dock = hand.dock("figures")
    star = viewer.add_image(
        slow_frames(noise=0).read(slice(0, 1))[0],
        name="stack",
        metadata={"history": (stack_record("mean", window, False, 400),)},
    )
    dial(dock, THREE)
    dock.image.value = star
    frames = (slow_frames(seconds=0.05, noise=0), np.arange(400), window)
    dock._frames = lambda layer: frames
    hand.press(dock.run_button)
    hand.wait(lambda: dock.busy)
    hand.press(dock.cancel_button)
    hand.wait(lambda: not dock.busy)
    assert not dock.rows
    assert dock.notes.text() == "Cancelled; nothing was changed."
    assert bootstrap_figures(
        frames[0], np.arange(5), window, diffraction=THREE.diffraction, resamples=10
    ).errors.strehl == pytest.approx(0, abs=1e-6)
