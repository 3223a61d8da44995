import numpy as np
import pytest
from astropy.io import fits
from hands import TITLES, layer
from napari.layers import Image, Points, Vectors
from qtpy.QtWidgets import QLabel

from napari_lucky import Window
from napari_lucky.frames import LazyArray
from napari_lucky.registration.centroid import RegisterCentroid
from napari_lucky.registration.step import RegisterBrightest
from napari_lucky.steps import RemoveOutliers, StackDrizzle
from napari_lucky.viewer import sample_data
from napari_lucky.viewer.from_layers import windows_of


def test_tour_of_the_four_docks_on_the_sample(viewer, hand, messages, tmp_path):
    viewer.open_sample("napari-lucky", "simulated")
    truth = sample_data.simulate_run().truth

    hand.run(hand.dock("calibration"))
    calibrated = layer(viewer, "sample run calibrated")
    assert isinstance(calibrated.data, LazyArray)
    assert calibrated.data.dtype == np.float32
    assert layer(viewer, "master flat").data[~np.isnan(layer(viewer, "master flat").data)].min() > 0
    assert layer(viewer, "bad pixels").data.sum() > 50
    assert abs(np.nanmedian(layer(viewer, "master flat").data) - 1) < 1e-3

    assert messages() == [("info", "Masked 72 hot or dead pixels of the sensor.")]

    hand.run(hand.dock("registration"))
    assert hand.dock("registration").notes.text().startswith("Registered 60 of 60 frames (100 %).")
    smooth = hand.dock("registration").forms["register"]["smooth"]
    assert smooth.native.text() == "auto: 2.37 px"
    assert "the sampling measured in the frames is 7.1 px per λ/D" in smooth.tooltip
    shifts = layer(viewer, "shifts", Vectors)
    ends = shifts.data[:, 0] + shifts.data[:, 1]
    assert np.ptp(ends[:, 1:], axis=0).max() < 1e-6  # every arrow ends where the star lands
    assert np.array_equal(ends[:, 0], np.arange(60))
    best = truth.strehl > np.quantile(truth.strehl, 0.7)
    error = (shifts.data[:, 1, 1:] - truth.shifts)[best]
    assert np.hypot(*(error - np.median(error, axis=0)).T).max() < 1.5
    assert shifts.edge_color_mode == "colormap"
    assert np.allclose(shifts.features["length"], np.hypot(*shifts.data[:, 1, 1:].T))
    assert np.allclose(layer(viewer, "tracked", Points).data, shifts.data[:, 0])
    registered = layer(viewer, "registered")
    y, x = ends[0, 1:].astype(int)
    for frame in np.flatnonzero(best)[:4]:
        near = registered.data[frame, y - 30 : y + 31, x - 30 : x + 31]
        assert np.abs(np.argwhere(near == np.nanmax(near))[0] - 30).max() <= 3

    ranking = hand.dock("ranking")
    hand.run(ranking)
    assert (
        np.corrcoef(shifts.features["quality"].rank(), np.argsort(np.argsort(truth.strehl)))[0, 1]
        > 0.95
    )
    assert shifts.features["selected"].sum() == 10
    kept = layer(viewer, "kept, best first")
    assert kept.data.shape == (10, 256, 512)
    first = int(shifts.features["quality"].argmax())
    assert np.array_equal(kept.data[0], registered.data[first], equal_nan=True)

    hand.run(hand.dock("stacking"))
    focus, defocus = layer(viewer, "run focus"), layer(viewer, "run defocus")
    long_exposure = layer(viewer, "long exposure")
    assert focus.data.shape == long_exposure.data.shape == (128, 128)
    assert defocus.data.shape == (192, 192)
    assert np.nanmax(focus.data) > 2 * np.nanmax(long_exposure.data)
    assert tuple(focus.translate) == (56, 336)  # shown where its window is on the sensor
    assert [s.name for s in focus.metadata["history"]] == [
        "simulate",
        "calibrate",
        "register",
        "rank",
        "select",
        "stack",
    ]
    images = [isinstance(la, Image) for la in viewer.layers]
    assert images == sorted(images, reverse=True)  # windows, points and arrows stay on top
    assert messages() == []

    for name, suffix in (("run focus", "fits"), ("shifts", "fits"), ("shifts", "csv")):
        saved = layer(viewer, name, (Image, Vectors))
        viewer.layers.selection = {saved}
        path = tmp_path / f"{name}.{suffix}"
        assert viewer.layers.save(str(path), selected=True) == [str(path)]
        (back,) = viewer.open(str(path), plugin="napari-lucky")
        back.name = f"back {suffix}"
        assert np.array_equal(back.data, saved.data, equal_nan=True)
        assert back.metadata["history"] == saved.metadata["history"]
        assert np.array_equal(back.translate, saved.translate)
        if isinstance(saved, Vectors):
            assert back.features.equals(saved.features)
    header = fits.getheader(tmp_path / "run focus.fits")
    assert (header["BITPIX"], header["NCOMBINE"], header["EXPTIME"]) == (-32, 10, 0.005)


