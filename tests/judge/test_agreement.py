"""How far a judge agrees with people: by the textbook, with intervals, and what is too little to say so."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score

from services.judge.agreement import Agreement

PAIRS = st.lists(st.tuples(st.booleans(), st.sampled_from([True, False, None])), max_size=60)


@given(PAIRS)
def test_kappa_is_that_of_scikit_learn(pairs: list[tuple[bool, bool | None]]) -> None:
    found = Agreement.of(pairs)
    said = [(label, judge) for label, judge in pairs if judge is not None]
    assert found.n == len(pairs)
    assert found.said == len(said)
    if found.kappa is not None:
        labels, judges = zip(*said, strict=True)
        assert found.kappa == pytest.approx(cohen_kappa_score(labels, judges), abs=1e-9)


def test_rates_are_of_what_the_judge_said() -> None:
    found = Agreement(both=18, neither=15, judge_alone=5, people_alone=2, silent_yes=4, silent_no=6)
    assert (found.accuracy.hits, found.accuracy.n) == (33, 40)
    assert found.false_positives.share == 0.25
    assert found.false_negatives.share == 0.1
    assert found.inconclusive.share == 0.2
    low, high = found.accuracy.interval or (1, 0)
    assert 0.67 < low < 0.825 < high < 0.92
    assert found.why_not is None


@pytest.mark.parametrize(
    ("found", "why"),
    [
        (Agreement(), "few"),
        (Agreement(both=100), "few"),
        (Agreement(both=9, neither=100), "few"),
        (Agreement(both=10, neither=10), None),
        (Agreement(both=10, neither=10, silent_no=6), "inconclusive"),
        (Agreement(silent_yes=10, silent_no=10), "inconclusive"),
        (Agreement(both=20, judge_alone=20), "kappa"),
        (Agreement(both=10, neither=10, judge_alone=10, people_alone=10), "kappa"),
        (Agreement(judge_alone=20, people_alone=20), "kappa"),
    ],
)
def test_a_judge_may_be_used_that_agrees_and_speaks(found: Agreement, why: str | None) -> None:
    assert found.why_not == why
