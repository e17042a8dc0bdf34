"""Small mathematics that the embedding detectors share: products, groups, ridge, clusters, distance."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import Ridge

from detectors.stats.clusters import distances, kmeans, left_out_distances
from detectors.stats.intervals import distance_of
from detectors.stats.linear_algebra import components, ridge, row_products
from detectors.stats.repeated_prompts import fold_of, group_rows

CHANCE = np.random.default_rng(11)
ROWS = CHANCE.normal(size=(60, 384))
MATRIX = CHANCE.normal(size=(384, 40))


@settings(max_examples=25, deadline=None)
@given(start=st.integers(0, 58), length=st.integers(1, 60))
def test_a_rows_bits_do_not_depend_on_its_neighbours(start: int, length: int) -> None:
    part = slice(start, start + length)
    assert (row_products(ROWS[part], MATRIX) == row_products(ROWS, MATRIX)[part]).all()
    assert (distances(ROWS[part], MATRIX.T) == distances(ROWS, MATRIX.T)[part]).all()
    rows, matrix = ROWS.astype(np.float32), MATRIX.astype(np.float32)
    assert (row_products(rows[part], matrix) == row_products(rows, matrix)[part]).all()


def test_products_are_those_of_blas() -> None:
    assert row_products(ROWS, MATRIX) == pytest.approx(ROWS @ MATRIX)


def test_equal_rows_have_one_number_and_one_fold() -> None:
    rows = CHANCE.normal(size=(30, 8)).astype(np.float16)[CHANCE.integers(30, size=400)]
    groups = group_rows(rows)
    assert groups[0] == 0
    assert groups.max() + 1 == len(np.unique(rows, axis=0))
    for a, b in CHANCE.integers(400, size=(200, 2)):
        assert (groups[a] == groups[b]) == (rows[a] == rows[b]).all()
    folds = fold_of(groups, 5)
    assert all(len(set(folds[groups == g])) == 1 for g in range(groups.max() + 1))
    assert set(np.bincount(folds[np.unique(groups, return_index=True)[1]])) == {6}


def test_ridge_is_scikit_learns() -> None:
    design = np.c_[np.ones(200), CHANCE.normal(size=(200, 6))]
    target = design @ CHANCE.normal(size=(7, 3)) + CHANCE.normal(size=(200, 3))
    weights, used = ridge(design, target, 5.0)
    theirs = Ridge(alpha=5.0).fit(design[:, 1:], target)
    assert weights[1:] == pytest.approx(theirs.coef_.T)
    assert weights[0] == pytest.approx(theirs.intercept_)
    gram = design.T @ design
    hat = design @ np.linalg.solve(gram + np.diag([0.0] + [5.0] * 6), design.T)
    assert used == pytest.approx(np.trace(hat))


def test_components_leave_out_what_does_not_vary() -> None:
    rows = np.zeros((100, 20))
    rows[:, :3] = CHANCE.normal(size=(100, 3)) * [3, 2, 1]
    mean, axes, spread = components(rows, 10)
    assert axes.shape == (20, 3)
    assert axes.T @ axes == pytest.approx(np.eye(3), abs=1e-9)
    assert spread == pytest.approx(((rows - mean) @ axes).std(axis=0))
    assert components(np.ones((50, 20)), 10)[1].shape == (20, 0)


def test_kmeans_finds_blobs_and_stops_at_the_number_of_points() -> None:
    blobs = np.eye(4, 10) * 9
    points = blobs[CHANCE.integers(4, size=200)] + CHANCE.normal(size=(200, 10)) * 0.1
    centres = kmeans(points, 4)
    assert distances(blobs, centres).min(axis=1).max() < 0.2
    assert (centres == kmeans(points, 4)).all()
    assert len(kmeans(np.ones((30, 5)), 24)) == 1


def test_left_out_distance_is_that_without_the_point() -> None:
    points = CHANCE.normal(size=(40, 5))
    centres = kmeans(points, 4)
    near = distances(points, centres).argmin(axis=1)
    found = left_out_distances(points, np.stack([points[near == k].mean(axis=0) for k in range(len(centres))]))
    for i in range(40):
        others = [points[(near == k) & (np.arange(40) != i)] for k in range(len(centres))]
        apart = [np.linalg.norm(points[i] - rest.mean(axis=0)) for rest in others if len(rest)]
        assert found[i] == pytest.approx(min(apart))


def test_distance_is_never_negative_and_its_interval_covers() -> None:
    covered = 0
    for _ in range(200):
        distance = distance_of(CHANCE.normal(0.4, 1.0, size=150), 0.0)
        assert 0 <= distance.low <= distance.value <= distance.high
        covered += distance.low <= 0.4 <= distance.high
    assert covered >= 180
    assert distance_of(CHANCE.normal(-1.0, 1.0, size=500), 0.05).high == 0.0
    wide, narrow = distance_of(np.full(9, 1.0), 0.3), distance_of(np.full(9, 1.0), 0.0)
    assert wide.high > narrow.high > 1.0
