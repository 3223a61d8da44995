"""When a Strehl ratio cannot be trusted: sentences on what is seen in the image.

What the constants do is measured by ``benchmarks/figures.py``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from napari_lucky.imaging.fine_image import FineImage
from napari_lucky.imaging.maxima import greatest_around
from napari_lucky.imaging.robust_sigma import robust_sigma
from napari_lucky.optics.diffraction import Diffraction
from napari_lucky.psf.noise import ImageNoise
from napari_lucky.psf.recipe import APERTURES, FAITHFUL, PsfRecipe
from napari_lucky.text import counted, percent

FloatArray = NDArray[np.float64]
CORE = 1.0
"""lambda/D around the peak."""
FAR_OFF = 0.02
"""Of the peak, at frequencies that no optics pass: more is no interpolation's error."""
UNEVEN = 0.025
"""Of the peak: a top that is rougher was clipped, or has a hot pixel."""
HOT_LIGHT = 0.01
"""Of the flux: light of a hot pixel that matters."""
SECOND, STANDS_OUT, BEYOND, APART = 0.07, 8.0, 1.1, 0.8
CLOSE, CLOSE_SECOND = 2.0, 0.25
"""A second star: its height over the peak's, in sigmas of the image around the same circle, and
its least distance in lambda/D; maxima closer together than the last are one. Closer than so many
lambda/D it must be higher, for aberrations make lumps of the first ring."""
PLATEAU = 3
"""Pixels of the greatest value that make a clipped star."""
NEAR_TOP, TOP_RADIUS = 0.97, 0.16
"""Of the top, and the radius of what is over that in an Airy pattern, over its width."""
FLAT_TOP = 0.25
"""The area over 0.9 of the peak, over that above half of it; an Airy pattern has 0.17."""
NOISY, HALO, OVER = 0.1, 0.05, 1.005
"""A Strehl ratio whose error is this part of it is noise; a halo with this part of the light is
missed; a ratio over the last is impossible."""


def of_aperture(recipe: PsfRecipe, usual: PsfRecipe | None, sampling: float) -> list[str]:
    """Return what makes an aperture doubtful.

    Parameters
    ----------
    recipe : PsfRecipe
        With the radii used.
    usual : PsfRecipe or None
        What the window would have had with the star in its middle and no noise; None where the
        aperture was given.
    sampling : float
        Pixels per λ/D.
    """
    radius = (recipe.aperture or 0) / sampling
    said = []
    if radius < FAITHFUL - 1e-6:
        said.append(
            f"the aperture is {radius:.2g} λ/D, under {FAITHFUL:g}: much of the star's light "
            "is outside, and the Strehl ratio is too high"
        )
    elif usual is not None and usual.aperture and usual.aperture > (recipe.aperture or 0) + 1e-6:
        why = (
            "for the noise"
            if recipe.ring == usual.ring
            else "because the star is near the image's edge"
        )
        said.append(
            f"the aperture is {radius:.3g} λ/D instead of {usual.aperture / sampling:.3g}, "
            f"{why}: more of the halo is outside; compare it with the same aperture only"
        )
    elif usual is not None and radius not in map(float, APERTURES) and radius < min(APERTURES):
        said.append(f"the aperture is {radius:.3g} λ/D")
    return said


def of_width(fwhm: float, aperture: float, diffraction: Diffraction | None) -> list[str]:
    """Return whether an image is too wide for its aperture, both in pixels."""
    if fwhm <= aperture:
        return []
    scale, unit = (1.0, "px") if diffraction is None else (diffraction.sampling, "λ/D")
    wide = "wider than can be measured" if math.isnan(fwhm) else f"{fwhm / scale:.3g} {unit} wide"
    return [
        f"the image is {wide}, with an aperture of radius {aperture / scale:.3g}: it is out of "
        "focus, extended or double, and its figures mean little"
    ]


def of_alone(places: Sequence[tuple[int, int]]) -> list[str]:
    """Return whether pixels that stand alone were brighter than the star."""
    if not places:
        return []
    some = ", ".join(f"y {y}, x {x}" for y, x in places[:3])
    more = " …" if len(places) > 3 else ""
    pixels, were = ("pixels", "were") if len(places) > 1 else ("pixel", "was")
    return [
        f"{len(places)} {pixels} brighter than the star ({some}{more}) {were} masked: too sharp "
        "for light, a hot pixel or a cosmic ray; check that the right star was measured"
    ]


def of_core(
    cut: FloatArray, holes: NDArray[np.bool_], distance: FloatArray, q: float, fwhm: float
) -> list[str]:
    """Return whether the core is masked, or clipped at a greatest value, or its top is flat.

    Parameters
    ----------
    cut : ndarray of float64, (y, x)
        The image without its background.
    holes : ndarray of bool, (y, x)
        Its masked pixels.
    distance : ndarray of float64, (y, x)
        Of each pixel from the peak, in pixels.
    q : float
        Pixels per λ/D.
    fwhm : float
        Of the star, in pixels.
    """
    core = distance <= max(CORE * q, 1.5)
    if masked := int((holes & core).sum()):
        return [
            f"{counted(masked, 'pixel')} of the star's core {'is' if masked == 1 else 'are'} "
            "masked (saturated or bad) and filled from the neighbours: the peak was not measured"
        ]
    top = cut[core].max()
    alike = int((cut[core] >= top - 1e-6 * abs(top)).sum())
    if alike >= max(PLATEAU, q / 2):
        return [
            f"{alike} pixels of the star's core have the same greatest value: the star is clipped, "
            "and its peak and Strehl ratio are too low; mask them with --saturation"
        ]
    flat = int((cut[core] > NEAR_TOP * top).sum())
    if flat > 4 + 2 * math.pi * (TOP_RADIUS * fwhm) ** 2:
        return [
            f"{flat} pixels of the star's core are within 3 % of the greatest value, more than in "
            "a star's image: the star was clipped, and its peak and Strehl ratio are too low; "
            "mask them with --saturation"
        ]
    return []


