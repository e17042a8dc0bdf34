"""The statistics of pairs, against published figures and brute force."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from services.evaluate.paired_statistics import (
    ALL_HAZARDS,
    EACH_HAZARD,
    TAIL,
    detectable,
    holm,
    interval,
    of_each,
    over_all,
    tail,
)


def test_the_interval_is_the_published_one() -> None:
    """Airway responsiveness before and after transplantation: 1 and 7 discordant of 21 (Fagerland et al. 2014)."""
    assert interval(1, 7, 21) == pytest.approx((-0.517, -0.026), abs=5e-4)
    assert 2 * tail(7, 1) == pytest.approx(0.0703, abs=5e-5)


def test_without_a_flip_the_interval_depends_on_the_items_alone() -> None:
    for n in (1, 20, 500):
        end = 1.959964**2 / (n + 1.959964**2)
        assert interval(0, 0, n) == pytest.approx((-end, end))


def flips(n: int) -> list[tuple[int, int]]:
    return [(worse, better) for worse in range(n + 1) for better in range(n + 1 - worse)]


@pytest.mark.parametrize("n", [1, 7, 20])
def test_one_more_flip_moves_the_interval_its_way_and_a_swap_mirrors_it(n: int) -> None:
    for worse, better in flips(n):
        low, high = interval(worse, better, n)
        assert -1 <= low <= (worse - better) / n <= high <= 1
        assert interval(better, worse, n) == pytest.approx((-high, -low))
        more = [(worse + 1, better)] if worse + better < n else []
        for moved in [*more, *([(worse, better - 1)] if better else [])]:
            assert interval(*moved, n) >= (low - 1e-9, high - 1e-9)
            assert interval(*moved, n)[1] >= high - 1e-9


def test_the_interval_covers_the_true_change() -> None:
    """Tango's interval holds 95% up to the grain of 40 items, whatever flips how often."""
    rng = np.random.default_rng(11)
    for up, down in ((0.05, 0.05), (0.3, 0.1), (0.5, 0.0)):
        drawn = rng.multinomial(40, [up, down, 1 - up - down], size=1500)
        inside = [low <= up - down <= high for low, high in (interval(int(w), int(b), 40) for w, b, _ in drawn)]
        assert np.mean(inside) > 0.93


def test_the_tail_is_the_share_of_all_ways_to_flip() -> None:
    for moved, back in flips(8):
        ways = list(itertools.product((0, 1), repeat=moved + back))
        assert tail(moved, back) == pytest.approx(sum(sum(way) >= moved for way in ways) / len(ways))


def test_holm_never_lowers_and_keeps_the_order() -> None:
    rng = np.random.default_rng(5)
    for n in range(1, 9):
        tails = list(rng.uniform(0, 1, n) ** 3)
        adjusted = holm(tails)
        assert all(old <= new <= 1 for old, new in zip(tails, adjusted, strict=True))
        assert np.all(np.diff(np.array(adjusted)[np.argsort(tails)]) >= 0)
        assert min(adjusted) == pytest.approx(min(1, n * min(tails)))
    assert holm([]) == []


@pytest.mark.parametrize(("n", "tests"), [(20, 1), (20, 2), (100, 2), (500, 12)])
def test_the_detectable_change_is_seen_in_80_percent_of_runs(n: int, tests: int) -> None:
    least = detectable(n, tests)
    assert least is not None
    drawn = np.random.default_rng(3).binomial(n, least, size=20_000)
    seen = np.mean([tail(count, 0) * tests <= TAIL * ALL_HAZARDS for count in range(n + 1)] @ np.eye(n + 1)[:, drawn])
    assert seen == pytest.approx(0.8, abs=0.015)
    assert detectable(n // 20, tests) is None or n >= 100


def test_both_families_together_are_seldom_wrong_and_hazards_get_what_measures_have_spent() -> None:
    assert pytest.approx(1.0) == ALL_HAZARDS + EACH_HAZARD
    rng = np.random.default_rng(11)
    for over, each in ((1, 10), (2, 4), (8, 24)):
        false = 0
        for _ in range(2000):
            spent = over_all(holm(list(rng.uniform(0, 1, over))))
            false += min([*spent, *of_each(holm(list(rng.uniform(0, 1, each))), spent)]) <= 0.1
        assert false / 2000 <= 0.1 + 0.015
    assert of_each([0.02], [0.02]) == [0.02]
    assert of_each([0.02], [0.02, 0.5]) == [pytest.approx(0.02 / EACH_HAZARD)]
    assert of_each([0.02], []) == [pytest.approx(0.02 / EACH_HAZARD)]


def test_a_measure_more_costs_a_flip_only_where_their_number_doubles() -> None:
    for tests, flips in ((1, 6), (2, 7), (4, 8), (8, 9)):
        assert detectable(flips, tests) is not None
        assert detectable(flips - 1, tests) is None
