"""The widgets that say which wavefront is measured: telescope, defocus, modes, which frames."""

from __future__ import annotations

from typing import Any

from magicgui.widgets import CheckBox, ComboBox, Container, FloatSpinBox, SpinBox, Widget

from napari_lucky.docks.number_box import NumberBox
from napari_lucky.docks.telescope_choice import TelescopeChoice
from napari_lucky.frames.window import Window
from napari_lucky.optics.pupil import Spider
from napari_lucky.wavefront.job import WavefrontRequest
from napari_lucky.wavefront.task import MOST_MODES, Choice, WavefrontParameters

WAVES, SHIFT = "waves", "mm"
FRAMES: dict[str, Choice] = {"at random": "random", "all": "all", "best ranked": "ranked"}
"""What each choice of frames is called by the core."""
RANKED = next(label for label, choice in FRAMES.items() if choice == "ranked")


class WavefrontChoice:
    """What is measured, and how, dialled in; `optics` and `of_frames` go into a dock."""

    def __init__(self) -> None:
        self.telescope = TelescopeChoice()
        self.vanes = SpinBox(
            name="vanes",
            label="spider vanes",
            value=0,
            min=0,
            max=16,
            tooltip="How many vanes hold the secondary mirror, evenly spread; 0: none",
        )
        self.width = FloatSpinBox(
            name="vane_width",
            label="vane width (of 1)",
            value=0.01,
            min=0.001,
            max=0.3,
            step=0.001,
            tooltip="Of a vane, over the pupil's diameter",
        )
        self.width.native.setDecimals(4)
        self.angle = FloatSpinBox(
            name="vane_angle",
            label="vane angle (deg)",
            value=0,
            min=-360,
            max=360,
            step=1,
            tooltip="Of the first vane, from right (x) towards down (y)",
        )
        self.defocus = NumberBox(
            "defocus", tooltip="Of the defocused image against the focused one, with its sign"
        )
        self.unit = ComboBox(
            name="defocus_unit",
            choices=[WAVES, SHIFT],
            tooltip="Waves peak-to-valley, or mm that the focus is shifted",
        )
        self.fit_defocus = CheckBox(
            name="fit_defocus",
            text="fit the defocus",
            value=False,
            tooltip="One for all frames, from within some 10 % of what is given; off: as given",
        )
        self.modes = SpinBox(
            name="modes",
            label="last Zernike (Noll)",
            value=36,
            min=4,
            max=MOST_MODES,
            tooltip="Report Zernike terms Noll 4 to this one",
        )
        self.which = ComboBox(
            name="which",
            label="frames",
            choices=list(FRAMES),
            tooltip="Which frames are fitted and averaged; at random is best, for selection by "
            "quality biases the answer",
        )
        self.count = SpinBox(
            name="count",
            label="count (frames)",
            value=200,
            min=1,
            max=10_000_000,
            tooltip="How many frames; the error goes down with their square root",
        )
        self.seed = SpinBox(
            name="seed",
            label="seed",
            value=0,
            min=0,
            max=2_000_000_000,
            tooltip="The same seed chooses the same frames, and gives the same answer",
        )
        self.gain = _measured_box("gain", "gain (e-/ADU)", "Of the camera, in e-/ADU")
        self.read_noise = _measured_box("read_noise", "read noise (e-)", "Of the camera, in e-")
        diversity = Container(
            name="diversity",
            widgets=[self.defocus, self.unit],
            layout="horizontal",
            labels=False,
            label="defocus",
            tooltip="What the defocused image has more than the focused one, waves peak-to-valley "
            "or mm of shift; positive adds pi W (2 rho² - 1) to the phase",
        )
        diversity.margins = (0, 0, 0, 0)
        self.optics: list[Widget] = [
            *self.telescope.widgets,
            self.vanes,
            self.width,
            self.angle,
            diversity,
            self.fit_defocus,
            self.modes,
        ]
        self.of_frames: list[Widget] = [
            self.gain,
            self.read_noise,
            self.which,
            self.count,
            self.seed,
        ]

    @property
    def ranked(self) -> bool:
        """Whether the best frames are chosen."""
        return bool(self.which.value == RANKED)

    def task(self, focus: Window, defocus: Window, header: Any) -> WavefrontParameters:
        """Return what is dialled in, for two windows.

        The camera's noise is the header's where none is given.

        Raises
        ------
        LuckyError
            If the telescope or the defocus is not known, or makes no sense.
        """
        defocus_of = {WAVES: "defocus_waves", SHIFT: "defocus_mm"}[self.unit.value]
        vanes = int(self.vanes.value)
        options = {
            "fit_defocus": bool(self.fit_defocus.value),
            "spider": Spider(vanes, self.width.value, self.angle.value) if vanes else None,
            "modes": int(self.modes.value),
            "choice": FRAMES[self.which.value],
            "count": int(self.count.value),
            "seed": int(self.seed.value),
            "gain": float(self.gain.value) or None,
            "read_noise_e": float(self.read_noise.value) or None,
        }
        request = WavefrontRequest(
            self.telescope.given, options=options, **{defocus_of: self.defocus.number}
        )
        return request.task(header or {}, focus, defocus)

    def show(self, frames: bool) -> None:
        """Show only what matters: of a pair of stacks there are no frames to choose."""
        self.width.visible = self.angle.visible = self.vanes.value > 0
        for widget in (self.gain, self.read_noise, self.which, self.seed):
            widget.visible = frames
        self.count.visible = frames and FRAMES[self.which.value] != "all"


def _measured_box(name: str, label: str, what: str) -> FloatSpinBox:
    """Return a box for a number that the header gives, or that is measured, where it is 0."""
    box = FloatSpinBox(
        name=name,
        label=label,
        value=0,
        min=0,
        max=10_000,
        step=0.1,
        tooltip=f"{what}; auto: from the header, or else measured in the frames",
    )
    box.native.setDecimals(3)
    box.native.setSpecialValueText("auto")
    return box