def test_clicking_a_point_shows_its_frame_and_dragging_moves_the_cut(viewer, hand):
    viewer.open_sample("napari-lucky", "simulated")
    hand.run(hand.dock("registration"))
    ranking = hand.dock("ranking")
    hand.run(ranking)
    hand.wait(lambda: ranking.graph.width() > 50)
    ranking.graph.draw()
    shifts = layer(viewer, "shifts", Vectors)

    def at(axes, x, y):
        px, py = axes.transData.transform((x, y))
        ratio = ranking.graph.device_pixel_ratio
        return px / ratio, ranking.graph.height() - py / ratio

    def mouse(kind, axes, x, y):
        from qtpy.QtCore import QPoint, Qt

        getattr(hand.qtbot, kind)(
            ranking.graph,
            *([] if kind == "mouseMove" else [Qt.MouseButton.LeftButton]),
            pos=QPoint(*(round(v) for v in at(axes, x, y))),
        )

    quality = shifts.features["quality"].to_numpy()
    frame = int(quality.argmax())
    mouse("mouseClick", ranking.graph._over_frame, frame, quality[frame])
    assert viewer.dims.current_step[0] == frame

    axes = ranking.graph._sorted
    middle = np.mean(axes.get_ylim())
    mouse("mousePress", axes, 6.5, middle)
    mouse("mouseMove", axes, 20.5, middle)
    mouse("mouseRelease", axes, 20.5, middle)
    kept = int(shifts.features["selected"].sum())
    assert 18 <= kept <= 22
    assert layer(viewer, "kept, best first").data.shape[0] == kept
    assert ranking.forms["select"]["keep"].value == pytest.approx(kept / 60, abs=1e-5)
    assert set(np.flatnonzero(shifts.features["selected"])) == set(np.argsort(-quality)[:kept])


def test_a_second_run_replaces_the_first_unless_it_is_to_be_kept(viewer, hand):
    viewer.open_sample("napari-lucky", "simulated")
    dock = hand.dock("registration", extras=False)
    hand.run(dock)
    assert [la.name for la in viewer.layers][-2:] == ["sample run tracked", "sample run shifts"]
    assert "sample run registered" not in viewer.layers
    dock.by_products.value = True
    assert "sample run registered" in viewer.layers
    dock.by_products.value = False
    before = list(viewer.layers)
    assert "It took" in dock.notes.text()
    hand.press(dock.next_button)
    assert "3 Rank" in str(list(viewer.window.dock_widgets))
    dock.forms["register"].method.value = "centroid"
    hand.run(dock)
    assert list(viewer.layers) == before
    shifts = layer(viewer, "shifts", Vectors)
    assert shifts.metadata["history"][-1].parameters["method"] == "centroid"
    shifts.name = "mine"  # what is renamed is kept, and what is not to be replaced
    data = [np.array(la.data) for la in before]
    dock.keep_old.value = True
    hand.run(dock)
    new = [la.name for la in viewer.layers if la not in before]
    assert new == ["sample run tracked 2", "sample run shifts"]
    assert all(
        np.array_equal(la.data, d, equal_nan=True) for la, d in zip(before, data, strict=True)
    )


def test_cancel_ends_a_job_of_hours_and_changes_nothing(
    viewer, hand, slow_frames, add_run, messages
):
    frames = slow_frames(n=10_000_000)
    add_run(frames, Window(10, 10, 40, 40))
    dock = hand.dock("registration")
    names = [la.name for la in viewer.layers]
    hand.press(dock.run_button)
    hand.wait(lambda: frames.reads > 4 and "of" in dock.progress.text.text())
    assert dock.busy
    assert not dock.run_button.enabled
    assert dock.cancel_button.enabled
    hand.press(dock.cancel_button)
    hand.wait(lambda: not dock.busy)
    assert [la.name for la in viewer.layers] == names
    assert dock.run_button.enabled
    assert not dock.cancel_button.enabled
    assert dock.progress.isHidden()
    assert dock.notes.text() == "Cancelled; nothing was changed."


