"""The widgets that say which telescope it is: its figures, and those saved under a name."""

from __future__ import annotations

from typing import Any

from magicgui.widgets import ComboBox, Container, FloatSpinBox, LineEdit, PushButton, Widget

from ..errors import LuckyError
from ..optics import Telescope
from ..telescopes import header_telescope, remove_telescope, save_telescope, saved_telescopes
from .jobs import attempt, tell

UNNAMED = "as below"
BOXES = {
    "wavelength_nm": ("wavelength (nm)", 1, 100_000, 1.0, 1, "Of the light, in nanometres"),
    "focal_ratio": (
        "focal ratio",
        0.1,
        10_000,
        0.1,
        2,
        "Focal length over diameter",
    ),
    "pixel_um": ("pixel (um)", 0.1, 1000, 0.1, 3, "Side of a pixel, in micrometres"),
    "diameter_m": ("diameter (m)", 0.001, 100, 0.01, 3, "Of the pupil, in metres"),
    "obstruction": ("obstruction (of 1)", 0, 0.99, 0.01, 3, "Its diameter over the pupil's"),
}


class TelescopeChoice:
    """A telescope dialled in once; `widgets` go into a dock.

    A saved one fills the boxes when it is chosen. With none chosen, what a FITS header tells does
    (`take_header`).
    """

    def __init__(self) -> None:
        self._names: list[str] = []
        self.named = ComboBox(
            name="telescope",
            label="telescope",
            choices=lambda _: [UNNAMED, *self._names],  # asked for anew with every new parent
            tooltip="A telescope that was saved; its figures are filled in below",
        )
        self.boxes = {
            name: FloatSpinBox(
                name=name,
                label=label,
                min=least,
                max=most,
                step=step,
                value=getattr(Telescope, name),
                tooltip=tooltip,
            )
            for name, (label, least, most, step, _, tooltip) in BOXES.items()
        }
        for name, box in self.boxes.items():
            box.native.setDecimals(BOXES[name][4])
        self.name = LineEdit(name="telescope_name", tooltip="What it shall be called")
        self.save_button = PushButton(
            text="Save", tooltip="Keep these figures under this name, to be chosen again"
        )
        self.remove_button = PushButton(text="Remove", tooltip="Forget the telescope of this name")
        row = Container(
            name="named",
            widgets=[self.name, self.save_button, self.remove_button],
            layout="horizontal",
            labels=False,
            label="name",
            tooltip="The telescope's name, to be saved or removed",
        )
        row.margins = (0, 0, 0, 0)
        self.widgets: list[Widget] = [self.named, *self.boxes.values(), row]
        self._header: dict[str, float] = {}
        self.reset()
        self.named.changed.connect(self._chosen)
        self.save_button.changed.connect(lambda: attempt(self.save))
        self.remove_button.changed.connect(lambda: attempt(self.remove))

    @property
    def telescope(self) -> Telescope:
        """What is dialled in.

        Raises
        ------
        LuckyError
            If it makes no sense.
        """
        return Telescope(**{name: float(box.value) for name, box in self.boxes.items()})

    def take_header(self, header: Any) -> None:
        """Fill in what a header tells, if that is new and no saved telescope is chosen."""
        told = header_telescope(header)
        if self.named.value == UNNAMED and told != self._header:
            self._header = told
            self._fill(told)

    def reset(self) -> None:
        """Take up the telescopes that were saved meanwhile, in a script or another dock."""
        try:
            names = list(saved_telescopes())
        except LuckyError as error:
            tell(error)
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
            raise LuckyError(f"The telescope “{name}” was removed meanwhile.")
        self._fill(vars(saved[name]))
        self.name.value = name

    def _fill(self, values: dict[str, float]) -> None:
        for name, value in values.items():
            box = self.boxes[name]
            if box.min <= value <= box.max:
                box.value = value