def of_top(rays: FloatArray, peak: float) -> list[str]:
    """Return whether the peak is flat: the area over 0.9 of it, against that over half of it.

    That is 0.17 for the Airy pattern, and 0.15 for a Gaussian.
    """
    area = [float((_first_under(rays, part * peak) ** 2).mean()) for part in (0.9, 0.5)]
    if not area[0] > FLAT_TOP * area[1]:
        return []
    return [
        "the star's top is flat: it was clipped, and its peak and Strehl ratio are too low, or it "
        "is far from diffraction-limited"
    ]


def _first_under(rays: FloatArray, height: float) -> FloatArray:
    """Return where each ray first falls under a height, in steps."""
    under = rays < height
    first = np.maximum(under.argmax(axis=1), 1)
    ray = np.arange(len(rays))
    before, after = rays[ray, first - 1], rays[ray, first]
    return np.asarray(first - (height - after) / np.where(before > after, before - after, 1.0))


def of_outliers(
    noise: ImageNoise, distance: FloatArray, q: float, peak: float, flux: float
) -> list[str]:
    """Return whether there is anything that no optics make: hot pixels, cosmic rays, clipping."""
    share = 1 - min(math.pi / 4 * (2 / q) ** 2, 1)  # at least
    far = np.abs(noise.outliers) * max(share, 0.05) > FAR_OFF * peak
    if far.any():
        most = np.unravel_index(int(np.argmax(np.where(far, noise.outliers, 0))), far.shape)
        height = float(noise.outliers[most])
        if distance[most] <= CORE * q:
            return [
                "the star's core is sharper or flatter than optics make it: a hot pixel, a cosmic "
                "ray or clipping, or the sampling is smaller than given"
            ]
        if height >= HOT_LIGHT * flux:
            return [
                f"a pixel {distance[most]:.3g} px from the peak stands {height:.4g} ADU above "
                f"what optics can make, {percent(height / flux, '.1f')} of the flux: a hot pixel "
                "or a cosmic ray; mask it"
            ]
    if noise.roughness > UNEVEN:
        return [
            f"the star's top is uneven by {percent(noise.roughness, '.1f')} of its peak, finer "
            "than optics make it: it was clipped before a flat was divided, there is a hot "
            "pixel in it, or the sampling is smaller than given; mask saturated pixels with "
            "--saturation"
        ]
    return []


def of_second_star(
    fine: FineImage,
    centre: tuple[float, float],
    rays: tuple[FloatArray, float],
    q: float,
    peak: float,
    noise: float,
) -> list[str]:
    """Return whether there is one second maximum in the aperture or the ring.

    It must stand out of what is around the same circle, and be twice as high as the third: where
    there are several, they are speckles, whose light is the star's.

    Parameters
    ----------
    fine : FineImage
        The image, without its background.
    centre : (float, float)
        (y, x) of the peak, in pixels.
    rays : (ndarray of float64, float)
        The image along rays from the peak, (angles, k), and the step in pixels.
    q : float
        Pixels per λ/D.
    peak, noise : float
        The star's height, and the standard deviation of a value, in ADU.
    """
    values, step = rays
    middle = np.median(values, axis=0)
    spread = robust_sigma(values, middle, axis=0)
    y, x = (np.arange(n) * s for n, s in zip(fine.values.shape, fine.step, strict=True))
    distance = np.hypot(y[:, None] - centre[0], x - centre[1])
    radius = np.arange(len(middle)) * step
    near = (distance >= BEYOND * q) & (distance <= radius[-1])
    side = [max(3, round(APART * q / s)) for s in fine.step]
    top = near & (fine.values == greatest_around(fine.values, side))
    height = fine.values[top] - np.interp(distance[top], radius, middle)
    sigma = np.hypot(np.interp(distance[top], radius, spread), noise)
    order = np.argsort(height)[::-1]
    if len(order) == 0:
        return []
    least = CLOSE_SECOND if distance[top][order[0]] < CLOSE * q else SECOND
    if height[order[0]] < max(least * peak, STANDS_OUT * sigma[order[0]]):
        return []
    found, where = float(height[order[0]]), float(distance[top][order[0]])
    if len(order) > 1 and found < 2 * height[order[1]]:
        return []
    return [
        f"a second maximum, {percent(found / peak, '.0f')} of the peak, is {where:.3g} px from "
        "it: a companion, whose light counts as the star's, or a strong speckle"
    ]


def of_halo(missing: float, whole: float) -> list[str]:
    """Return whether a halo's light is missing: which part of all, and the ratio with it."""
    if not missing > HALO:
        return []
    return [
        "a halo beyond the aperture, or in the background ring, has about "
        f"{percent(missing, '.0f')} of the light; with it the Strehl ratio would be about "
        f"{whole:.3g}"
    ]


def of_value(strehl: float, error: float) -> list[str]:
    """Return whether a Strehl ratio is noise, or over 1."""
    said = []
    if error > NOISY * strehl:
        said.append(f"noise makes it uncertain by {percent(error / strehl, '.0f')}")
    if strehl > OVER:
        said.append(
            "a Strehl ratio over 1 is impossible: "
            + (
                "noise"
                if strehl - 1 < 2 * error
                else "check the telescope's figures, the background and the aperture"
            )
        )
    return said