def test_an_error_in_the_worker_is_reported_in_a_sentence(
    viewer, hand, slow_frames, add_run, messages
):
    add_run(slow_frames(n=2000, error=OSError("the disk is gone")), Window(10, 10, 40, 40))
    dock = hand.dock("registration")
    hand.run(dock)
    ((severity, text),) = messages()
    assert severity == "error"
    assert "the disk is gone" in text
    assert dock.run_button.enabled


def test_a_dark_of_another_shape_is_reported(viewer, hand, add_run, slow_frames, messages):
    add_run(slow_frames(n=3, seconds=0), Window(10, 10, 40, 40))
    viewer.add_image(np.zeros((32, 48), np.float32), name="dark")
    dock = hand.dock("calibration")
    hand.run(dock)
    ((_, text),) = messages()
    assert "32 x 48" in text
    assert "64 x 64" in text


def test_a_layer_removed_while_running_does_no_harm(viewer, hand, slow_frames, add_run, messages):
    run = add_run(slow_frames(n=600, seconds=0.02), Window(10, 10, 40, 40))
    dock = hand.dock("registration")
    hand.press(dock.run_button)
    hand.wait(lambda: run.data.frames.reads > 3)
    viewer.layers.remove(run)
    hand.wait(lambda: not dock.busy)
    assert len(layer(viewer, "shifts", Vectors).data) == 600
    assert messages() == []


def test_a_dock_closed_while_running_ends_its_job(viewer, hand, slow_frames, add_run):
    from napari_lucky.docks import jobs

    add_run(slow_frames(n=10_000_000), Window(10, 10, 40, 40))
    dock = hand.dock("registration")
    hand.press(dock.run_button)
    hand.wait(lambda: bool(jobs.RUNNING))
    viewer.window.remove_dock_widget("all")
    hand.wait(lambda: not jobs.RUNNING)


def test_missing_things_are_asked_for(hand, messages):
    for name in ("calibration", "registration", "ranking", "stacking"):
        dock = hand.dock(name)
        hand.press(dock.run_button)
        ((severity, text),) = messages()
        assert severity == "error"
        assert "first" in text
        assert dock.notes.text() == text and not dock.notes.isHidden()
        assert not dock.busy


def test_a_window_over_the_edge_is_reported(viewer, hand, slow_frames, add_run, messages):
    add_run(slow_frames(n=3, seconds=0), Window(40, 40, 40, 40))
    hand.run(hand.dock("registration"))
    ((_, text),) = messages()
    assert "rows 40 to 79" in text


def test_parameters_are_remembered(viewer, hand):
    dock = hand.dock("registration")
    form = dock.forms["register"]
    assert form["smooth"].native.text() == "auto"
    form["smooth"].value, form.method.value = 3.5, "centroid"
    cleaning = hand.dock("cleaning").forms
    cleaning["outliers"].on.value, cleaning["outliers"]["sigma"].value = True, 7.125
    cleaning["low-pass"]["sampling"].value = 6.0
    hand.dock("ranking").forms["select"]["keep"].value = 1
    hand.dock("stacking").forms["stack"].method.value = "drizzle"
    hand.dock("stacking").forms["stack"]["scale"].value = 3.0
    viewer.window.remove_dock_widget("all")
    dock = hand.dock("registration")
    again = dock.forms["register"]
    assert again.step() == RegisterCentroid(smooth=3.5)
    said = "Not the defaults: Register method = centroid, Register smoothing = 3.5."
    assert dock.notes.text() == said
    assert "bold" in again["smooth"].native.styleSheet()
    hand.press(dock.reset_button)
    assert again.step().changed() == RegisterBrightest()
    assert (dock.reset_button.visible, dock.notes.text()) == (False, "")
    cleaning = hand.dock("cleaning").forms
    assert cleaning["outliers"].step() == RemoveOutliers(sigma=7.125)
    assert cleaning["low-pass"].step() is None  # off, and its numbers are kept
    assert cleaning["low-pass"]["sampling"].value == 6.0
    assert hand.dock("ranking").forms["select"].step().keep == 0.1  # the cut is of one run
    assert hand.dock("stacking").forms["stack"].step() == StackDrizzle(scale=3.0)


