"""The mathematics below rate_shift."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from detectors.stats.budget_shares import budget_weights
from detectors.stats.intervals import rate_change, wilson
from detectors.stats.prompt_map import map_prompts
from detectors.stats.rate_evidence import CAP, BetTable, make_bets
from detectors.stats.repeated_prompts import RECENT, Known, prompt_keys
from tests.support.rate_streams import asked

share = st.floats(0.0, 1.0)


@given(share, share, share)
def test_no_bet_gains_on_average_under_the_null(expected: float, room: float, chance: float) -> None:
    """Whatever the bets were sized for: at a rate within the null's edges the mean factor is at most 1."""
    table = BetTable.of([make_bets(expected, 1 - expected), make_bets(0.5, 0.5)])
    near = float(np.clip(chance, max(expected - room, 0.0), min(expected + room, 1.0)))
    values = np.tile([0.0, 1.0], (2, 1))
    no, yes = table.surprise(values, np.full((2, 2), expected), np.full((2, 2), room))
    assert (no >= 0).all()
    assert (yes >= 0).all()
    assert (near * yes + (1 - near) * no <= 1 + 1e-12).all()


def taken(table: BetTable, values: np.ndarray, null: float, arl: float) -> list[float]:
    """The mixture after each value of one stream."""
    factor = table.surprise(values[None], np.full((1, len(values)), null), np.zeros((1, len(values))))
    every = np.ones((len(values), 1), dtype=np.bool_)
    told: list[float] = table.trace(table.nothing(), factor, every, np.array([arl])).total[:, 0].tolist()
    return told


def one_by_one(table: BetTable, wealth: np.ndarray, factor: np.ndarray, used: np.ndarray, arl: np.ndarray) -> Any:
    """Evidence (s, b) and mixtures (s,) after one row, by definition: M = (M + 1) * factor, held at the cap."""
    grown = np.where(used[:, None], (wealth + 1.0) * factor, wealth)
    total = (table.weight * grown).sum(axis=1)
    held = np.minimum(total, CAP * arl)
    return grown * np.where(total > held, held / np.where(total > 0, total, 1.0), 1.0)[:, None], held


def test_the_first_alarm_of_fair_coins_comes_no_sooner_than_promised() -> None:
    """At the edge of the null the mean of min(first alarm, 20 ARL) is at least the ARL."""
    rng, arl, null = np.random.default_rng(0), 100.0, 0.1
    table = BetTable.of([make_bets(null, 1 - null)])
    firsts = []
    for _ in range(60):
        held = np.array(taken(table, (rng.random(int(20 * arl)) < null).astype(float), null, arl))
        firsts.append(int((held >= arl).argmax()) + 1 if (held >= arl).any() else len(held))
    assert np.mean(firsts) >= arl


def test_evidence_is_capped_so_that_it_can_come_back() -> None:
    bets, arl, n = make_bets(0.05, 0.97), 1000.0, 300
    table = BetTable.of([bets])
    factor = table.surprise(np.ones((1, n)), np.full((1, n), 0.04), np.full((1, n), 0.01))
    trace = table.trace(table.nothing(), factor, np.ones((n, 1), dtype=np.bool_), np.array([arl]))
    assert (trace.total <= CAP * arl + 1e-6).all()
    assert table.leaning(trace.wealth[-1, 0], 0) == "up"


def test_a_stream_that_does_not_use_a_row_keeps_its_evidence() -> None:
    table = BetTable.of([make_bets(0.1, 0.9), make_bets(0.5, 0.5)])
    factor = table.surprise(np.array([[1.0], [np.nan]]), np.array([[0.1], [0.5]]), np.zeros((2, 1)))
    trace = table.trace(table.nothing(), factor, np.array([[True, False]]), np.full(2, 1e3))
    assert trace.total[0, 0] > 0
    assert trace.total[0, 1] == 0
    assert not trace.wealth[1, 1].any()


def test_many_rows_at_once_are_as_row_by_row() -> None:
    """Also where a stream does not use a row, and where evidence runs ahead so far that it is held."""
    rng, arl = np.random.default_rng(6), np.array([50.0, 1e6, 1e6])
    table, n = BetTable.of([make_bets(0.05, 0.97), make_bets(0.5, 0.5), make_bets(0.1, 0.9)]), 120
    used = rng.random((n, 3)) < 0.8
    used[:40, 2] = False
    value = (rng.random((3, n)) < np.array([[0.9], [0.5], [0.1]])).astype(float)
    factor = table.surprise(value, np.full((3, n), 0.05), np.full((3, n), 0.01))
    trace, wealth = table.trace(table.nothing(), factor, used, arl), table.nothing()
    for row in range(n):
        wealth, total = one_by_one(table, wealth, factor[row], used[row], arl)
        np.testing.assert_allclose(trace.total[row], total, rtol=1e-12)
        np.testing.assert_allclose(trace.wealth[row + 1], wealth, rtol=1e-12)
    assert (trace.total[:, 0] == CAP * 50.0).any()


