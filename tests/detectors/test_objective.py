from __future__ import annotations

from dataclasses import replace
from math import log

import numpy as np
import pytest

from detectors.objective import LEAST_ROWS, UNSCORED, Objectives
from detectors.protocol import Baseline
from detectors.stats.rate_ceiling import began_above, ceiling_bets, rate_bounds, window_of_ceiling
from tests.support import rows as made

OBJECTIVES = Objectives()
MILLION = 1e6
EMPTY = made.rows(1, 0).take(np.arange(0))


def fitted(ceiling=0.005, arl=MILLION):
    return OBJECTIVES.fit(Baseline(EMPTY, {}, arl, {"refusal": ceiling}))


def told(values, artefact=None):
    """The findings on a stream of 0, 1 and NaN."""
    artefact = artefact or fitted()
    n = len(values)
    some = replace(made.rows(1, 0).take(np.zeros(n, np.int64)), ids=tuple(f"x{i}" for i in range(n)))
    rows = replace(some, signals={"refusal": np.asarray(values, np.float64)})
    return OBJECTIVES.step(artefact, OBJECTIVES.start(artefact), rows)


def first_alarm(values, artefact=None):
    found = [one for one in told(values, artefact)[1] if one.status == "firing" and one.transition]
    return found[0] if found else None


def test_a_signal_that_is_always_true_tells_within_four_exchanges_from_the_first_one():
    alarm = first_alarm([1, 1, 1, 1, 1])
    assert alarm is not None
    assert alarm.row < 4
    assert (alarm.direction, alarm.floor, alarm.exemplars[-1]) == ("up", 0.005, f"x{alarm.row}")
    assert alarm.effect is not None
    assert alarm.effect.after == 100.0
    assert alarm.effect.low > 2 * 0.5


def test_false_alarms_stay_below_one_in_arl_exchanges_where_the_rate_is_the_ceiling():
    arl, n, chance = 2_000.0, 20_000, np.random.default_rng(11)
    alarms = 0
    for ceiling in (0.005, 0.05, 0.3):
        artefact = fitted(ceiling, arl)
        runs = [first_alarm((chance.random(n // 5) < ceiling).astype(float), artefact) for _ in range(10)]
        alarms += sum(run is not None for run in runs)
    # 30 streams of 4,000 rows, each with chance at most 4,000 / 2,000 to alarm; the mixture is far below that bound
    assert alarms <= 30 * (1 - np.exp(-2)) * 1.2


@pytest.mark.parametrize(("rate", "ceiling", "most"), [(0.021, 0.005, 2_600), (0.1, 0.02, 500), (0.3, 0.005, 60)])
def test_a_rate_above_its_ceiling_is_found(rate, ceiling, most):
    chance = np.random.default_rng(3)
    alarm = first_alarm((chance.random(most) < rate).astype(float), fitted(ceiling))
    assert alarm is not None
    assert 100 * ceiling < alarm.effect.low < 100 * rate < alarm.effect.high


def test_a_rate_that_rises_late_is_measured_since_it_rose():
    chance = np.random.default_rng(5)
    values = np.concatenate([np.zeros(3_000), chance.random(200) < 0.2])
    alarm = first_alarm(values)
    assert alarm is not None
    assert 3_000 <= alarm.row < 3_060
    assert alarm.effect.after > 10


def test_an_alarm_ends_when_the_rate_of_the_window_is_known_to_lie_below():
    found = told(np.concatenate([np.ones(5), np.zeros(3_000)]))[1]
    changes = [(one.row, one.status) for one in found if one.transition]
    assert [status for _, status in changes] == ["firing", "quiet"]
    ended = changes[1][0]
    last = next(one for one in found if one.row == ended)
    assert LEAST_ROWS <= ended < window_of_ceiling(0.005) + 60
    assert (last.direction, last.effect.after) == ("up", 0.0)
    assert last.effect.high < 0.5


def test_what_is_not_scored_is_not_monitored_and_comes_back():
    found = told([np.nan] * UNSCORED + [0.0])[1]
    assert [(one.row, one.status, one.reason) for one in found] == [
        (UNSCORED - 1, "blind", "unscored"),
        (UNSCORED, "quiet", None),
    ]


def test_state_stays_small_whatever_the_rate():
    state, _ = told(np.ones(25_000), fitted(0.0005))
    (one,) = state.ceilings
    assert one.values.nbytes + one.wealth.nbytes < 3_000


def test_the_interval_holds_the_rate_at_every_n_at_once():
    chance, missed = np.random.default_rng(9), 0
    for rate in (0.004, 0.05, 0.4):
        for _ in range(60):
            hits = np.cumsum(chance.random(1_500) < rate)
            places = np.unique(np.geomspace(1, 1_500, 60).astype(int))
            bounds = [rate_bounds(int(hits[n - 1]), int(n)) for n in places]
            missed += any(not low <= rate <= high for low, high in bounds)
    assert missed <= 0.05 * 180 + 5


def test_bets_lose_on_average_while_the_rate_is_the_ceiling_and_never_more_than_all():
    for ceiling in (1e-4, 0.005, 0.3, 1.0):
        bets = ceiling_bets(ceiling)
        assert bets.weight.sum() == pytest.approx(1.0)
        assert (bets.lose > 0).all()
        np.testing.assert_allclose(ceiling * bets.win + (1 - ceiling) * bets.lose, 1.0)


def test_the_change_is_placed_where_the_rate_rose():
    assert began_above(np.r_[np.zeros(400), np.ones(20)], 0.01) == 400


def test_a_threshold_is_what_the_budget_asks():
    assert first_alarm([1] * 5).threshold == pytest.approx(log(MILLION))
