"""Pictures of a measured wavefront, drawn on given matplotlib axes, for dock and report alike."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_lucky.optics.zernikes import zernike_name
from napari_lucky.plots.comparison import COLOURS
from napari_lucky.plots.page import page
from napari_lucky.plots.panels import KEPT, LEFT, draw_image
from napari_lucky.wavefront.from_stacks import StackWavefront
from napari_lucky.wavefront.result import Pictures, Wavefront

FIRST = 4
"""The Noll index of the first coefficient."""
NAMED = 11
"""The last Noll index that is called by its name; further ones by their number alone."""
PLANES = ("focused", "defocused")
RESULTS = [
    ["coefficients"] * 4 + ["wavefront"] * 2,
    ["running"] * 2 + ["modes"] * 2 + ["selection"] * 2,
]
PICTURES = [f"{plane} {what}" for plane in PLANES for what in ("measured", "model", "residual")]


def draw_wavefront_page(figure: Any, wavefront: Wavefront | StackWavefront) -> None:
    """Draw all there is to see of a wavefront on an empty matplotlib figure.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        Of a page's width, with a constrained layout.
    wavefront : Wavefront or StackWavefront
        Of a pair of stacks there is nothing over the frames.
    """
    if isinstance(wavefront, Wavefront):
        axes = figure.subplot_mosaic([*RESULTS, PICTURES], height_ratios=(3, 3, 2))
        draw_running(axes["running"], wavefront.running_nm)
        draw_mode_variances(axes["modes"], wavefront)
        draw_selection_bias(axes["selection"], wavefront)
    else:
        axes = figure.subplot_mosaic([RESULTS[0], PICTURES], height_ratios=(3, 2))
    draw_coefficients(axes["coefficients"], wavefront.coefficients_nm, wavefront.sigma_nm)
    draw_wavefront(axes["wavefront"], wavefront)
    draw_pictures([axes[name] for name in PICTURES], wavefront.pictures)


def draw_coefficients(
    axes: Any, coefficients_nm: NDArray[np.float64], sigma_nm: NDArray[np.float64]
) -> None:
    """Draw coefficients from Noll 4 on, (k,), as bars in nm rms with their standard errors."""
    noll = FIRST + np.arange(len(coefficients_nm))
    axes.bar(noll, coefficients_nm, color=LEFT, width=0.8)
    axes.errorbar(noll, coefficients_nm, sigma_nm, fmt="none", ecolor=KEPT, capsize=2)
    axes.axhline(0, color=LEFT, linewidth=0.8)
    axes.xaxis.set_major_locator(_modes_with_room(noll))
    axes.xaxis.set_major_formatter(lambda one, _: _title(round(one)))
    axes.tick_params("x", labelrotation=90, labelsize="small")
    axes.set_ylabel("Zernike (Noll) coefficient (nm rms)")


def _modes_with_room(noll: NDArray[np.intp]) -> Any:
    """Return a locator of ticks at modes: as many as have room for their names, in any width."""
    from matplotlib.ticker import Locator

    class ModesWithRoom(Locator):
        def __call__(self) -> list[float]:
            axis: Any = self.axis
            line = 1.2 * axis.label.get_size() * axis.axes.figure.dpi / 72
            most = max(int(axis.axes.bbox.width / line), 1)
            return [float(one) for one in noll[:: -(-len(noll) // most)]]

        def tick_values(self, vmin: float, vmax: float) -> list[float]:
            return self()

    return ModesWithRoom()


def draw_running(axes: Any, running_nm: NDArray[np.float64]) -> None:
    """Draw how each coefficient moves with the number of frames averaged.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
    running_nm : ndarray, (m, k)
        Noll 4 and on from the first 1, 2, ... m frames, in nm rms.
    """
    count = np.arange(1, len(running_nm) + 1)
    # the low ones last and in colour: where most of the aberration is
    for at in reversed(range(running_nm.shape[1])):
        named = at + FIRST <= NAMED
        axes.plot(
            count,
            running_nm[:, at],
            color=COLOURS[at % len(COLOURS)] if named else LEFT,
            linestyle="--" if named and at >= len(COLOURS) else "-",
            linewidth=1.4 if named else 0.4,
            marker="." if len(count) == 1 else None,
            label=_title(at + FIRST) if named else None,
        )
    axes.set_xlabel("frames")
    axes.set_ylabel("coefficient (nm rms)")
    handles, labels = axes.get_legend_handles_labels()
    above = {"loc": "lower center", "bbox_to_anchor": (0.5, 1.0), "ncols": 3, "frameon": False}
    axes.legend(handles[::-1], labels[::-1], fontsize="x-small", **above)


def draw_wavefront(axes: Any, wavefront: Wavefront | StackWavefront) -> None:
    """Draw the static wavefront on the pupil in nm, y down and x right, with a colour bar."""
    image = wavefront.image_nm
    shown = axes.imshow(image, cmap="RdBu_r", origin="upper", **_even(image))
    axes.figure.colorbar(shown, ax=axes, label="nm")
    axes.set_title(
        f"{wavefront.rms_nm:.3g} nm rms, Strehl ratio {wavefront.strehl:.3f}", fontsize="medium"
    )
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_xlabel("x")
    axes.set_ylabel("y (down)")


def draw_pictures(axes: Any, pictures: Pictures) -> None:
    """Draw both stars as measured, as the model has them, and what is left, on six axes.

    First the focused star's three, then the defocused one's. Measured and model have one scale;
    the residual has its own.
    """
    planes = zip(PLANES, pictures.measured, pictures.model, pictures.residual, strict=True)
    for number, (plane, measured, model, residual) in enumerate(planes):
        one, two, three = axes[3 * number : 3 * number + 3]
        high = float(np.fmax.reduce(measured, axis=None))
        draw_image(one, measured, f"{plane}, measured", high)
        draw_image(two, model, f"{plane}, model", high)
        two.images[0].set_clim(one.images[0].get_clim())
        scale = _even(residual)
        three.imshow(residual, cmap="RdBu_r", origin="upper", **scale)
        three.set_title(f"residual, ±{scale['vmax']:.3g} ADU", fontsize="medium")
        three.set_xticks([])
        three.set_yticks([])


def draw_mode_variances(axes: Any, wavefront: Wavefront) -> None:
    """Draw the variance of each mode over the frames beside that of Kolmogorov's turbulence."""
    axes.plot(
        wavefront.noll, wavefront.variance_rad2, "o", markersize=4, color=KEPT, label="frames"
    )
    axes.plot(
        wavefront.noll,
        wavefront.kolmogorov_rad2,
        "_",
        markersize=10,
        color=LEFT,
        label="Kolmogorov",
    )
    axes.set_yscale("log")
    axes.set_xlabel("Noll index")
    axes.set_ylabel("variance over the frames (rad²)")
    axes.set_title(
        f"D/r0 = {wavefront.d_over_r0:.2f} ± {wavefront.d_over_r0_sigma:.2f}", fontsize="medium"
    )
    axes.legend(loc="upper right", fontsize="small")