def test_evidence_without_end_stays_a_number() -> None:
    """A signal that was never true, and is now always: each row multiplies by hundreds."""
    table, n = BetTable.of([make_bets(0.001, 1.0)]), 300
    factor = table.surprise(np.ones((1, n)), np.full((1, n), 0.001), np.zeros((1, n)))
    trace = table.trace(table.nothing(), factor, np.ones((n, 1), dtype=np.bool_), np.array([1e6]))
    assert np.isfinite(trace.wealth).all()
    assert trace.total.max() == pytest.approx(CAP * 1e6)


@given(st.lists(st.integers(0, 12), min_size=1, max_size=80), st.integers(0, 60))
def test_repetitions_are_counted_as_one_by_one(asked_for: list[int], cut: int) -> None:
    base = asked(np.random.default_rng(4), 13)[0]
    known, rows = Known.of(base[:6]), base[asked_for]
    keys, every = prompt_keys(rows), np.ones(len(rows), dtype=np.bool_)
    over, _ = known.repeated(keys, np.zeros(0, dtype=np.uint32), every)
    allowed = [2 + 4 * RECENT / 6 if which < 6 else 2 for which in asked_for]
    assert over.tolist() == [asked_for[: i + 1].count(asked_for[i]) > allowed[i] for i in range(len(rows))]
    first, recent = known.repeated(keys[:cut], np.zeros(0, dtype=np.uint32), every[:cut])
    assert [*first, *known.repeated(keys[cut:], recent, every[cut:])[0]] == over.tolist()


@given(st.integers(0, 200), st.integers(1, 200), share, st.floats(0, 0.1))
def test_an_interval_of_a_change_holds_its_estimate(hits: int, n: int, expected: float, error: float) -> None:
    hits = min(hits, n)
    low, estimate, high = rate_change(hits, expected * n, n, error)
    assert low <= estimate <= high
    wider = rate_change(hits, expected * n, n, error + 0.05)
    assert wider[0] <= low
    assert high <= wider[2]


def test_wilson_is_the_known_interval() -> None:
    assert wilson(15, 148) == pytest.approx((0.0624, 0.1605), abs=1e-4)
    assert wilson(0, 0) == (0.0, 1.0)


@given(st.integers(1, 10**7).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_is_that_of_scipy(counts: tuple[int, int]) -> None:
    known = binomtest(*counts).proportion_ci(method="wilson")
    assert wilson(*counts) == pytest.approx((known.low, known.high), abs=1e-8)


def test_a_place_does_not_depend_on_the_neighbours() -> None:
    rng = np.random.default_rng(1)
    known = map_prompts(asked(rng, 300)[0], 32, 24, 0.02)
    prompts = asked(rng, 90)[0]
    whole, alone = known.locate(prompts), [known.locate(prompts[i : i + 1]) for i in range(90)]
    assert [place.topic[0] for place in alone] == whole.topic.tolist()
    np.testing.assert_allclose([place.features[0] for place in alone], whole.features, atol=1e-12)


def test_a_prompt_counts_four_times_as_often_as_in_the_baseline_and_twice() -> None:
    rng = np.random.default_rng(2)
    base = asked(rng, 500)[0]
    base[1] = base[0]  # asked twice among 500
    known = Known.of(base)
    rows = np.concatenate([np.repeat(base[:1], 30, axis=0), np.repeat(asked(rng, 1)[0], 30, axis=0)])
    over, recent = known.repeated(prompt_keys(rows), np.zeros(0, dtype=np.uint64), np.ones(60, dtype=np.bool_))
    assert (~over[:30]).sum() == 2 + 4 * 2
    assert (~over[30:]).sum() == 2
    assert len(recent) == 60
    _, recent = known.repeated(prompt_keys(base), recent, np.ones(500, dtype=np.bool_))
    assert len(recent) == RECENT


def test_shares_of_the_budget_add_up_to_as_many_false_alarms_as_equal_ones() -> None:
    whole = np.array([True, True, *[False] * 14])
    weight = budget_weights(whole)
    assert weight.sum() == pytest.approx(len(whole))  # the false alarms of all streams: the sum of weight / arl
    assert weight[whole].sum() == pytest.approx(weight[~whole].sum())
    assert budget_weights(np.ones(3, bool)).tolist() == [1.0, 1.0, 1.0]
    assert budget_weights(np.zeros(2, bool)).tolist() == [1.0, 1.0]
