"""A judge of the route's own questions: what counts of two orders, what is left, and how a comparison tells it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from schemas.evaluation import OWN_TRAFFIC
from services.evaluate.comparison import compare, comparison_record, preferences_of
from services.evaluate.judged_pairs import JudgedPairs
from services.evaluate.own_traffic import result_as
from services.evaluate.result import RunResult
from services.judge.agreement import Agreement
from services.judge.checks import JudgeChecks
from services.judge.daily_calls import DailyCalls
from services.judge.pair_judging import PairJudge
from services.judge.panel import JudgeWorld
from services.settings import SettingsError
from services.signals.custom.judge_rule import JudgeRule
from services.wording import evaluations
from services.wording.signals import why
from tests.support.own_signals import JudgeServer, judging
from tests.support.results import answer, result, suite_of

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
SUITE = replace(suite_of(harmful=0, benign=12, canaries=0), name=OWN_TRAFFIC)
Says = Callable[[str, dict[str, Any]], str]


@pytest.fixture
def judge() -> Iterator[JudgeServer]:
    with judging() as server:
        yield server


def run(texts: Callable[[int], str], name: str) -> RunResult:
    told = tuple(answer(item.id, text=texts(n)) for n, item in enumerate(SUITE.items))
    return result(SUITE, answers=told, status="complete", id=name * 16)


def judged(judge: JudgeServer, folder: Path, says: Says, later: Callable[[int], str], **more: Any) -> JudgedPairs:
    """What the judge prefers of "an old answer" and the later answers, to 12 questions."""
    judge.say = says
    checked, allowed = more.pop("checked", True), more.pop("allowed", ("127.0.0.1",))
    secret = more.pop("secret", lambda _: None)
    monitor = judge.monitor(**more)
    (definition,) = monitor.signals
    checks = JudgeChecks.of(folder)
    if checked:
        checks.keep("custom.tea", definition.version, Agreement(both=20, neither=20), NOW)
    marks = iter(range(1000))
    world = JudgeWorld(DailyCalls.of(folder), checks, allowed, secret, lambda: NOW, lambda: f"mark-{next(marks)}")
    assert isinstance(definition.rule, JudgeRule)
    asking = PairJudge(definition, definition.rule, world, str)
    return asyncio.run(asking.judged(run(lambda _: "an old answer", "a"), run(later, "b")))


def prefers(word: str) -> Says:
    """The judge likes the answer that holds a word, wherever it stands."""
    return lambda mark, data: json.dumps({"mark": mark, "better": "first" if word in data["first"] else "second"})


def first(mark: str, data: dict[str, Any]) -> str:
    """Whatever stands first."""
    return json.dumps({"mark": mark, "better": "first"})


def new(n: int) -> str:
    """The same answer to three of the questions, another one to the rest."""
    return "an old answer" if n < 3 else "a new answer"


def test_only_what_both_orders_say_counts_and_the_same_text_asks_nobody(judge: JudgeServer, tmp_path: Path) -> None:
    worse = preferences_of(judged(judge, tmp_path, prefers("old"), new))
    assert (worse.worse, worse.better, worse.ties, worse.left) == (9, 0, 3, 0)
    assert worse.p == pytest.approx(2 * 0.5**9)
    assert worse.worse_items == tuple(sorted(item.id for item in SUITE.items[3:]))
    assert len(judge.seen) == 18
    better = preferences_of(judged(judge, tmp_path, prefers("new"), new))
    assert (better.worse, better.better, better.worse_items) == (0, 9, ())
    biased = preferences_of(judged(judge, tmp_path, first, new))
    assert (biased.worse, biased.better, biased.by_order, biased.p) == (0, 0, 9, None)
    silent = preferences_of(judged(judge, tmp_path, lambda mark, data: "the first", new))
    assert (silent.worse, silent.better, silent.inconclusive) == (0, 0, 9)
    assert worse.version == better.version != preferences_of(judged(judge, tmp_path, first, new, model="other")).version


def test_calls_that_the_day_does_not_hold_leave_pairs_and_no_check_leaves_all(
    judge: JudgeServer, tmp_path: Path
) -> None:
    few = judged(judge, tmp_path, prefers("old"), new, daily_calls=9)
    assert (preferences_of(few).worse, few.left, len(judge.seen)) == (4, 5, 8)
    none = judged(judge, tmp_path, prefers("old"), new, daily_calls=9)
    assert (preferences_of(none).worse, none.left, len(judge.seen)) == (0, 9, 8)
    unchecked = judged(judge, tmp_path, prefers("old"), new, checked=False, question="Another one?")
    assert unchecked.pairs == ()
    assert "not checked" in (unchecked.reason or "")
    refused = judged(judge, tmp_path / "other", prefers("old"), new, allowed=())
    assert refused.reason is not None
    calls = DailyCalls.of(tmp_path / "other").take("custom.tea", 18, 18, NOW.date())
    assert calls == 18, "none of the day's were made"
    assert len(judge.seen) == 8


def test_a_file_of_its_key_that_cannot_be_used_leaves_all_pairs_with_the_reason(
    judge: JudgeServer, tmp_path: Path
) -> None:
    def unreadable(_variable: str) -> str | None:
        raise SettingsError("JUDGE_KEY_FILE: /key holds nothing; write the secret alone into it")

    found = judged(judge, tmp_path, first, new, api_key_env="JUDGE_KEY", secret=unreadable)
    assert (found.reason, found.pairs, judge.seen) == (why("no_key"), (), [])


def test_a_comparison_tells_the_pairs_and_decides_nothing_by_them(judge: JudgeServer, tmp_path: Path) -> None:
    pairs = judged(judge, tmp_path, prefers("old"), new)
    before, after = run(lambda _: "an old answer", "a"), run(new, "b").model_copy(update={"pairs": pairs})
    plain, compared = compare(before, run(new, "b")), compare(before, after)
    assert (plain.overall, plain.reason) == (compared.overall, compared.reason)
    record = comparison_record(before, after, compared, NOW)
    assert record.preferences == preferences_of(pairs)
    told = evaluations.comparison_text(record)
    assert "Of 12 pairs of answers that the judge custom.tea was clear about, the later one is worse in 9" in told
    other = before.model_copy(update={"id": "c" * 16})
    assert comparison_record(other, after, compare(other, after), NOW).preferences is None
    assert RunResult.decode(after.encode()) == after


def test_what_a_person_asked_is_gone_of_the_pairs_too(judge: JudgeServer, tmp_path: Path) -> None:
    after = run(new, "b").model_copy(update={"pairs": judged(judge, tmp_path, prefers("old"), new)})
    gone = SUITE.items[5].id
    found = result_as(after, replace(SUITE, items=tuple(one for one in SUITE.items if one.id != gone)))
    assert found.pairs is not None
    assert {one.item for one in found.pairs.pairs} == {one.id for one in SUITE.items} - {gone}
