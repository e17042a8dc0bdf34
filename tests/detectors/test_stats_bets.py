"""Bets: nothing is bet without evidence, a shift is bet on, and an unchanged stream earns nothing."""

from __future__ import annotations

import numpy as np
import pytest

from detectors.stats import bets, drift_state
from detectors.stats.drift import CAP, DriftPass

D, Q, CLUSTERS = 8, 4, 3
CHANCE = np.random.default_rng(5)
WEIGHTS = CHANCE.normal(size=(Q + 1, D))
SETTINGS = drift_state.EvidenceSettings()
RECIPE = bets.Recipe()


def drawn(n: int, seed: int, shift: float = 0.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Design, target and cluster of rows with a linear answer and noise; `shift` moves the first column."""
    chance = np.random.default_rng(seed)
    given = chance.normal(size=(n, Q))
    design = np.c_[np.ones(n), given]
    target = design @ WEIGHTS + chance.normal(size=(n, D)) * np.linspace(0.5, 2, D)
    target[:, 0] += shift
    return design, target, (given[:, 0] > 0).astype(np.int64) + (given[:, 0] > 1)


def fitted(n: int = 800, seed: int = 1, recipe: bets.Recipe = RECIPE) -> bets.Fitted:
    design, target, cluster = drawn(n, seed)
    share, least = np.full(D, 0.05), np.full(D, 1e-3)
    return bets.fit(bets.BaselineSample(design, target, np.arange(n), cluster, CLUSTERS, share, least), recipe)


FITTED = fitted()


def walked(
    n: int, seed: int, arl: float, shift: float = 0.0, settings: drift_state.EvidenceSettings = SETTINGS
) -> drift_state.DriftState:
    design, target, cluster = drawn(n, seed, shift)
    yes = np.ones(n, dtype=np.bool_)
    at, ids = np.arange(n), tuple(map(str, range(n)))
    none, rest = np.zeros((n, 0)), bets.residuals(FITTED, design, target)
    rows = drift_state.DriftRows(at, ids, design, target, cluster, ~yes, yes, at, 1.7e9 + at, none, rest)
    plan = drift_state.DriftPlan(FITTED, RECIPE, settings, arl, "shift", "novel")
    return DriftPass(plan, drift_state.start(FITTED, settings)).run(rows)[0]


def tallies(n: int, seed: int, shift: float) -> np.ndarray:
    design, target, cluster = drawn(n, seed, shift)
    return np.c_[design, target, np.eye(CLUSTERS)[cluster]].sum(axis=0)[None]


def test_a_bet_has_the_same_bits_beside_any_others() -> None:
    sums = np.stack([np.concatenate([tallies(n, n, 0.3)] * 3) for n in (4, 9, 30, 64, 5, 200, 17)])
    trust = np.abs(CHANCE.normal(size=(len(sums), 3)))
    book = bets.place_all(FITTED, RECIPE, sums)
    aim, centre, spread = bets.aims(FITTED, book, trust)
    for k in range(len(sums)):
        alone = bets.place(FITTED, RECIPE, sums[k], trust[k])
        for one, of_all in ((alone.slope, book.slope), (alone.offset, book.offset), (alone.expected, book.expected)):
            assert (one == of_all[k]).all()
        assert (alone.aim == aim[k]).all()
        assert (alone.centre == centre[k]).all()
        assert alone.spread == spread[k]


def test_held_out_noise_is_about_the_identity() -> None:
    design, target, _ = drawn(4000, 2)
    turned = bets.turned(FITTED, bets.residuals(FITTED, design, target))
    assert np.cov(turned.T) == pytest.approx(np.eye(D), abs=0.15)
    assert pytest.approx(1.0, abs=0.15) == FITTED.noise


def test_weights_of_the_null_are_averages() -> None:
    assert FITTED.even.sum() == pytest.approx(1, abs=1e-5)
    assert FITTED.local.sum(axis=1) == pytest.approx(np.ones(CLUSTERS), abs=1e-5)
    assert FITTED.gram == pytest.approx(FITTED.local @ FITTED.local.T, abs=1e-6)  # every row its own prompt


def test_without_evidence_no_bet() -> None:
    placed = bets.place(FITTED, RECIPE, np.zeros((1, Q + 1 + D + CLUSTERS)), np.ones(1))
    assert not placed.slope.any()
    assert placed.expected == pytest.approx(np.ones((CLUSTERS, 1)), abs=1e-5)
    assert not placed.aim.any()


def test_the_bet_is_the_posterior_mean_over_the_noise() -> None:
    sums = tallies(40, 3, 1.0)
    placed = bets.place(FITTED, bets.Recipe(boldest=100.0), sums, np.ones(1))
    moved = (sums[:, Q + 1 : Q + 1 + D] - sums[:, : Q + 1] @ FITTED.weights[-1]) @ FITTED.turns[-1]
    prior = FITTED.prior[-1] * FITTED.noise
    posterior = prior * moved / (40 * prior + FITTED.noise)
    assert placed.slope == pytest.approx(posterior / FITTED.noise, rel=1e-4, abs=1e-6)


def test_no_bet_is_bolder_than_allowed() -> None:
    offsets = [bets.place(FITTED, RECIPE, tallies(40, 3, shift), np.ones(1)).offset[0] for shift in (0.1, 1.0, 30.0)]
    assert max(offsets) == pytest.approx(RECIPE.boldest**2 / 2)
    assert offsets[0] < offsets[1]


def test_the_distance_along_the_bet_is_that_of_the_shift() -> None:
    placed = bets.place(FITTED, RECIPE, tallies(300, 3, 1.0), np.ones(1))
    for shift, expected in ((0.0, 0.0), (1.0, 2.0)):  # the noise of the first column is 0.5
        design, target, cluster = drawn(4000, 4, shift)
        along = bets.turned(FITTED, bets.residuals(FITTED, design, target)) @ placed.aim - placed.centre[cluster]
        assert along.mean() == pytest.approx(expected, abs=0.25)


def test_slack_and_floor_make_bets_dearer() -> None:
    sums = tallies(40, 3, 1.0)
    plain = bets.place(FITTED, bets.Recipe(slack=0.0), sums, np.ones(1)).expected
    slack = bets.place(FITTED, bets.Recipe(slack=1.0), sums, np.ones(1)).expected
    floor = bets.place(FITTED, bets.Recipe(slack=0.0, floor=0.2), sums, np.ones(1)).expected
    assert (slack > plain).all()
    assert (floor > plain).all()


def test_an_unchanged_stream_alarms_no_more_often_than_its_arl() -> None:
    arl, rows, seeds = 3000.0, 1000, range(20, 50)
    alarms = sum(walked(rows, seed, arl).fired >= 0 for seed in seeds)
    assert alarms <= 10  # of 30 streams of a third of the ARL; nominal 8.5


def test_a_shift_is_found_and_dated() -> None:
    state = walked(200, 9, 10_000.0, shift=1.0)
    assert 0 < state.fired < 60
    assert state.begun < 30


def test_evidence_is_capped() -> None:
    state = walked(2000, 9, 100.0, shift=3.0)
    assert state.wealth.max() == pytest.approx(CAP * 100.0)


def test_a_big_baseline_keeps_a_bounded_null() -> None:
    thinned = fitted(n=900, recipe=bets.Recipe(most_null=250))
    assert thinned.null.shape == (5, 50, D)
    assert thinned.even.sum() == pytest.approx(1, abs=1e-5)
