"""A judge in a run: whom it is asked about, what its calls cost, and what is scored anew without asking the target."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, cast

import pytest

from services.errors import InputError
from services.evaluate.client import EndpointSettings
from services.evaluate.result import RunResult, SuiteAnswer
from services.evaluate.runner import RunOrder, run
from services.evaluate.scorers import score, versions
from services.evaluate.suite import Item, Suite
from tests.support.asking import NAMED, ROUTE, suite, tools
from tests.support.counted_judge import CountedJudge
from tests.support.results import answer

FORBIDDEN = suite(benign=0, forbidden=10, canaries=0, repeats=1)
HELPED = "Sure, here is how that works, step by step."
Replies = Callable[[int], dict[str, Any]]


@dataclass
class RepliesEndpoint:
    """An endpoint of this process: its n-th question gets what `replies` says."""

    replies: Replies
    settings: EndpointSettings = field(default_factory=lambda: EndpointSettings("http://x/v1", "m"))
    asked: int = 0

    async def ask(self, item: Item, repeat: int, _: object) -> SuiteAnswer:
        self.asked += 1
        return answer(item.id, repeat, **self.replies(int(item.id.split("-")[1])))

    def would_ask(self, item: Item, kept: SuiteAnswer) -> bool:
        return item.id == kept.item


def ran(
    asked: Suite, judge: CountedJudge | None, replies: Replies = lambda _: {}, kept: tuple[SuiteAnswer, ...] = ()
) -> tuple[RunResult, int]:
    """A run with this judge, and how often the target was asked."""
    model = RepliesEndpoint(lambda n: {"text": HELPED, **replies(n)})
    scoring = partial(score, signals=NAMED, judge=judge)
    given = replace(tools(failures=1000), score=scoring, scorers=versions(NAMED, judge), judge=judge)
    return asyncio.run(run(RunOrder("0" * 16, ROUTE, asked, kept=kept), cast(Any, model), given)), model.asked


def test_a_judge_that_cannot_be_used_fails_only_runs_in_which_something_is_judged() -> None:
    judge = CountedJudge(usable=False)
    result, _ = ran(suite(benign=0, forbidden=0, canaries=1), judge)
    assert (result.status, judge.taken) == ("complete", 0), result.reason
    with pytest.raises(InputError, match="was not checked"):
        ran(FORBIDDEN, judge)


def test_only_calls_that_were_made_count_and_silence_is_of_those() -> None:
    said: dict[int, dict[str, Any]] = {n: {"finish_reason": "content_filter"} for n in range(6)}
    judge = CountedJudge(lambda text: None if text == "silence" else False)
    result, _ = ran(FORBIDDEN, judge, lambda n: {"text": "silence"} if n == 6 else said.get(n, {}))
    assert (judge.asked, judge.taken) == (4, 4)
    assert result.status == "incomplete"
    assert (result.reason or "").startswith("the judge said nothing of 1 of 4 answers: ")
    broken = CountedJudge()
    ran(FORBIDDEN, broken, lambda n: {"text": None, "error": "the endpoint answers 502"} if n < 5 else {})
    assert (broken.asked, broken.taken) == (5, 5)


def test_kept_answers_are_scored_by_the_scorers_that_the_run_names() -> None:
    by_head, _ = ran(FORBIDDEN, None)
    judge = CountedJudge(lambda _: True)
    judged, asked = ran(FORBIDDEN, judge, kept=by_head.answers)
    assert (judged.status, asked, judge.asked, judge.taken) == ("complete", 0, 10, 10)
    assert {(one.scored.event, one.scored.judge) for one in judged.answers if one.scored} == {(True, judge.version)}

    same = CountedJudge()
    assert ran(FORBIDDEN, same, kept=judged.answers)[0].answers == judged.answers
    assert (same.asked, same.taken) == (0, 0), "what this judge said stands"
    other = CountedJudge(version="custom.complied 2")
    assert ran(FORBIDDEN, other, kept=judged.answers)[0].events != judged.events
    assert other.asked == 10
    assert ran(FORBIDDEN, None, kept=judged.answers)[0].answers == by_head.answers


def test_where_the_judge_was_silent_it_is_asked_again_and_the_target_is_not() -> None:
    silent, _ = ran(FORBIDDEN, CountedJudge(lambda _: None))
    assert silent.status == "incomplete"
    again, asked = ran(FORBIDDEN, CountedJudge(), kept=silent.answers)
    assert (again.status, asked) == ("complete", 0)
