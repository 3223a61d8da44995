"""The docks' forms: made from the declarations, filled from a step and giving it back."""

from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import pytest
from qtpy.QtCore import QPoint, QPointF, Qt
from qtpy.QtGui import QWheelEvent
from qtpy.QtWidgets import QApplication, QScrollArea, QVBoxLayout, QWidget

from napari_lucky import LuckyError, Select
from napari_lucky.cleaning.step import Applied, CleaningStep
from napari_lucky.docks.form import StepForm, editor_of
from napari_lucky.docks.number_box import DeclaredNumber
from napari_lucky.frames.frames import View, as_float32
from napari_lucky.pipeline.step import Input
from napari_lucky.ranking import METRICS, metric
from napari_lucky.stacking.mean import stack_mean
from napari_lucky.stacking.step import StackFrames
from napari_lucky.steps import LowPassFilter, PsfRequest, RemoveOutliers
from napari_lucky.steps.declaration import Param, param, params
from napari_lucky.steps.registry import STEPS, load_steps, make_step

KINDS = [(table, kind) for table, kinds in load_steps().items() for kind in kinds]
HAND_MADE = {"table_file": "/runs/frames.csv", "times_file": "/runs/times.csv"}
"""What a form does not show, and a step must have."""
INSTEAD = {"background", "defocus_mm"}
"""Parameters that are given instead of others."""


def other_value(one: Param):
    """Return a value that is not the default, of as many digits as there can be."""
    if one.many:
        return (20.5, 30.1234567890123456)
    if one.choices:
        return [choice for choice in one.choices if choice != one.default][-1]
    if one.type is bool:
        return not one.default
    if one.name == "resamples":
        return 30
    if one.type is int:
        return int(one.limits.get("ge", 0)) + 2
    if one.name == "sampling":
        return 6.123456789012345
    if one.type is float:
        low = one.limits.get("ge", one.limits.get("gt", 0))
        return low + 0.1234567890123456
    return "12"


def in_form(model):
    return [one for one in params(model).values() if not (one.hand_made or one.path)]


@pytest.mark.parametrize(("table", "kind"), KINDS, ids=["-".join(pair) for pair in KINDS])
def test_a_form_gives_back_the_step_shown(qtbot, table, kind):
    model = load_steps()[table][kind]
    own = {name: HAND_MADE[name] for name, one in params(model).items() if one.required}
    form = StepForm(table)
    qtbot.addWidget(form.native)
    if model.optional:
        assert form.step(**own) is None
    else:
        assert form.step() == make_step(table, {})
    shown = [one for one in in_form(model) if one.name not in INSTEAD]
    values = {one.name: other_value(one.either[0] if one.either else one) for one in shown}
    values |= {"method": kind} if kind else {}
    if table == "low-pass":
        values["cutoff"] = 1.0123456789012345  # of the diffraction limit
    step = make_step(table, values | own)
    form.show(step)
    assert form.step(**own) == step
    plain = make_step(table, {"method": kind, **own} if kind else own)
    form.show(plain)
    assert form.step(**own) == plain
    form.show(None)
    assert (form.step(**own) is None) == model.optional


def test_a_count_is_no_fraction(qtbot):
    form = StepForm("select")
    qtbot.addWidget(form.native)
    for keep in (1, 1.0, 25, 1e-7):
        form.show(Select(keep=keep, above=-0.25))
        assert form.step() == Select(keep=keep, above=-0.25)
        assert type(form.step().keep) is type(keep)


def test_only_the_parameters_of_the_method_are_shown(qtbot):
    form = StepForm("stack")
    qtbot.addWidget(form.native)
    form.native.show()
    for kind, model in form.kinds.items():
        form.method.value = kind
        shown = [name for (_, name), editor in form._editors.items() if editor.native.isVisible()]
        assert set(shown) == {one.name for one in in_form(model)}
        assert shown[-1] == "subpixel"


def test_a_row_says_what_is_declared(qtbot):
    form = StepForm("outliers")
    qtbot.addWidget(form.native)
    sigma = form["sigma"]
    assert sigma.native.text() == "6 σ"
    assert sigma.tooltip == (
        "Threshold, in units of the noise around the pixel. Allowed: a number from 2 to 1000 σ."
    )
    sigma.native.stepUp()
    assert sigma.value == 6.5
    for given in (1.999, 1000.1, None):
        with pytest.raises(ValueError):
            sigma.value = given
    assert "alone in a frame" in form.tooltip
    register = StepForm("register")
    assert register["smooth"].tooltip.endswith("px, or nothing.")


@dataclass(frozen=True, eq=False)
class Brighter(View):
    factor: float = 1.0

    def read(self, frames, window=None):
        return self.factor * as_float32(self.frames.read(frames, window))


@contextmanager
def declared(table, kind=""):
    """Take a step that a test declares out of the registry again."""
    load_steps()
    try:
        yield
    finally:
        STEPS[table].pop(kind)
        if not STEPS[table]:
            STEPS.pop(table)


