"""Clusters of prompts, and what lies outside of them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from detectors.stats.linear_algebra import row_products

Float = NDArray[np.float64]
Int = NDArray[np.int64]


def kmeans(points: Float, most: int, rounds: int = 25) -> Float:
    """Centroids (k, a) of `points` (n, a), k <= most, the same ones every time.

    Source: Lloyd (1982); start by k-means++, Arthur and Vassilvitskii (2007), with a fixed seed.
    """
    centres = _start(points, most)
    for _ in range(rounds):
        near = _squares(points, centres).argmin(axis=1)
        sums = np.zeros_like(centres)
        np.add.at(sums, near, points)
        counts = np.bincount(near, minlength=len(centres))
        moved = np.where(counts[:, None] > 0, sums / np.maximum(counts, 1)[:, None], centres)
        if np.allclose(moved, centres, atol=1e-9):
            break
        centres = moved
    return centres


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


def _start(points: Float, most: int) -> Float:
    """Starting centroids: each next one drawn by its squared distance to those before."""
    chance = np.random.default_rng(82)
    chosen = [int(chance.integers(len(points)))]
    left = _squares(points, points[chosen])[:, 0]
    while len(chosen) < most and left.sum() > 1e-9:
        chosen.append(int(chance.choice(len(points), p=left / left.sum())))
        left = np.minimum(left, _squares(points, points[chosen[-1:]])[:, 0])
    return np.array(points[chosen])


def _squares(points: Float, centres: Float) -> Float:
    squares = (points * points).sum(axis=1)[:, None] - 2 * points @ centres.T + (centres * centres).sum(axis=1)
    positive: Float = np.maximum(squares, 0.0)
    return positive