def test_every_parameter_has_a_tooltip(hand):
    for name in ("calibration", "registration", "ranking", "stacking"):
        dock = hand.dock(name)
        assert all(len(widget.tooltip) > 10 for widget in dock._parameters)


def test_a_chosen_layer_survives_renaming_and_new_layers(viewer, hand, slow_frames, add_run):
    run = add_run(slow_frames(n=3, seconds=0), Window(10, 10, 40, 40))
    dock = hand.dock("calibration")
    viewer.add_image(np.zeros((64, 64)), name="night dark")
    assert dock.dark.value is viewer.layers["night dark"]
    viewer.layers["night dark"].name = "something else"
    run.name = "renamed"
    assert dock.dark.value is viewer.layers["something else"]
    assert dock.image.value is run


def test_windows_are_drawn_with_the_mouse_and_labelled(viewer, hand, slow_frames, add_run):
    run = add_run(slow_frames(n=3, seconds=0), Window(10, 10, 40, 40))
    dock = hand.dock("registration")
    hand.press(dock.draw_button)
    drawn = dock.windows.value
    assert drawn.mode == "add_rectangle"
    for corners in ([[9.5, 9.5], [49.5, 53.5]], [[0.5, 0.5], [20.5, 30.5]]):
        drawn.add(np.array(corners), shape_type="rectangle")
    assert list(drawn.features["window"]) == ["focus", "defocus"]
    assert windows_of(drawn, run) == [Window(10, 10, 40, 44), Window(1, 1, 20, 30)]


def test_windows_hold_where_layers_are_scaled_moved_or_turned(viewer, hand, slow_frames, add_run):
    run = add_run(slow_frames(n=3, seconds=0), Window(10, 10, 40, 40))
    run.scale, run.translate = (1, 0.5, 0.5), (0, 10, 20)
    square = np.array([[19.75, 29.75], [19.75, 34.75], [29.75, 34.75], [29.75, 29.75]])
    plain = viewer.add_shapes([square])
    assert windows_of(plain, run) == [Window(20, 20, 20, 10)]
    turned = viewer.add_shapes([square - square.mean(axis=0)], rotate=90)
    turned.translate = square.mean(axis=0)
    assert windows_of(turned, run) == [Window(25, 15, 10, 20)]


def test_shifts_of_another_run_are_refused_and_histories_are_the_frames_own(
    viewer, hand, slow_frames, add_run, messages
):
    viewer.open_sample("napari-lucky", "simulated")
    hand.run(hand.dock("calibration"))
    hand.run(hand.dock("registration"))
    hand.run(hand.dock("ranking"))
    messages()
    stacking = hand.dock("stacking")
    stacking.image.value = viewer.layers["sample run"]
    hand.run(stacking)
    stack = layer(viewer, "run focus")
    names = [step.name for step in stack.metadata["history"]]
    assert names == ["simulate", "register", "rank", "select", "stack"]  # of the raw frames
    assert messages() == []

    viewer.add_image(np.random.default_rng(0).normal(size=(60, 256, 512)), name="noise")
    for dock in (stacking, hand.dock("ranking")):
        dock.image.value = viewer.layers["noise"]
        hand.run(dock)
        ((severity, text),) = messages()
        assert severity == "error"
        assert "belong together" in text


def test_shifts_removed_while_ranking_are_reported(viewer, hand, slow_frames, add_run, messages):
    frames = slow_frames(n=600)
    add_run(frames, Window(10, 10, 40, 40))
    frames.seconds = 0
    hand.run(hand.dock("registration"))
    frames.seconds = 0.05
    dock = hand.dock("ranking")
    hand.press(dock.run_button)
    hand.wait(lambda: dock.busy)
    viewer.layers.remove(layer(viewer, "shifts", Vectors))
    hand.wait(lambda: not dock.busy)
    ((severity, text),) = messages()
    assert severity == "error"
    assert "removed" in text
    assert not [la for la in viewer.layers if "kept" in la.name]


def test_docks_opened_one_after_the_other_are_tabs(viewer, hand):
    docks = [hand.dock(name) for name in ("calibration", "registration", "ranking", "stacking")]
    window = viewer.window._qt_window
    hand.wait(lambda: len(window.tabifiedDockWidgets(docks[0].parent())) == 3)
    hand.wait(lambda: docks[-1].visibleRegion().boundingRect().height() > 200)  # in front


