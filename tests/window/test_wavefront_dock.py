"""The wavefront dock in a real window: numbers of the core, warnings, refusals, files."""

import csv
from dataclasses import replace

import numpy as np
import pytest
from napari.layers import Image, Layer, Shapes

from napari_lucky import LuckyError, Recipe, Telescope, Window, simulate_run
from napari_lucky.frames import ArrayFrames
from napari_lucky.frames.history import Record
from napari_lucky.optics import save_telescope
from napari_lucky.optics.simulation import SIMULATED
from napari_lucky.optics.telescope_store import known_optics
from napari_lucky.stacking.methods import stack_record
from napari_lucky.viewer.to_layers import image_tuple, windows_tuple
from napari_lucky.wavefront import WavefrontRequest, wavefront_parameters
from napari_lucky.wavefront.from_stacks import measure_wavefront_stacks
from napari_lucky.wavefront.measure import measure_wavefront
from napari_lucky.wavefront.task import WavefrontParameters

SMALL = replace(SIMULATED, focal_ratio=20.0)
COUNT, MODES, WAVES = 3, 11, 1.0
ASKED = WavefrontRequest(defocus_waves=WAVES, modes=MODES, count=COUNT, seed=5)


@pytest.fixture(autouse=True)
def own_configuration(tmp_path, monkeypatch, work_here):
    """Keep telescopes apart, and fit few modes: what is tested is the dock."""
    monkeypatch.setattr(
        "napari_lucky.optics.telescope_store.telescopes_file",
        lambda: tmp_path / "own" / "telescopes.toml",
    )
    monkeypatch.setattr("napari_lucky.wavefront.task.FITTED", MODES)
    monkeypatch.setattr("napari_lucky.wavefront.from_stacks.STACK_FITTED", MODES)
    monkeypatch.setattr("napari_lucky.wavefront.from_stacks.BLURS", 2)


@pytest.fixture(scope="module")
def run():
    return simulate_run(
        6,
        (72, 140),
        d_over_r0=1.0,
        photons=4e4,
        telescope=SMALL,
        defocus_waves=WAVES,
        focus_size=48,
        defocus_size=64,
    )


@pytest.fixture
def windows(run):
    return Window.centred(*run.focus), Window.centred(*run.defocus)


@pytest.fixture
def frames(run):
    return ArrayFrames(run.frames - run.dark)


@pytest.fixture
def opened(viewer, run, frames, windows):
    from astropy.io import fits

    shared = {
        "header": fits.Header(list(run.header.items())),
        "history": (Record("simulate", {"frames": 6}),),
    }
    layer = viewer.add_layer(Layer.create(*image_tuple(frames, "run", **shared)))
    viewer.add_layer(Layer.create(*windows_tuple(windows)))
    return layer


def dialled(hand):
    dock = hand.dock("wavefront")
    dock.forms["wavefront"].show(ASKED)
    dock.telescope.boxes["obstruction"].value = SMALL.obstruction
    return dock


def task_of(windows, **options):
    return WavefrontParameters(
        focus=windows[0],
        defocus=windows[1],
        wavelength_nm=SMALL.wavelength_nm,
        focal_ratio=SMALL.focal_ratio,
        pixel_um=SMALL.pixel_um,
        obstruction=SMALL.obstruction,
        **dict(ASKED) | options,
    )


def measure(hand, dock):
    """Press Run and wait: fits take long on a busy machine."""
    hand.press(dock.run_button)
    hand.wait(lambda: not dock.busy)


def names(viewer):
    return [layer.name for layer in viewer.layers]


def cells(dock, column):
    table = dock.view.table
    return [table.item(row, column).text() for row in range(table.rowCount())]


