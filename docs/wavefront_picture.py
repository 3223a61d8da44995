"""Make docs/images/wavefront_modes.png: which way each Zernike is, what it does to the images.

Usage: .venv/bin/python docs/wavefront_picture.py
"""

from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

from napari_lucky.optics.pupil import sample_pupil
from napari_lucky.optics.zernikes import zernike, zernike_name
from napari_lucky.wavefront.pair_model import make_pair_model

NOLLS = range(4, 12)
RAD = 0.8  # rms, positive


def main() -> None:
    model = make_pair_model(((84, 84), (168, 168)), 7.0, 0.3, 11)
    pupil = sample_pupil(160, 0.3)
    figure, axes = plt.subplots(3, len(NOLLS), figsize=(14, 5.6), layout="constrained")
    for column, noll in zip(axes.T, NOLLS, strict=True):
        phase = np.where(pupil.amplitude > 0.5, zernike(noll, pupil.rho, pupil.theta), np.nan)
        column[0].imshow(phase, cmap="RdBu_r", vmin=-2.5, vmax=2.5)
        column[0].set_title(f"Noll {noll}\n{zernike_name(noll)}", fontsize=9)
        x = np.zeros(model.size)
        x[-1], x[noll] = 1.8, RAD  # x[4] is Noll 4
        for axis, image in zip(column[1:], model.images(x), strict=True):
            axis.imshow(np.sqrt(np.maximum(image, 0)), cmap="magma")
        for axis in column:
            axis.set(xticks=[], yticks=[])
    labels = ("wavefront on the pupil", "focused", "defocused, W = 1.8")
    for axis, label in zip(axes[:, 0], labels, strict=True):
        axis.set_ylabel(label, fontsize=9)
    figure.savefig(Path(__file__).parent / "images" / "wavefront_modes.png", dpi=90)


if __name__ == "__main__":
    main()