def test_a_dock_is_one_and_has_one_title_however_it_is_opened(viewer, hand):
    docks = {name: hand.dock(name) for name in TITLES}
    names = [f"{title} (Lucky imaging)" for title in TITLES.values()]
    assert list(viewer.window.dock_widgets) == names  # napari's menu looks for these
    outer = docks["calibration"].parent()
    assert [dock.parent().windowTitle() for dock in docks.values()] == list(TITLES.values())
    for floating in (True, False):  # napari makes the bar again
        outer.setFloating(floating)
        assert [label.text() for label in outer.titleBarWidget().findChildren(QLabel)] == [
            "1 Calibrate"
        ]
    docks["calibration"].go_on()
    assert list(viewer.window.dock_widgets) == names
    byhand = viewer.window.add_plugin_dock_widget("napari-lucky", "Clean")[1]
    assert byhand.parent().windowTitle() == "Clean"


def test_the_graph_follows_the_theme(viewer, hand):
    dock = hand.dock("ranking")
    for theme in ("light", "dark"):
        viewer.theme = theme
        colour = dock.graph.figure.get_facecolor()
        assert (np.mean(colour[:3]) > 0.5) == (theme == "light")


def test_a_range_of_frames_goes_down_the_chain(viewer, hand):
    viewer.open_sample("napari-lucky", "simulated")
    dock = hand.dock("calibration")
    dock.frames.value = "10:50:4"
    hand.run(dock)
    calibrated = layer(viewer, "calibrated")
    assert calibrated.data.shape[0] == 10
    assert calibrated.metadata["history"][1].parameters == {"start": 10, "stop": 47, "step": 4}
    hand.run(hand.dock("registration"))
    assert len(layer(viewer, "shifts", Vectors).data) == 10
    stacking = hand.dock("stacking")
    stacking.which.value = "all (shift-and-add)"
    stacking.image.value = viewer.layers["sample run"]  # other frames than those registered
    hand.run(stacking)
    assert not [la for la in viewer.layers if la.name.endswith("focus")]
    dock.frames.value = "99:"
    hand.run(dock)
    assert len([la for la in viewer.layers if "calibrated" in la.name]) == 1


def test_the_slider_moves_to_a_frame_that_is_there(viewer, hand):
    viewer.open_sample("napari-lucky", "simulated")
    viewer.dims.set_current_step(0, 59)
    dock = hand.dock("calibration")
    dock.frames.value = "0:30:3"
    hand.run(dock)
    assert viewer.dims.current_step[0] == 0


def test_a_calibrated_run_is_not_calibrated_again(viewer, hand, messages):
    viewer.open_sample("napari-lucky", "simulated")
    dock = hand.dock("calibration")
    hand.run(dock)
    dock.image.value = layer(viewer, "sample run calibrated")
    messages()
    hand.run(dock)
    ((_, told),) = messages()
    assert "calibrated already, with a dark" in told


def test_the_frame_shown_may_be_the_reference(viewer, hand):
    viewer.open_sample("napari-lucky", "simulated")
    dock = hand.dock("registration")
    dock.forms["register"].method.value = "correlation"
    dock.reference_frame.value = "the frame shown"
    viewer.dims.set_current_step(0, 17)
    hand.run(dock)
    step = layer(viewer, "shifts", Vectors).metadata["history"][-1]
    assert step.parameters["reference_frame"] == "17"


def test_a_template_gives_errors_that_go_down_the_chain(viewer, hand, messages):
    viewer.open_sample("napari-lucky", "simulated")
    hand.run(hand.dock("calibration"))
    messages()  # of the masked pixels
    dock = hand.dock("registration")
    dock.forms["register"].method.value = "template"
    hand.run(dock)
    shifts = layer(viewer, "shifts", Vectors)
    assert shifts.metadata["history"][-1].parameters["method"] == "template"
    assert len(shifts.data) == 60
    for name in ("sigma_dy", "sigma_dx"):
        assert ((shifts.features[name] > 0) & (shifts.features[name] < 1)).all()
    hand.run(hand.dock("ranking"))
    hand.run(hand.dock("stacking"))
    peak, long = (np.nanmax(layer(viewer, name).data) for name in ("run focus", "long exposure"))
    assert peak > 2 * long
    assert messages() == []
