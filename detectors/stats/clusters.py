"""Clusters of prompts, and what lies outside of them."""

from __future__ import annotations

import warnings
from typing import Final

import numpy as np

from detectors.protocol import Float
from detectors.stats.linear_algebra import row_products

ROUNDS: Final = 25


def kmeans(points: Float, most: int) -> Float:
    """Centroids (k, a) of `points` (n, a), k <= most, the same bits every time and on any number of threads.

    Source: Lloyd (1982); start by k-means++, Arthur and Vassilvitskii (2007), with a fixed seed.
    """
    from scipy.cluster.vq import kmeans2  # noqa: PLC0415 -- only a new baseline needs it

    count = min(most, len(np.unique(points, axis=0)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a cluster that has become empty stays where it is
        centres, _ = kmeans2(points, count, iter=ROUNDS, minit="++", rng=np.random.default_rng(82))
    return np.asarray(centres)


def distances(points: Float, centres: Float) -> Float:
    """(n, k) Euclidean distances; a row's bits do not depend on the other rows."""
    products = row_products(points, np.ascontiguousarray(centres.T))
    squares = (points * points).sum(axis=1)[:, None] - 2 * products + (centres * centres).sum(axis=1)
    apart: Float = np.sqrt(np.maximum(squares, 0.0))
    return apart


def left_out_distances(points: Float, centres: Float) -> Float:
    """(n,) distance of each point to its nearest centroid, its own one taken without the point itself."""
    apart = distances(points, centres)
    near = apart.argmin(axis=1)
    size = np.bincount(near, minlength=len(centres))[near]
    own = apart[np.arange(len(points)), near]
    # Without the point the centroid moves away from it: (m c - x) / (m - 1).
    apart[np.arange(len(points)), near] = np.where(size > 1, own * size / np.maximum(size - 1, 1), np.inf)
    nearest: Float = apart.min(axis=1)
    return np.where(np.isfinite(nearest), nearest, own)
