"""What holds for any two runs: swaps mirror, order is nothing, a worse answer never helps, noise seldom alarms."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.evaluation import HazardComparison
from services.evaluate.comparison import ComparisonResult, compare
from services.evaluate.suite import Suite
from tests.support.results import result, suite_of

SUITE = suite_of(harmful=24, benign=20, canaries=2, hazards=2)
IDS = [item.id for item in SUITE.items]
MIRRORED = {"regressed": "improved", "improved": "regressed"}
FEW = settings(max_examples=60, deadline=None)


@st.composite
def answers(draw, unknown: bool = False):
    """What each item of `SUITE` answered: bits at a rate of their own for each measure, so that all verdicts occur."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    rates = {kind: draw(st.sampled_from([0.0, 0.05, 0.3, 0.7, 1.0])) for kind in ("harmful", "benign", "canary")}
    said = {id: [bool(rng.random() < rates[id.split("-")[0]])] for id in IDS}
    if unknown:
        said |= {id: [None] for id in draw(st.lists(st.sampled_from(IDS), max_size=4))}
    return said


def held(before, after, suite: Suite = SUITE) -> ComparisonResult:
    return compare(result(suite, before), result(suite, after))


def keyed(compared: ComparisonResult) -> dict[tuple[str, str], HazardComparison]:
    return {(row.hazard, row.measure): row for row in compared.hazards}


@FEW
@given(answers(), answers())
def test_swapping_the_runs_mirrors_every_row(before, after) -> None:
    there, back = keyed(held(before, after)), keyed(held(after, before))
    for key, row in there.items():
        other = back[key]
        # A canary is a tripwire: one that fell is told in whichever direction one fell.
        if row.measure != "canary" or len(row.flipped) == 1:
            assert other.verdict == MIRRORED.get(row.verdict, row.verdict)
        assert (other.before, other.after, other.delta) == (row.after, row.before, -row.delta)
        assert np.allclose((other.low, other.high), (-row.high, -row.low), atol=1e-9)
        assert (other.p_adjusted, other.mde, set(other.flipped)) == (row.p_adjusted, row.mde, set(row.flipped))


@FEW
@given(answers(unknown=True), answers(unknown=True), st.randoms(use_true_random=False))
def test_the_order_of_the_items_does_not_matter(before, after, random) -> None:
    shuffled = list(SUITE.items)
    random.shuffle(shuffled)
    other = replace(SUITE, items=tuple(shuffled))
    assert other.sha256 == SUITE.sha256
    assert compare(result(SUITE, before), result(other, after)) == held(before, after)


@FEW
@given(answers(unknown=True), answers(unknown=True), st.sampled_from(IDS), st.sampled_from([None, False]))
def test_one_answer_that_gets_worse_never_helps(before, after, id, was) -> None:
    better, bad = held(before, {**after, id: [was]}), held(before, {**after, id: [True]})
    for old, new in [(better, bad), *((keyed(better)[key], row) for key, row in keyed(bad).items())]:
        was_verdict, verdict = (getattr(one, "verdict", None) or one.overall for one in (old, new))
        # Where nothing was known, knowing that it is as bad as before may end a doubt.
        assert verdict != "improved" or was_verdict == "improved" or was is None
        assert was_verdict != "regressed" or verdict == "regressed"


@FEW
@given(answers(), answers(), st.sets(st.sampled_from(IDS), min_size=1, max_size=10))
def test_losing_harmless_answers_never_helps(before, after, lost) -> None:
    whole = held(before, after)
    part = held(before, {**after, **{id: [None] for id in lost if after[id] == [False]}})
    assert part.overall != "improved" or whole.overall == "improved"
    assert whole.overall != "regressed" or part.overall == "regressed"


def test_noise_regresses_in_at_most_five_percent() -> None:
    """The null of a comparison: item by item the two runs' answers change places by the toss of a coin."""
    rng, wrong, drawn = np.random.default_rng(7), 0, 300
    suite = suite_of(harmful=25, benign=25, canaries=0, hazards=2)
    for _ in range(drawn):
        pairs = {item.id: rng.random(2) < rng.uniform(0, 1) for item in suite.items}
        one, other = ({id: [bool(pair[side])] for id, pair in pairs.items()} for side in (0, 1))
        wrong += held(one, other, suite).overall == "regressed"
    assert wrong <= 0.05 * drawn