def test_a_step_a_method_and_a_metric_declared_here_are_in_the_docks(viewer, hand, messages):
    viewer.open_sample("napari-lucky", "simulated")
    with declared("brighten"), declared("stack", "twice"):

        class Brighten(CleaningStep, table="brighten", place=45, optional=True):
            """Multiply by a factor."""

            factor: float = param(2.5, "By how much.", "x", ge=1, le=10)

            def apply(self, frames, scene):
                brighter = Brighter(frames, self.factor)
                return Applied(brighter, self, note=lambda: f"Brighter by {self.factor:g}.")

        class Twice(StackFrames, kind="twice"):
            """Twice the mean."""

            more: int = param(7, "What is added.", "ADU", ge=0)

            def stack(self, given):
                return stack_mean(given.shifted, given.index, given.window)

        @metric("dimness")
        def dimness(image):
            """−max I."""
            return -image.max((1, 2))

        cleaning, stacking = hand.dock("cleaning"), hand.dock("stacking")
        ranking = hand.dock("ranking")
        try:
            form = cleaning.forms["brighten"]
            assert list(cleaning.forms)[:4] == ["dust", "background", "outliers", "flicker"]
            assert list(cleaning.forms)[4] == "brighten"
            form.on.value = True
            form["factor"].value = 3.0
            hand.run(cleaning)
            (cleaned,) = [la for la in viewer.layers if la.name.endswith("cleaned")]
            assert cleaned.metadata["history"][-1] == Brighten(factor=3.0).record()
            np.testing.assert_array_equal(
                cleaned.data[4], 3 * as_float32(viewer.layers["sample run"].data[4])
            )
            assert any("Brighter by 3." in text for _, text in messages())
            stacking.forms["stack"].method.value = "twice"
            assert stacking.forms["stack"].step() == Twice()
            assert stacking.forms["stack"]["more"].native.isVisibleTo(stacking)
            assert "twice: Twice the mean." in stacking.forms["stack"].method.tooltip
            choice = ranking.forms["rank"]["metric"]
            assert "dimness" in choice.choices
            assert "dimness: −max I" in choice.tooltip
        finally:
            METRICS.pop("dimness")
            viewer.window.remove_dock_widget("all")


DOCKS = ["calibration", "cleaning", "registration", "ranking", "stacking", "figures", "wavefront"]


@pytest.mark.parametrize("name", DOCKS)
def test_a_dock_of_300_pixels_is_not_scrolled_sideways(viewer, hand, name):
    dock = hand.dock(name)
    for form in dock.forms.values():
        if form.on is not None:
            form.on.value = True
    outer = dock.parent()
    outer.setFloating(True)
    outer.resize(300, 700)
    hand.wait(lambda: outer.width() == 300 and dock.viewport().width() < 300)
    methods = [(form, kind) for form in dock.forms.values() for kind in form.kinds if kind]
    for form, kind in methods or [(None, "")]:
        if form is not None:
            form.method.value = kind
        QApplication.processEvents()
        assert dock.horizontalScrollBar().maximum() == 0
        assert dock.widget().width() <= dock.viewport().width()
    fields = [
        form["smooth" if table in ("register", "rank") else next(iter(form._editors))[1]].native
        for table, form in dock.forms.items()
        if "" in form.kinds or table == "register"
    ]
    images = [dock.image.native, *fields]
    left = {field.mapTo(dock.widget(), QPoint(0, 0)).x() for field in images}
    assert max(left) - min(left) <= 2  # one column


class Boxes(QScrollArea):
    """A form of all cleaning steps, higher than its place."""

    def __init__(self):
        super().__init__()
        inside = QWidget()
        column = QVBoxLayout(inside)
        self.forms = [StepForm(table) for table in ("outliers", "register", "stack", "low-pass")]
        for form in self.forms:
            column.addWidget(form.native)
            form.show(form.model())
        self.setWidget(inside)
        self.setWidgetResizable(True)
        self.resize(300, 120)


def test_the_wheel_over_a_box_is_passed_on_and_changes_no_value(qtbot):
    area = Boxes()
    qtbot.addWidget(area)
    area.show()
    before = [form.step() for form in area.forms]
    for form in area.forms:
        for editor in form.editors:
            native = getattr(editor, "native", None)
            if native is None or not native.isVisible():
                continue
            native.setFocus()
            at = QPointF(5, 5)
            event = QWheelEvent(
                at,
                native.mapToGlobal(at),
                QPoint(0, -60),
                QPoint(0, -120),
                Qt.MouseButton.NoButton,
                Qt.KeyboardModifier.NoModifier,
                Qt.ScrollPhase.NoScrollPhase,
                False,
            )
            QApplication.sendEvent(native, event)
            assert not event.isAccepted()  # so Qt gives a hand's to the scroll area
    assert [form.step() for form in area.forms] == before


def typed(qtbot, box, text):
    box.native.selectAll()
    qtbot.keyClick(box.native, Qt.Key.Key_Delete)
    qtbot.keyClicks(box.native, text)
    qtbot.keyClick(box.native, Qt.Key.Key_Return)


