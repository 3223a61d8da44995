"""The choice of a way to stack, with the numbers that the chosen one has."""

from __future__ import annotations

from typing import Any

from magicgui.widgets import CheckBox, ComboBox, FloatSpinBox, Widget

from napari_lucky.fits.write import BESIDE, ImageResult
from napari_lucky.stacking.drizzle import SCALES
from napari_lucky.stacking.methods import MOST_POWER, STACKS
from napari_lucky.viewer.to_layers import image_tuple

METHODS = [
    ("mean", "mean"),
    ("median", "median"),
    ("sigma-clipped mean", "clipped"),
    ("quality-weighted mean", "weighted"),
    ("Fourier-lucky", "fourier"),
    ("drizzle", "drizzle"),
]


class StackChoice:
    """Widgets for `napari_lucky.stack`'s method; only the numbers of the chosen one are shown."""

    def __init__(self) -> None:
        self.method = ComboBox(
            name="method",
            label="method",
            choices=METHODS,
            tooltip="How frames become one image. Fourier-lucky chooses among all frames itself",
        )
        self.numbers: dict[str, list[Widget]] = {
            "clipped": [
                _number(
                    "sigma", "clip (sigma)", "clipped", 2, 20, "Values further off are left out"
                )
            ],
            "weighted": [
                _number(
                    "power", "power", "weighted", 0.1, MOST_POWER, "Weight = quality to this power"
                )
            ],
            "fourier": [
                _number(
                    "fraction",
                    "fraction",
                    "fourier",
                    0.001,
                    1,
                    "Of all frames, those with the greatest amplitude at each spatial frequency",
                    0.01,
                )
            ],
            "drizzle": [
                ComboBox(
                    name="scale",
                    label="scale",
                    choices=list(SCALES),
                    value=STACKS["drizzle"]["scale"],
                    tooltip="Pixels a pixel of the sensor",
                ),
                _number("drop", "drop", "drizzle", 0.1, 1, "Side of a drop over that of its pixel"),
            ],
        }
        self.beside = CheckBox(
            name="beside",
            text="variance and coverage",
            value=False,
            tooltip="Add them as hidden layers",
        )
        self.method.changed.connect(self.show_numbers)

    @property
    def widgets(self) -> list[Widget]:
        """All of them, in order."""
        numbers = [widget for some in self.numbers.values() for widget in some]
        return [self.method, *numbers, self.beside]

    @property
    def text(self) -> str:
        """The method as recipes have it."""
        numbers = (f"{widget.value:g}" for widget in self.numbers.get(self.method.value, ()))
        return ",".join([self.method.value, *numbers])

    def show_numbers(self, *_: Any) -> None:
        """Show the numbers of the method chosen, and hide the others."""
        for name, widgets in self.numbers.items():
            for widget in widgets:
                widget.visible = name == self.method.value

    def layers(self, result: ImageResult, name: str, **shared: Any) -> list[Any]:
        """Return the layers of a stack: variance and coverage, if they are wanted, and itself."""
        parts = [*(result.beside if self.beside.value else ()), result]
        return [
            image_tuple(
                part.data,
                f"{name} {part.name.lower()}" if part.name in BESIDE else name,
                header=part.header,
                history=part.history,
                origin=part.origin,
                finer=part.scale,
                colormap="inferno",
                visible=part is result and result.name != "long_exposure",
                **shared,
            )
            for part in parts
        ]


def _number(
    name: str,
    label: str,
    method: str,
    least: float,
    most: float,
    tooltip: str,
    step: float = 0.1,
) -> FloatSpinBox:
    return FloatSpinBox(
        name=name,
        label=label,
        value=STACKS[method][name],
        min=least,
        max=most,
        step=step,
        tooltip=tooltip,
    )
