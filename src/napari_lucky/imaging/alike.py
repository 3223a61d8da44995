"""Over how many frames neighbours are alike."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

ALIKE = 0.1
"""Correlation under which frames are no longer alike."""
PULLS = 4.0
"""A correlation counts if it is over so many times its error."""
BINS = 24
"""Steps of the distance, each a third wider than the one before."""
MOST = 1000
"""Frames that it is measured on: bounded memory."""
FEWEST = 10
"""Lengths that a run has to hold, for the errors of its mean to be known."""


def alike_over(samples: NDArray[np.float64], numbers: NDArray[np.intp]) -> float:
    """Return over how many frames they are alike, to where their correlation ends.

    Parameters
    ----------
    samples : ndarray, (n, k)
        Values of each frame, which need not be independent. The first 1000 frames count.
    numbers : ndarray of int, (n,)
        The frames' numbers, ascending.

    Returns
    -------
    float
        In frames; 0 where neighbours differ as much as any two.
    """
    off, numbers = samples[:MOST] - samples[:MOST].mean(axis=0), numbers[:MOST]
    if not off.any():  # equal frames, which have no scatter
        return 0.0
    low = off / np.sqrt(np.maximum((off**2).mean(axis=0), 1e-300))
    n, k = low.shape[0], float(low.shape[1])
    product = low @ low.T / k
    together = low.T @ low / n
    k = k**2 / float((together**2).sum())  # as many independent values
    first, second = np.triu_indices(n, 1)
    distance = np.abs(numbers[second] - numbers[first])
    products = product[first, second]
    edges = np.unique(np.round(1.33 ** np.arange(BINS)).astype(int))
    found = 0.0
    for low_edge, high_edge in pairwise(edges):
        own = (distance >= low_edge) & (distance < high_edge)
        if not own.any():
            continue
        correlation = float(products[own].mean()) + 1 / n  # the mean was taken off
        error = 1 / np.sqrt(min(int(own.sum()), n) * k)
        if correlation < max(ALIKE, PULLS * error if found == 0 else 0.0):
            return found
        found = float(high_edge - 1)
    return found
