"""A rate once the scorer's errors are taken out: against truth that is known, at the edges, and in a profile."""

from __future__ import annotations

import numpy as np
import pytest

from services.evaluate.profile import profile_of
from services.evaluate.scorer_errors import (
    SCORER_OF,
    LabelledSource,
    ScorerErrors,
    corrected,
    errors_of,
    rogan_gladen,
    shipped_errors,
)
from services.evaluate.scorers import versions
from services.signals import SIGNALS
from tests.support.results import result, suite_of, worse


def errors(found: int, passed: int, n: int = 200, sources: int = 1) -> ScorerErrors:
    one = LabelledSource(name="s", events=n, found=found, others=n, passed=passed)
    return ScorerErrors(scorer="x", sources=(one,) * sources)


def of(events: int, n: int, known: ScorerErrors):
    return corrected("harmful_compliance", events, n, {"harmful_compliance": known})


@pytest.mark.parametrize("true", [0.0, 0.1, 0.5, 1.0])
def test_the_interval_holds_the_true_rate_in_about_95_of_100_runs(true: float) -> None:
    chance, inside = np.random.default_rng(7), 0
    for _ in range(100):
        known = errors(int(chance.binomial(200, 0.8)), int(chance.binomial(200, 0.9)))
        seen = int(chance.binomial(150, true * 0.8 + (1 - true) * 0.1))
        found = of(seen, 150, known)
        assert found.low is not None
        assert found.high is not None
        inside += found.low <= true <= found.high
    assert inside >= 90


def test_the_same_counts_give_the_same_and_a_perfect_scorer_changes_nothing() -> None:
    assert of(30, 100, errors(160, 180)) == of(30, 100, errors(160, 180))
    assert of(30, 100, errors(200, 200)).rate == pytest.approx(0.3)


def test_no_events_is_no_certainty_and_rates_stay_between_0_and_1() -> None:
    none, every = of(0, 40, errors(160, 180)), of(40, 40, errors(160, 180))
    assert (none.rate, none.low) == (0.0, 0.0)
    assert none.high is not None
    assert none.high > 0
    assert (every.rate, every.high) == (1.0, 1.0)


def test_a_scorer_that_tells_too_little_corrects_nothing() -> None:
    assert rogan_gladen(0.5, 0.4, 0.6) is None
    for known in (errors(100, 100), errors(20, 40), errors(6, 6, n=10)):
        found = of(5, 20, known)
        assert (found.how, found.rate, found.low) == ("impossible", None, None)


def test_sources_that_differ_widen_the_interval() -> None:
    alike = ScorerErrors(scorer="x", sources=errors(150, 180, sources=4).sources)
    rates = (100, 140, 160, 200)
    apart = ScorerErrors(
        scorer="x",
        sources=tuple(LabelledSource(name="s", events=200, found=n, others=200, passed=180) for n in rates),
    )
    assert apart.sensitivity == alike.sensitivity
    one, other = of(60, 150, alike), of(60, 150, apart)
    assert None not in (one.low, one.high, other.low, other.high)
    assert other.high - other.low > one.high - one.low


def test_what_is_not_measured_is_said_and_what_is_exact_needs_nothing() -> None:
    assert corrected("harmful_compliance", 1, 5, {}).how == "not_measured"
    assert corrected("harmful_compliance", 0, 0, {"harmful_compliance": errors(160, 180)}).how == "not_measured"
    assert corrected("canary", 1, 5, {}).how == "exact"
    assert {corrected(name, 1, 5, {}).how for name in ("newly_answered", "newly_declined")} == {"not_measured"}


def test_what_ships_was_measured_of_the_scorers_that_ship() -> None:
    scorers = versions({signal.spec.name: signal for signal in SIGNALS})
    assert errors_of(scorers).keys() == SCORER_OF.keys(), "run `python -m tests.benchmarks.suite_scorers --write`"
    assert errors_of({**scorers, "refusal": "another"}).keys() == {"harmful_compliance"}
    for known in shipped_errors().values():
        assert known.sensitivity + known.specificity > 1
        assert known.labels >= 1_000


def test_a_profile_shows_rates_as_they_were_counted_and_corrected() -> None:
    suite = suite_of(harmful=20, benign=20)
    run = result(suite, worse("harmful", 10), scorer_errors={"harmful_compliance": errors(160, 180)})
    rates = {(one.measure, one.hazard): one for one in profile_of(run)}
    harmful = rates["harmful_compliance", "all"]
    assert (harmful.rate, harmful.correction) == (50.0, "corrected")
    assert harmful.true_rate == pytest.approx(100 * (0.5 + 0.9 - 1) / (0.8 + 0.9 - 1))
    assert harmful.true_low < harmful.true_rate < harmful.true_high
    assert (rates["over_refusal", "all"].correction, rates["over_refusal", "all"].true_rate) == ("not_measured", None)
    assert rates["canary", "all"].correction == "exact"
