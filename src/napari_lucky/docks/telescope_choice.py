"""The widgets that say which telescope it is: its figures, and those saved under a name."""

from __future__ import annotations

import math
from typing import Any

from magicgui.widgets import ComboBox, Container, Label, LineEdit, PushButton, Widget

from napari_lucky.docks.form import narrow, tooltip_of
from napari_lucky.docks.jobs import attempt, report_error
from napari_lucky.docks.number_box import NumberBox
from napari_lucky.errors import LuckyError
from napari_lucky.optics.diffraction import Diffraction
from napari_lucky.optics.request import TelescopeRequest
from napari_lucky.optics.telescope import Telescope
from napari_lucky.optics.telescope_header import header_doubts, header_telescope
from napari_lucky.optics.telescope_store import (
    known_optics,
    remove_telescope,
    save_telescope,
    saved_telescopes,
    telescope_notes,
    telescope_of,
)
from napari_lucky.psf.optics import optics_for
from napari_lucky.steps.declaration import params
from napari_lucky.viewer.messages import show_warning

UNNAMED, FROM_HEADER = "as below", "(header)"
BOXES = {name: one for name, one in params(TelescopeRequest).items() if not one.hand_made}
"""The figures that have a box."""


class TelescopeChoice:
    """A telescope dialled in once; `widgets` go into a dock.

    The boxes are empty until something is typed. A saved telescope fills them when it is chosen.
    With none chosen, what a FITS header gives fills those in which nothing was typed
    (`take_header`); beside each stands what the header says.
    """

    def __init__(self) -> None:
        self._names: list[str] = []
        self.named = ComboBox(
            name="telescope",
            label="telescope",
            choices=lambda _: [UNNAMED, *self._names],  # asked for again with every new parent
            tooltip="A telescope that was saved; its figures are filled in below",
        )
        self.boxes = {
            name: NumberBox(name, f"{one.label} ({one.unit or 'a ratio'})", tooltip_of(one))
            for name, one in BOXES.items()
        }
        self.beside = {
            name: Label(name=f"{name}_from", value=one.unit) for name, one in BOXES.items()
        }
        self.name = LineEdit(
            name="telescope_name",
            label="name",
            tooltip="The telescope's name, to be saved or removed",
        )
        self.save_button = PushButton(text="Save", tooltip="Save these figures under this name")
        self.remove_button = PushButton(text="Remove", tooltip="Remove the telescope of this name")
        buttons = _line("named", " ", self.save_button, self.remove_button)
        lines = [
            _line(f"{name}_line", BOXES[name].label, box, self.beside[name])
            for name, box in self.boxes.items()
        ]
        self.widgets: list[Widget] = [self.named, *lines, self.name, buttons]
        self._header: Any = None
        self._stated: dict[str, float] = {}
        self._from_header: set[str] = set()
        self.reset()
        self.named.changed.connect(self._chosen)
        for name, box in self.boxes.items():
            narrow(box.native)  # what stands beside it has room
            box.changed.connect(lambda _=None, name=name: self._typed(name))
        self.save_button.changed.connect(lambda: attempt(self.save))
        self.remove_button.changed.connect(lambda: attempt(self.remove))

    @property
    def given(self) -> dict[str, float | None]:
        """What is in the boxes; None where one is empty.

        Raises
        ------
        LuckyError
            If something typed is no number.
        """
        return {name: box.number for name, box in self.boxes.items()}

    @property
    def request(self) -> TelescopeRequest | None:
        """What is in the boxes, as a recipe has it; None if all are empty.

        Raises
        ------
        LuckyError
            If something typed is no number, or no telescope has it.
        """
        given: dict[str, Any] = {
            name: value for name, value in self.given.items() if value is not None
        }
        return TelescopeRequest(**given) if given else None

    def show(self, request: TelescopeRequest) -> None:
        """Show what a recipe says of the telescope; what it leaves open stays.

        Raises
        ------
        LuckyError
            If it names a telescope that is not saved here.
        """
        known = known_optics(request.known, needed=())
        if request.obstruction is None and "obstruction" not in request.known:
            known.pop("obstruction")
        self._fill({name: known[name] for name in self.boxes if name in known})

    @property
    def telescope(self) -> Telescope:
        """What is dialled in; the obstruction is 0 where its box is empty.

        Raises
        ------
        LuckyError
            If a figure is missing or makes no sense.
        """
        return telescope_of(self.given)

    @property
    def optics(self) -> tuple[Diffraction | None, Telescope | None, tuple[str, ...]]:
        """The diffraction-limited PSF, the telescope, and what is doubtful; None if not known.

        Raises
        ------
        LuckyError
            If something makes no sense.
        """
        diffraction, telescope, notes = optics_for(None, self.given)
        known = diffraction is not None
        return diffraction, telescope, self.notes if known else notes

    @property
    def notes(self) -> tuple[str, ...]:
        """What is doubtful of the telescope: cards of the header, unusual figures."""
        return telescope_notes(self._header, self.given)

    def take_header(self, header: Any) -> None:
        """Fill in what a header gives, where nothing was typed and no saved telescope is chosen."""
        self._header, self._stated = header, header_telescope(header)
        if self.named.value == UNNAMED:
            for name, box in self.boxes.items():
                if name in self._from_header or not str(box.value).strip():
                    self._set(name, self._stated.get(name))
                    if name in self._stated:
                        self._from_header.add(name)
        self._note_beside()

    def _set(self, name: str, value: float | None) -> None:
        box = self.boxes[name]
        with box.changed.blocked():
            box.value = "" if value is None else f"{value:.10g}"
        self._from_header.discard(name)

    def _typed(self, name: str) -> None:
        self._from_header.discard(name)
        self._note_beside()

    def _note_beside(self) -> None:
        """Show beside each box what the header says."""
        doubts = " ".join(header_doubts(self._header))
        for name, label in self.beside.items():
            stated = self._stated.get(name)
            note = ""
            if stated is not None:
                note = FROM_HEADER if self._has(name, stated) else f"(header: {stated:.6g})"
            label.value, label.tooltip = f"{BOXES[name].unit} {note}".strip(), doubts

    def _has(self, name: str, stated: float) -> bool:
        try:
            number = self.boxes[name].number
        except LuckyError:
            return False
        return number is not None and math.isclose(number, stated, rel_tol=1e-6)

    def reset(self) -> None:
        """Take up the telescopes that were saved meanwhile, in a script or another dock."""
        try:
            names = list(saved_telescopes())
        except LuckyError as error:
            report_error(error)
            names = []
        if names != self._names:
            self._names, kept = names, self.named.value
            with self.named.changed.blocked():
                self.named.reset_choices()
                self.named.value = kept if kept in names else UNNAMED

    def save(self) -> None:
        """Keep the telescope under the name typed, and choose it."""
        name = self.name.value.strip()
        save_telescope(name, self.telescope)
        if notes := telescope_notes(None, self.given):
            show_warning("\n".join(notes))
        self.reset()
        self.named.value = name

    def remove(self) -> None:
        """Forget the telescope of the name typed."""
        remove_telescope(self.name.value.strip())
        self.reset()

    def _chosen(self, name: str) -> None:
        if name != UNNAMED:
            attempt(lambda: self._take(name))

    def _take(self, name: str) -> None:
        saved = saved_telescopes()
        if name not in saved:
            self.reset()
            raise LuckyError(f"The telescope “{name}” was removed in the meantime.")
        self._fill(vars(saved[name]))
        self.name.value = name

    def _fill(self, values: dict[str, float]) -> None:
        for name, value in values.items():
            self._set(name, value)
        self._note_beside()


def _line(name: str, label: str, *widgets: Widget) -> Container:
    """Return widgets side by side."""
    tooltip = widgets[0].tooltip
    line = Container(
        name=name, widgets=widgets, layout="horizontal", labels=False, label=label, tooltip=tooltip
    )
    line.margins = (0, 0, 0, 0)
    return line
