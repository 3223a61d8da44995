"""How alike a stack is to the truth: a Strehl ratio, and the likeness of donuts."""

import numpy as np
from scipy import ndimage


def strehl(image):
    """Return peak over flux: the Strehl ratio up to a factor that is the same for both stacks.

    Noise must not help: the peak is not the highest of many noisy pixels but the vertex of the
    least-squares paraboloid through the 5 x 5 px around it; the background is the median of the
    ring of 52 to 56 px around the star, and the flux is summed inside 48 px. A plane of stray
    light cancels in both; a masked pixel gets the median of its neighbours. Every stack is
    measured in this same way, with noise or without.
    """
    image = np.where(np.isfinite(image), image, ndimage.median_filter(np.nan_to_num(image), 5))
    top = ndimage.gaussian_filter(image, 1)
    y, x = np.unravel_index(top.argmax(), image.shape)
    rows, columns = np.indices(image.shape)
    radius = np.hypot(rows - y, columns - x)
    assert min(y, x, *np.subtract(image.shape, (y + 1, x + 1))) >= 56
    light = image.astype(float) - np.median(image[(radius > 52) & (radius <= 56)])
    dy, dx = (axis.ravel() for axis in np.mgrid[-2:3, -2:3])
    terms = np.stack([np.ones(25), dy, dx, dy * dy, dy * dx, dx * dx], axis=1)
    box = light[y - 2 : y + 3, x - 2 : x + 3].ravel()
    c = np.linalg.lstsq(terms, box, rcond=None)[0]
    slope, bend = c[1:3], np.array([[2 * c[3], c[4]], [c[4], 2 * c[5]]])
    peak = c[0] - slope @ np.linalg.solve(bend, slope) / 2
    return peak / light[radius <= 48].sum()


def without_plane(image):
    """Take off the plane through what lies around the donut: the stray light, which is no star."""
    rows, columns = np.indices(image.shape)
    half = len(image) / 2
    around = (np.hypot(rows - half, columns - half) > 0.92 * half) & np.isfinite(image)
    terms = np.stack([np.ones(image.shape), rows, columns], axis=-1)
    return image - terms @ np.linalg.lstsq(terms[around], image[around], rcond=None)[0]


def likeness(one, other):
    """Return the correlation of two donuts, less stray light, where both have a value."""
    both = np.isfinite(one) & np.isfinite(other)
    return np.corrcoef(without_plane(one)[both], without_plane(other)[both])[0, 1]
