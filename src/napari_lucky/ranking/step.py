"""Ranking and selection as steps of the job."""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import Field, field_validator, model_validator

from napari_lucky.errors import UsageError
from napari_lucky.imaging.star_image import MOST_SMOOTH
from napari_lucky.optics.diffraction import MAX_SAMPLING, Diffraction
from napari_lucky.ranking.metrics import METRICS, check_metric
from napari_lucky.steps.declaration import Step, param

DEFAULT_METRIC = "peak"


class Rank(Step, table="rank", place=80):
    """Measure how lucky each frame was.

    The metrics, with their formulas and sources, are in `napari_lucky.ranking.metrics`. `peak`
    ranks best in turbulence (docs/background/accuracy.md); on the Sun or the Moon take `gradient`.

    Examples
    --------
    >>> import napari_lucky as lucky
    >>> lucky.Rank(metric="peak-over-flux").smooth is None  # by the sampling of the run
    True
    """

    metric: str = param(
        DEFAULT_METRIC, "How the quality of a frame is measured.", choices=lambda: list(METRICS)
    )
    smooth: float | None = param(
        None,
        "Standard deviation of the smoothing before the metric; by default a third of λ/D, "
        "measured in the frames.",
        "px",
        "smoothing",
        empty="auto",
        option="--rank-smooth",
        step=0.5,
        ge=0,
        le=MOST_SMOOTH,
    )
    sampling: float | None = param(
        None,
        "Pixels per λ/D, for metrics that compare with the diffraction-limited PSF.",
        "px",
        step=0.5,
        ge=1,
        le=MAX_SAMPLING,
    )
    obstruction: float = param(
        0.0, "Diameter of the central obstruction over the pupil's (0–1).", step=0.05, ge=0, lt=1
    )

    @model_validator(mode="after")
    def _has_what_it_needs(self) -> Self:
        check_metric(self.metric, self.diffraction)
        return self

    @property
    def diffraction(self) -> Diffraction | None:
        """What decides the diffraction-limited PSF, if it is given."""
        return None if self.sampling is None else Diffraction(self.sampling, self.obstruction)


Fraction = Annotated[float, Field(gt=0, le=1, title="fraction", json_schema_extra={"step": 0.01})]
Count = Annotated[int, Field(ge=1, title="count")]
Numbers = tuple[Annotated[int, Field(ge=0)], ...]


class Select(Step, table="select", place=90):
    """Keep the best frames.

    A fraction keeps at least 10 frames, or all if there are fewer; a count keeps exactly that many.

    Examples
    --------
    >>> import napari_lucky as lucky
    >>> lucky.Select(keep=25).keep
    25
    """

    keep: Fraction | Count = param(
        0.1, "A fraction of the frames (0.1), but at least 10, or a count (25).", option="--keep"
    )
    above: float | None = param(
        None,
        "Keep all frames of this quality or better instead.",
        label="keep above",
        option="--keep-above",
    )
    add: Numbers = param(
        (),
        "Numbers of frames to keep, wherever the cut is.",
        option="--add",
        hand_made=True,
        strict=False,
    )
    drop: Numbers = param(
        (),
        "Numbers of frames to drop, wherever the cut is.",
        option="--drop",
        hand_made=True,
        strict=False,
    )

    def changed(self, **values: Any) -> Self:
        """Return a copy with other values; what to keep takes the place of a quality."""
        if "keep" in values:
            values = {"above": None} | values
        return super().changed(**values)

    @model_validator(mode="after")
    def _not_both(self) -> Self:
        if both := sorted(set(self.add) & set(self.drop)):
            raise UsageError(f"Frame {both[0]} is both added and dropped by hand; choose one.")
        return self

    @field_validator("keep", mode="before")
    @classmethod
    def _not_a_truth_value(cls, keep: Any) -> Any:
        if isinstance(keep, float) and keep > 1:
            raise UsageError(
                f"keep is {keep}: a fraction is over 0 and at most 1; write a whole number to keep "
                "that many frames."
            )
        return keep
