"""Runs that are held against an earlier one while they go on: what is decided, on what, how seldom by chance."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from schemas.evaluation import EarlyStop
from services.evaluate import anytime_evidence
from services.evaluate.comparison import compare
from services.evaluate.paired_statistics import EARLY, STOPPED
from services.evaluate.paired_watch import PairedWatch
from services.evaluate.profile import profile_of
from services.evaluate.result import AnswerScore, AskedSuite, RunResult, SuiteAnswer, to_record
from services.evaluate.suite import Suite
from services.wording.evaluations import run_text
from tests.support.results import Events, answer, result, suite_of, worse

LARGE = suite_of(harmful=200, benign=200, canaries=5, margin=10.0)


def given(suite: Suite, events: Events) -> dict[tuple[str, int], SuiteAnswer]:
    return {
        (item.id, repeat): answer(item.id, repeat, scored=AnswerScore(event=event, reason="made"))
        for item in suite.items
        for repeat, event in enumerate(events.get(item.id, [False] * item.repeats))
    }


def watched(before: RunResult, suite: Suite, events: Events, run: str = "a" * 16) -> PairedWatch:
    watch = PairedWatch.of(before, AskedSuite.of(suite), run)
    watch.look(given(suite, events))
    return watch


def stopped(suite: Suite, watch: PairedWatch, events: Events, before: RunResult) -> RunResult:
    answers = tuple(one for key, one in given(suite, events).items() if key[0] in watch.counted)
    return result(suite, events, answers=answers, against=before.id, stopped=watch.stop)


def test_the_same_answers_end_a_run_that_then_says_unchanged() -> None:
    before = result(LARGE)
    watch = watched(before, LARGE, {})
    assert watch.stop == EarlyStop(rule="unchanged", asked=len(watch.counted), of=405)
    assert watch.stop.asked < 200
    compared = compare(before, stopped(LARGE, watch, {}, before))
    assert (compared.overall, compared.confidence) == ("unchanged", 99.0)
    assert f"stopped after {watch.stop.asked} of 405 items" in compared.reason
    rates = [row for row in compared.hazards if row.hazard == "all" and row.measure != "canary"]
    assert all(row.high is not None and -10 <= row.low <= row.high <= 10 for row in rates)


def test_a_model_that_answers_what_it_declined_is_decided_after_a_few_items() -> None:
    before, now = result(LARGE), worse("harmful", 120)
    watch = watched(before, LARGE, now)
    assert watch.outcome == "regressed"
    assert len(watch.counted) < 80
    assert compare(before, stopped(LARGE, watch, now, before)).overall == "regressed"


def test_a_profile_and_a_record_say_on_how_many_items_they_stand() -> None:
    before, now = result(LARGE), worse("harmful", 120)
    watch = watched(before, LARGE, now)
    run = stopped(LARGE, watch, now, before)
    rates = {one.measure: one for one in profile_of(run) if one.hazard == "all"}
    asked = sum(id.startswith("harmful") for id in watch.counted)
    assert (rates["harmful_compliance"].items, rates["harmful_compliance"].n) == (asked, asked)
    whole = {one.measure: one for one in profile_of(result(LARGE, now)) if one.hazard == "all"}
    assert whole["harmful_compliance"].items == 200
    record = to_record(run)
    assert record.stopped == watch.stop
    assert "stopped after" in run_text(record)


def test_a_stopped_run_is_compared_with_any_other_on_the_items_that_it_asked() -> None:
    before, now = result(LARGE), worse("harmful", 120)
    watch = watched(before, LARGE, now)
    run = stopped(LARGE, watch, now, before)
    for one, other in ((result(LARGE, now), run), (run, result(LARGE, now))):
        compared = compare(one, other)
        pooled = [row for row in compared.hazards if row.hazard == "all"]
        assert sum(row.n for row in pooled) == len(watch.counted)
        assert (compared.confidence, compared.overall) == (99.0, "inconclusive")


def test_a_leak_decides_as_soon_as_every_canary_was_asked() -> None:
    before, leak = result(LARGE), {"canary-3": [True]}
    watch = watched(before, LARGE, leak)
    assert watch.stop == EarlyStop(rule="regressed", asked=5, of=405)
    assert watch.counted == {f"canary-{i}" for i in range(5)}
    assert compare(before, stopped(LARGE, watch, leak, before)).overall == "regressed"
    assert watched(result(LARGE, leak), LARGE, leak).outcome == "unchanged", "it leaked before, too"


def test_answers_count_in_the_order_of_the_questions_alone() -> None:
    before, now = result(LARGE), worse("harmful", 120)
    watch, answers = PairedWatch.of(before, AskedSuite.of(LARGE), "b" * 16), given(LARGE, now)
    for id in reversed(watch.order[1:]):
        watch.look({key: one for key, one in answers.items() if key[0] == id})
        assert watch.done == 0
    again = PairedWatch.of(before, AskedSuite.of(LARGE), "b" * 16)
    for n in range(1, len(watch.order)):
        again.look({key: one for key, one in answers.items() if key[0] in watch.order[:n]})
    watch.look(answers)
    assert (watch.outcome, watch.counted) == (again.outcome, again.counted), "however often one looks"
    assert PairedWatch.of(before, AskedSuite.of(LARGE), "c" * 16).order != watch.order


def test_all_repeats_of_an_item_come_before_the_next_one_counts() -> None:
    suite = suite_of(harmful=60, benign=60, canaries=1, repeats=3, margin=20.0)
    watch, answers = PairedWatch.of(result(suite), AskedSuite.of(suite), "d" * 16), given(suite, {})
    watch.look({key: one for key, one in answers.items() if key[1] < 2})
    assert watch.done == 0
    watch.look(answers)
    assert watch.outcome == "unchanged"


def test_a_missing_answer_and_one_that_nobody_could_score_end_nothing_early() -> None:
    before = result(LARGE)
    first = PairedWatch.of(before, AskedSuite.of(LARGE), "a" * 16).order[0]
    answers = {**given(LARGE, {}), (first, 0): answer(first, 0, error="no answer within 60 s")}
    watch = PairedWatch.of(before, AskedSuite.of(LARGE), "a" * 16)
    watch.look(answers)
    assert watch.stop is None
    unknown = {f"{kind}-{i}": [None] for kind in ("harmful", "benign") for i in range(0, 200, 8)}
    assert watched(before, LARGE, unknown).outcome is None, "one in eight may have got worse"


def test_what_is_decided_late_is_no_early_stop() -> None:
    small = suite_of(harmful=8, benign=8, canaries=0, margin=20.0)
    watch = watched(result(small), small, {})
    assert (watch.done, watch.stop) == (16, None)


def test_a_stopped_run_that_says_more_than_it_asked_is_none() -> None:
    before = result(LARGE)
    with pytest.raises(ValueError, match="held against another"):
        result(LARGE, stopped=EarlyStop(rule="unchanged", asked=405, of=405))
    with pytest.raises(ValueError, match="counts other items"):
        result(LARGE, against=before.id, stopped=EarlyStop(rule="unchanged", asked=10, of=405))


def test_a_run_that_was_watched_to_its_end_has_spent_some_of_its_error() -> None:
    before = result(LARGE)
    whole, watched_one = result(LARGE), result(LARGE, against=before.id)
    assert (compare(before, whole).confidence, compare(before, watched_one).confidence) == (95.0, 96.0)
    ends = [compare(before, one).hazards[0].high for one in (whole, watched_one)]
    assert ends[0] < ends[1]


@pytest.mark.parametrize("share", [0.02, 0.2, 0.6])
def test_swaps_by_the_toss_of_a_coin_seldom_decide(share: float) -> None:
    """Of flips that go either way as likely fewer than the stated share are called a change, in 100 runs."""
    rng, calls = np.random.default_rng(7), 0
    suite = replace(LARGE, items=LARGE.items[:200])
    for n in range(100):
        flips = [item.id for item in suite.items if rng.random() < share]
        ups = {id: rng.random() < 0.5 for id in flips}
        before = result(suite, {id: [not up] for id, up in ups.items()})
        calls += watched(before, suite, {id: [up] for id, up in ups.items()}, f"{n:016x}").outcome in (
            "regressed",
            "improved",
        )
    assert calls <= 100 * 0.05


@pytest.mark.parametrize("change", [-0.1, 0.0, 0.2])
def test_evidence_against_what_is_true_seldom_grows(change: float) -> None:
    """Ville: the chance that it ever reaches 1 / a is at most a, here looked at after each of 300 pairs."""
    rng, reached = np.random.default_rng(3), 0
    for _ in range(400):
        pairs = rng.choice([1, 0, -1], 300, p=[(0.5 + change) / 2, 0.5, (0.5 - change) / 2])
        up, down = np.cumsum(pairs == 1), np.cumsum(pairs == -1)
        reached += any(
            anytime_evidence.evidence(int(w), int(b), n + 1, change) >= math.log(20)
            for n, (w, b) in enumerate(zip(up, down, strict=True))
        )
    assert reached <= 400 * 0.05


def test_intervals_hold_whenever_one_stops_and_narrow_with_the_pairs() -> None:
    assert anytime_evidence.interval(0, 0, 60, EARLY)[1] > 0.1 > anytime_evidence.interval(0, 0, 80, EARLY)[1]
    low, high = anytime_evidence.interval(12, 3, 80, EARLY)
    assert anytime_evidence.interval(3, 12, 80, EARLY) == pytest.approx((-high, -low))
    assert low < 9 / 80 < high
    assert STOPPED.detectable(9, 1, 1.0) is None
    assert anytime_evidence.rate_interval(0, 0) == (0.0, 1.0)
