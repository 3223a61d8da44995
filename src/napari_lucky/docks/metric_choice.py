"""How the metric is given in the ranking dock, and what it needs."""

from __future__ import annotations

from magicgui.widgets import ComboBox, FloatSpinBox, Widget

from napari_lucky.docks.choices import auto_smooth_box, smoothing_in
from napari_lucky.optics.diffraction import MAX_SAMPLING, Diffraction
from napari_lucky.ranking.metrics import METRICS, check_metric
from napari_lucky.ranking.rank import DEFAULT_METRIC


class MetricChoice:
    """The widgets that say what frames are ranked by."""

    def __init__(self) -> None:
        self.metric = ComboBox(
            name="metric", label="metric", choices=lambda _: list(METRICS), value=DEFAULT_METRIC
        )
        self.smooth = auto_smooth_box("ranking")
        self.sampling = FloatSpinBox(
            name="sampling",
            label="lambda F#/pixel (px)",
            value=0,
            min=0,
            max=MAX_SAMPLING,
            step=0.1,
            tooltip="Width lambda/D on the sensor, in pixels, for metrics that need the "
            "diffraction-limited PSF, and for Strehl ratios; 0: not known",
        )
        self.obstruction = FloatSpinBox(
            name="obstruction",
            label="obstruction (of 1)",
            value=0,
            min=0,
            max=0.99,
            step=0.01,
            tooltip="Diameter of the central obstruction over the pupil's",
        )
        self.widgets: list[Widget] = [self.metric, self.smooth, self.sampling, self.obstruction]
        self.reset()

    def reset(self) -> None:
        """Take up the metrics that a script registered meanwhile."""
        self.metric.reset_choices()
        formulas = "\n".join(f"{name}: {metric.formula}" for name, metric in METRICS.items())
        self.metric.tooltip = f"What makes a frame a good one; higher is better\n{formulas}"

    @property
    def diffraction(self) -> Diffraction | None:
        """The diffraction-limited PSF, if it is known.

        Raises
        ------
        LuckyError
            If the sampling makes no sense.
        """
        if self.sampling.value == 0:
            return None
        return Diffraction(self.sampling.value, self.obstruction.value)

    def chosen(self) -> tuple[str, float | None, Diffraction | None]:
        """Return the metric, and smoothing and diffraction-limited PSF if they are given.

        Raises
        ------
        LuckyError
            If the metric needs what is not given.
        """
        check_metric(self.metric.value, self.diffraction)
        return self.metric.value, smoothing_in(self.smooth), self.diffraction