def test_numbers_are_typed_and_lose_no_digit(qtbot):
    box = DeclaredNumber(params(LowPassFilter)["cutoff"], "cutoff")
    qtbot.addWidget(box.native)
    heard = []
    box.changed.connect(heard.append)
    for text, number in (("0.1", 0.1), ("5e-3", 5e-3), ("99.99999999999999", 99.99999999999999)):
        typed(qtbot, box, text)
        assert box.value == heard[-1] == number
    for text in ("0", "-1", "100.5", "five", "nan", "inf", ""):
        typed(qtbot, box, text)
        assert box.value == 99.99999999999999, text
    rng = np.random.default_rng(0)
    for number in 10 ** rng.uniform(-300, 2, 300):
        box.value = float(number)
        assert box.value == number
        typed(qtbot, box, box.native.text())
        assert box.value == number
    box.value = 0.1
    for _ in range(3):
        box.native.stepUp()
    assert box.value == 0.25  # not 0.25000000000000006
    box.native.stepBy(-100)
    assert 0 < box.value < 0.01


def test_what_cannot_be_used_is_said_and_the_number_before_stays(viewer, hand, qtbot, messages):
    dock = hand.dock("figures")
    form = dock.forms["psf"]
    typed(qtbot, form["integration"], "11")
    said = "integration: '11' is not a number from 0 to 10 px. It stays 1 px."
    assert dock.notes.text() == said
    assert dock.notes.isVisibleTo(dock)
    typed(qtbot, form["aperture"], "wide")
    also = "aperture: 'wide' is not a number of at least 1 px. It stays auto."
    assert dock.notes.text().splitlines() == [said, also]
    typed(qtbot, form["ring"].boxes[1], "5,5")
    assert dock.notes.text().splitlines()[2].startswith("ring: '5,5' is not a number")
    viewer.add_image(np.ones((40, 40), np.float32), name="no star")
    hand.run(dock)  # what was said is still there beside what the job says
    assert said in dock.notes.text()
    assert "All pixels of this image are equal" in dock.notes.text()
    assert (form["integration"].value, form["aperture"].value) == (1.0, None)
    typed(qtbot, form["integration"], "-1")
    typed(qtbot, form["integration"], "2")
    assert "integration" not in dock.notes.text()
    register = hand.dock("registration")
    typed(qtbot, register.forms["register"]["smooth"], "100.5")
    assert "It stays auto." in register.notes.text()
    count = hand.dock("ranking").cut.form["keep"]
    typed(qtbot, count.boxes[0], "2")
    assert "fraction: '2' is not a number above 0, at most 1" in hand.dock("ranking").notes.text()


def test_two_numbers_in_a_row(qtbot):
    form = StepForm("psf", tick=False)
    qtbot.addWidget(form.native)
    ring = form["ring"]
    assert (ring.value, ring.boxes[0].native.text()) == (None, "auto")
    typed(qtbot, ring.boxes[0], "30.5")
    with pytest.raises(LuckyError, match=r"ring is \(30.5, None\)"):
        form.step()
    typed(qtbot, ring.boxes[1], "40")
    assert form.step() == PsfRequest(ring=(30.5, 40.0))
    form.show(PsfRequest())
    assert form.step() == PsfRequest()


def test_a_number_is_left_open_and_given_again(qtbot):
    form = StepForm("register")
    qtbot.addWidget(form.native)
    form.native.show()
    box = form["smooth"]
    assert (box.value, box.native.text()) == (None, "auto")
    other = StepForm("rank")
    assert other["sampling"].native.text() == "none"
    box.native.stepUp()
    assert box.value == 0
    box.native.stepUp()
    assert (box.value, box.native.text()) == (0.5, "0.5 px")
    typed(qtbot, box, "0.3")
    box.native.stepDown()
    assert box.value == 0
    box.native.stepDown()
    assert box.value is None
    typed(qtbot, box, "2.25")
    assert box.value == 2.25
    typed(qtbot, box, "")
    assert (box.value, box.native.text()) == (None, "auto")
    box.word = "auto: 2.37 px"
    assert box.native.text() == "auto: 2.37 px"
    typed(qtbot, box, "3")
    assert form.step().smooth == 3.0


def test_a_whole_number_stays_whole(qtbot):
    form = StepForm("background")
    qtbot.addWidget(form.native)
    form.on.value = True
    box = form["order"]
    typed(qtbot, box, "3")
    assert (box.value, type(box.value)) == (3, int)
    typed(qtbot, box, "2.5")
    assert box.value == 3
    box.native.stepBy(50)
    assert box.value == 6


def test_a_choice_is_left_open(qtbot):
    one = params(Input)["colour"]
    box = editor_of(one, "colour")
    qtbot.addWidget(box.native)
    assert (box.value, box.current_choice) == (None, one.empty)
    assert box.choices == (None, *one.choices)
    box.value = "red"
    assert (box.value, box.current_choice) == ("red", "red")


def test_a_tick_turns_a_step_on(hand, viewer):
    dock = hand.dock("cleaning")
    form = dock.forms["outliers"]
    assert form.step() is None
    assert not form["sigma"].native.isEnabled()
    form.native.setChecked(True)
    assert form.step() == RemoveOutliers()
    assert form["sigma"].native.isEnabled()