def draw_selection_bias(axes: Any, wavefront: Wavefront) -> None:
    """Draw the rms wavefront error that the best frames alone would give, over their fraction.

    The best are those of the highest Strehl ratio.
    """
    fraction, rms = wavefront.keep_curve()
    axes.plot(fraction, rms, color=KEPT, marker="." if len(rms) < 2 else None)
    axes.axhline(wavefront.rms_nm, color=LEFT, linestyle="--", label="the result")
    axes.set_xscale("log")
    axes.set_ylim(bottom=0)
    axes.set_xlabel("fraction of the frames, best first")
    axes.set_ylabel("rms wavefront error (nm)")
    axes.set_title("what selection would make of it", fontsize="medium")
    axes.legend(loc="lower right", fontsize="small")


def _title(noll: int) -> str:
    return f"{zernike_name(noll)} {noll}" if noll <= NAMED else str(noll)


def _even(image: NDArray[np.float32]) -> dict[str, float]:
    """Return colour limits as far below 0 as above."""
    finite = np.abs(image[np.isfinite(image)])
    high = max(float(finite.max()), 1e-6) if finite.size else 1.0
    return {"vmin": -high, "vmax": high}


def write_wavefront_page(path: Path, wavefront: Wavefront | StackWavefront, title: str) -> None:
    """Draw the page into a PNG file.

    Raises
    ------
    LuckyError
        If the file cannot be written.
    """
    high = 11.5 if isinstance(wavefront, Wavefront) else 7.5
    with page(path, (15, high), title) as figure:
        draw_wavefront_page(figure, wavefront)