def test_the_dock_tells_what_the_core_does(
    viewer, hand, opened, frames, windows, messages, tmp_path, monkeypatch
):
    dock = dialled(hand)
    assert dock.telescope.telescope == SMALL  # from the header
    assert not dock.view.isVisible()
    measure(hand, dock)
    expected = measure_wavefront(frames, task_of(windows, gain=2.0))
    found = dock.view.measured.wavefront
    np.testing.assert_array_equal(found.coefficients_nm, expected.coefficients_nm)
    np.testing.assert_array_equal(found.sigma_nm, expected.sigma_nm)
    assert found.used == COUNT

    image = viewer.layers["run wavefront"]
    np.testing.assert_array_equal(image.data, expected.image_nm)
    assert image.colormap.name == "RdBu_r"
    assert image.contrast_limits[0] == -image.contrast_limits[1]
    assert [step.name for step in image.metadata["history"]] == [
        "simulate",
        "telescope",
        "wavefront",
    ]
    edge = image.translate[1] + image.data.shape[1] * image.scale[1]
    assert edge <= opened.translate[2]  # beside the run, not on it
    kinds = [isinstance(layer, Shapes) for layer in viewer.layers]
    assert kinds == sorted(kinds)  # the windows stay on top

    assert cells(dock, 0) == [str(noll) for noll in range(4, MODES + 1)]
    assert cells(dock, 1)[0] == "defocus"
    assert [float(text) for text in cells(dock, 2)] == expected.coefficients_nm.round(1).tolist()
    assert [float(text) for text in cells(dock, 3)] == expected.sigma_nm.round(1).tolist()
    np.testing.assert_allclose(
        [float(text) for text in cells(dock, 5)], expected.without[:, 1], atol=6e-4
    )
    for told in (
        f"{expected.rms_nm:.1f} nm",
        f"{expected.strehl:.3f}",
        f"{expected.d_over_r0:.2f}",
        "The sign of the defocus is taken as given",
    ):
        assert told in dock.view.summary.text()
    ((severity, text),) = messages()
    assert severity == "warning"
    assert "Only 3 frames are averaged" in text
    assert all(note in dock.view.summary.text() for note in text.splitlines())

    hand.wait(dock.view.canvas.isVisible)
    assert [bar.get_height() for bar in dock.view.canvas.figure.axes[0].patches] == pytest.approx(
        expected.coefficients_nm
    )
    drawn = []
    for plot in dock.view.plot.choices:
        dock.view.plot.value = plot
        dock.view.canvas.draw()
        drawn.append(len(dock.view.canvas.figure.axes))
    assert drawn == [1, 2, 6, 1, 1, 1]

    path = tmp_path / "zernike.csv"
    monkeypatch.setattr(
        "napari_lucky.docks.result_dock.QFileDialog.getSaveFileName", lambda *_: (str(path), "")
    )
    hand.press(dock.table_button)
    with open(path, newline="", encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    np.testing.assert_allclose(
        [float(line["coefficient_nm"]) for line in lines], expected.coefficients_nm, rtol=1e-8
    )
    path = tmp_path / "plot.png"
    hand.press(dock.figure_button)
    assert path.read_bytes().startswith(b"\x89PNG")

    saved = tmp_path / "wavefront.fits"
    viewer.layers.selection = {image}
    assert viewer.layers.save(str(saved), selected=True) == [str(saved)]
    (back,) = viewer.open(str(saved), plugin="napari-lucky")
    np.testing.assert_array_equal(back.data, image.data)
    assert back.metadata["history"] == image.metadata["history"]
    assert back.metadata["header"]["BUNIT"] == "nm"
    assert messages() == []


def test_the_best_frames_are_taken_with_a_warning(viewer, hand, opened, messages):
    dock = dialled(hand)
    dock.forms["wavefront"]["choice"].value = "ranked"
    assert "too small" in dock.warning.text()
    measure(hand, dock)
    ((severity, text),) = messages()
    assert severity == "error"
    assert "3 Rank first" in text

    hand.run(hand.dock("registration"))
    hand.run(hand.dock("ranking"))
    messages()
    measure(hand, dock)
    ((severity, text),) = messages()
    assert severity == "warning"
    assert "These are the best-ranked frames" in text
    shifts = dock.registration.value
    best = np.sort(np.argsort(-shifts.features["quality"].to_numpy())[:COUNT])
    assert dock.view.measured.wavefront.frames.frame.tolist() == best.tolist()
    steps = [step.name for step in viewer.layers["run wavefront"].metadata["history"]]
    assert steps == ["simulate", "register", "rank", "select", "telescope", "wavefront"]

    dock.forms["wavefront"]["choice"].value = "all"
    assert not dock.warning.text()
    assert dock.forms["wavefront"]["count"].native.isHidden()


def test_windows_of_the_registration_serve(viewer, hand, opened, windows, messages):
    hand.run(hand.dock("registration"))
    viewer.layers.remove("windows")
    messages()
    dock = dialled(hand)
    assert dock.windows.value is None
    assert dock._windows(opened, dock.registration.value) == windows


def test_what_cannot_be_measured_is_reported(viewer, hand, messages, frames, windows):
    dock = hand.dock("wavefront")

    def refusal():
        hand.press(dock.run_button)
        ((severity, text),) = messages()
        assert severity == "error"
        assert not dock.busy
        return text

    assert "Open a run first" in refusal()
    dock.source.value = "a pair of stacks"
    assert "less accurate" in dock.warning.text()
    assert "two layers" in refusal()
    dock.source.value = "frames of a run"
    viewer.add_layer(Layer.create(*image_tuple(frames, "run")))
    with pytest.raises(LuckyError) as lacking:
        known_optics({})
    optics, defocus = str(lacking.value), "The defocus between the two images is not given"
    for missing in ("needs two windows", defocus, optics):  # all at once
        assert missing in refusal()
    focus, _ = windows
    drawn = viewer.add_layer(Layer.create(*windows_tuple([focus])))
    assert "needs two windows" in refusal()
    viewer.layers.remove(drawn)
    drawn = viewer.add_layer(Layer.create(*windows_tuple([focus, Window(10, 5, 20, 20)])))
    for missing in (defocus, optics):  # all boxes are empty
        assert missing in refusal()
    dock.forms["wavefront"]["defocus_waves"].value = 1.0
    assert refusal() == optics  # the command line's sentence
    for name in ("wavelength_nm", "focal_ratio", "pixel_um"):
        dock.telescope.boxes[name].value = getattr(SMALL, name)
    assert "make a donut of" in refusal()
    dock.forms["wavefront"]["defocus_waves"].value = 0.1
    assert "sign of the even modes" in refusal()
    asked = dock.forms["wavefront"]
    asked["defocus_mm"].value = 1.0  # 0.49 waves
    assert "given in waves and in mm; give one" in refusal()
    asked["defocus_waves"].value = None
    dock.telescope.boxes["focal_ratio"].value = 10.0
    assert "too few for the finest speckles" in refusal()
    assert names(viewer) == ["run", drawn.name]


def test_cancel_leaves_everything_as_it_was(viewer, hand, opened, messages, monkeypatch):
    from napari_lucky.wavefront.many_frames import PairReader

    reads = []
    observe = PairReader.observe

    def slow(self, frame):
        import time

        reads.append(frame)
        time.sleep(0.3)
        return observe(self, frame)

    monkeypatch.setattr(PairReader, "observe", slow)
    dock = dialled(hand)
    before = names(viewer)
    hand.press(dock.run_button)
    hand.wait(lambda: len(reads) > 1)
    assert dock.busy
    hand.press(dock.cancel_button)
    hand.wait(lambda: not dock.busy)
    assert names(viewer) == before
    assert dock.view.measured is None
    assert dock.notes.text() == "Cancelled; nothing was changed."


def test_a_saved_telescope_is_chosen(viewer, hand, opened):
    other = Telescope(2.0, 0.2, 550.0, 30.0, 4.5)
    save_telescope("the large one", other)
    dock = hand.dock("wavefront")
    dock.telescope.named.value = "the large one"
    dock.forms["spider"].on.value = True
    dock.forms["wavefront"]["defocus_waves"].value = 1.5
    places = Window(0, 0, 9, 9), Window(0, 9, 9, 9)
    task = wavefront_parameters(Recipe(None, *dock.requests()), {}, *places)
    assert (task.wavelength_nm, task.focal_ratio, task.pixel_um) == (550, 30, 4.5)
    assert task.obstruction == 0.2
    assert task.spider.vanes == 4
    dock.fill(Recipe(None, *dock.requests()).changed(WavefrontRequest, defocus_mm=3.96))
    assert dock.forms["wavefront"]["defocus_waves"].value is None
    task = wavefront_parameters(Recipe(None, *dock.requests()), {}, *places)
    assert task.defocus_waves == pytest.approx(3.96e6 / (8 * 900 * 550))


def test_a_pair_of_stacks_is_measured_the_lesser_way(viewer, hand, run, windows, messages):
    """Means of the true images; which star a stack is of is known from its history."""
    facts = {"focus": _numbers(windows[0]), "defocus": _numbers(windows[1])}
    register = Record("register", {"method": "brightest"}, facts=facts)
    pair = []
    for name, images, window in zip(
        ("focus", "defocus"),
        (run.truth.focus_images, run.truth.defocus_images),
        windows,
        strict=True,
    ):
        stack = images[:1].mean(axis=0) + np.random.default_rng(0).normal(0, 1, window.shape)
        history = (register, stack_record("mean", window, True, 1))
        layer = image_tuple(stack.astype(np.float32), f"run {name}", history=history)
        pair.append(viewer.add_layer(Layer.create(*layer)))
    dock = dialled(hand)
    dock.source.value = "a pair of stacks"
    assert (dock.focus.value, dock.defocus.value) == tuple(pair)
    for name in ("wavelength_nm", "focal_ratio", "pixel_um"):
        dock.telescope.boxes[name].value = getattr(SMALL, name)
    measure(hand, dock)
    ((severity, text),) = messages()
    assert severity == "warning"
    assert "less accurate" in text
    found = dock.view.measured.wavefront
    expected = measure_wavefront_stacks(*(layer.data for layer in pair), task_of(windows))
    np.testing.assert_array_equal(found.coefficients_nm, expected.coefficients_nm)
    np.testing.assert_array_equal(viewer.layers["run focus wavefront"].data, expected.image_nm)
    assert list(dock.view.plot.choices) == [
        "coefficients",
        "wavefront on the pupil",
        "measured, model, residual",
    ]
    assert isinstance(viewer.layers["run focus wavefront"], Image)

    hand.press(dock.run_button)
    hand.press(dock.cancel_button)
    hand.wait(lambda: not dock.busy)
    assert len(viewer.layers) == 3
    assert dock.notes.text() == "Cancelled; nothing was changed."

    pair[1].metadata = {"history": (register, stack_record("mean", windows[1], True, 7))}
    measure(hand, dock)
    assert "a pair is of the same frames" in messages()[0][1]


def _numbers(window):
    return [window.y0, window.x0, window.height, window.width]
