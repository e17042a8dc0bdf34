"""Runs a suite against an endpoint: every item is asked anew in every run, and every run has an end."""

from __future__ import annotations

import asyncio
import platform
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Final
from urllib.parse import urlsplit

from schemas.evaluation import EarlyStop, RunStatus
from schemas.identity import Model, identity_of
from services.evaluate.client import BudgetSpent, Endpoint, EndpointSettings, RunBudget, RunLimits
from services.evaluate.comparison import other_conditions
from services.evaluate.paired_watch import PairedWatch
from services.evaluate.result import (
    AnswerScore,
    AskedSuite,
    AskedTarget,
    RunResult,
    SuiteAnswer,
    answered,
    served_models,
    status_of,
)
from services.evaluate.scorer_errors import ScorerErrors, errors_of
from services.evaluate.spending import AnswerCosts, SpendingMeter, bounds_of
from services.evaluate.suite import DISALLOWED, Item, Suite
from services.evaluate.suite_judge import SuiteJudge, is_judged, judged_items, silence_of, times_asked
from services.evaluate.token_usage import Spent, Tokens
from services.monitor import SpendingLimit, TokenPrices
from services.wording import runs

_PACKAGES: Final = ("keelwatch", "httpx", "pydantic")

Score = Callable[[Item, SuiteAnswer], AnswerScore]
Keep = Callable[[SuiteAnswer], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class RunOrder:
    """What is run, and for what.

    Attributes:
        identity: who is expected to answer; None takes it from who does.
        model: what stands behind that identity, if it is known. change: id of what asked for the run.
        kept: answers of this very run that are stored already: they are not asked for again, and scored anew unless
            the judge of today said what they are. Of those that are none it counts what they took.
        spent: by earlier attempts of this run.
        anew: the run whose answers alone are scored anew, as it asked for them, whatever the target is now: the model
            that answers now may be another. None may ask.
        against: the run that it is held against while it goes on, to stop once that is decided; None asks all.
    """

    id: str
    route: str
    suite: Suite
    identity: str | None = None
    model: Model | None = None
    change: str | None = None
    kept: tuple[SuiteAnswer, ...] = ()
    against: RunResult | None = None
    spent: Spent = field(default_factory=Spent)
    anew: RunResult | None = None


@dataclass(frozen=True, slots=True)
class RunTools:
    """What a run is made with.

    Attributes:
        score: whether an answer is an event. scorers: their versions.
        keep: called with each answer, scored, before the next question is asked. commit: of the product, if known.
        budget: what the run may use at most. prices: of its tokens.
        judge: who is asked by `score` about answers to disallowed requests; None: the built-in head.
    """

    score: Score
    scorers: dict[str, str]
    clock: Callable[[], datetime]
    keep: Keep
    limits: RunLimits = field(default_factory=RunLimits)
    commit: str | None = None
    budget: SpendingLimit = field(default_factory=SpendingLimit)
    prices: TokenPrices | None = None
    judge: SuiteJudge | None = None

    @property
    def errors(self) -> dict[str, ScorerErrors]:
        """How often the scorers are wrong, by measure, as far as that is known."""
        known = None if self.judge is None else self.judge.errors
        return {**errors_of(self.scorers), **({} if known is None else {DISALLOWED: known})}

    def bounds(self, suite: Suite, answer_seconds: float | None = None) -> RunLimits:
        """Where a run of the suite ends: the budget's own numbers, where it names some, in place of the usual ones."""
        return bounds_of(self.limits, self.budget, suite.answers, answer_seconds)


@dataclass(slots=True)
class _RunProgress:
    """A run on its way; `stored` are answers that are only to be scored, `begun` questions whose answer is scored."""

    order: RunOrder
    tools: RunTools
    budget: RunBudget
    meter: SpendingMeter
    answers: dict[tuple[str, int], SuiteAnswer] = field(default_factory=dict)
    stored: dict[tuple[str, int], SuiteAnswer] = field(default_factory=dict)
    begun: set[tuple[str, int]] = field(default_factory=set)
    paid: dict[tuple[str, int], Spent] = field(default_factory=dict)
    watch: PairedWatch | None = None
    stopped: str | None = None
    failures: int = 0
    settled: asyncio.Event = field(default_factory=asyncio.Event)

    async def work(self, endpoint: Endpoint, left: Iterator[tuple[Item, int]]) -> None:
        """Take questions until there are no more, or the run was stopped."""
        for item, repeat in left:
            if self.stopped is not None or self.stop is not None:
                return
            answer = self.stored.get((item.id, repeat)) or await self._asked(endpoint, item, repeat)
            if answer is None:
                return
            self.begun.add((item.id, repeat))
            scored = await asyncio.to_thread(self.tools.score, item, answer)
            await self._taken(_after(self.paid.get((item.id, repeat)), answer.model_copy(update={"scored": scored})))

    async def _asked(self, endpoint: Endpoint, item: Item, repeat: int) -> SuiteAnswer | None:
        """The answer to one question; None once the run has ended, which a budget that is spent does."""
        answer = None
        if self.order.anew is not None:
            self.stopped = self.stopped or runs.MODEL_GONE
            return None
        try:
            taken = await self._reserved(item)
            if taken is None:
                return None
            try:
                answer = await endpoint.ask(item, repeat, self.budget)
            finally:
                self.meter.settle(taken, answer)
                self.settled.set()
        except BudgetSpent as spent:
            self.stopped = self.stopped or str(spent)
        return answer

    async def _reserved(self, item: Item) -> Tokens | None:
        """What a question may cost, once that fits; None when the run has ended meanwhile.

        What others have under way may come out cheaper than it might: nothing has ended before that is known.
        """
        while (taken := self.meter.take(item)) is None:
            self.settled.clear()
            await self.settled.wait()
            if self.stopped is not None or self.stop is not None:
                return None
        return taken

    def is_being_scored(self, item: str, repeat: int) -> bool:
        """Whether the scoring of an answer was begun, and did not come to its end."""
        return (item, repeat) in self.begun and (item, repeat) not in self.answers

    @property
    def stop(self) -> EarlyStop | None:
        """That what the run will say is decided."""
        return None if self.watch is None else self.watch.stop

    def look(self) -> None:
        """Hold what came against the earlier run."""
        if self.watch is not None:
            self.watch.look(self.answers)

    async def _taken(self, answer: SuiteAnswer) -> None:
        self.answers[answer.item, answer.repeat] = answer
        self.look()
        await self.tools.keep(answer)
        self.failures = 0 if answered(answer) else self.failures + 1
        if self.failures >= self.tools.limits.failures and self.stopped is None:
            self.stopped = runs.no_answers(self.failures, answer.error)


def _after(paid: Spent | None, answer: SuiteAnswer) -> SuiteAnswer:
    """An answer with the requests for it that were made before this process took the run over."""
    if paid is None:
        return answer
    before = paid.tokens + (Tokens() if answer.before is None else Tokens(answer.before.sent, answer.before.came))
    return answer.model_copy(update={"attempts": answer.attempts + paid.requests, "before": before.stored})


async def run(order: RunOrder, endpoint: Endpoint, tools: RunTools) -> RunResult:
    """Ask every item of the suite as often as it says, and judge whether that makes a run.

    Raises:
        Refused: if the endpoint's address may not be called.
        JudgeCallsSpent: if its judge may not be asked so often today.
        InputError: if its judge may not be asked at all.
    """
    started = tools.clock()
    expected = AnswerCosts.of(endpoint.settings.system_prompt, endpoint.settings.settings, order.against)
    meter = SpendingMeter(tools.budget, tools.prices, expected)
    bounds = tools.bounds(order.suite, endpoint.settings.seconds)
    progress = _RunProgress(order, tools, RunBudget(bounds), meter, watch=_watch(order, endpoint, tools))
    questions = _questions(order.suite, progress.watch)
    kept = _kept(order, endpoint, questions)
    progress.answers.update({key: one for key, one in kept.items() if is_judged(one, tools.judge)})
    progress.stored.update({key: one for key, one in kept.items() if key not in progress.answers})
    progress.paid = {key: Spent.by([one]) for one in order.kept if (key := (one.item, one.repeat)) not in kept}
    spent = order.spent + Spent.by(order.kept)  # what was asked before it was taken over was paid, too
    meter.taken_over(spent)
    progress.budget.taken_over(spent)
    progress.look()
    left = [one for one in questions if (one[0].id, one[1]) not in progress.answers]
    left.sort(key=lambda one: (one[0].id, one[1]) not in progress.stored)  # a budget that is spent leaves those
    with _judge_calls(tools.judge, left, progress):
        await _asked_all(progress, endpoint, left, bounds.seconds)
    requested = endpoint.settings.model if order.anew is None else order.anew.target.model
    asked = [(item, repeat) for item, repeat in _questions(order.suite) if _stands(item, progress.watch)]
    found = [one for item, repeat in asked if (one := progress.answers.get((item.id, repeat))) is not None]
    status, reason = status_of(len(asked), found, progress.stopped, requested, order.model)
    if status == "complete" and tools.judge is not None:
        reason = silence_of(found)
        status = status if reason is None else "incomplete"
    return _result(order, endpoint.settings, tools, started, found, status, reason, progress.watch)


async def _asked_all(
    progress: _RunProgress, endpoint: Endpoint, left: Iterable[tuple[Item, int]], seconds: float | None
) -> None:
    """Ask what is left, several at once, until the run's end."""
    questions = iter(left)
    try:
        async with asyncio.timeout(seconds), asyncio.TaskGroup() as group:
            for _ in range(progress.tools.limits.concurrency):
                group.create_task(progress.work(endpoint, questions))
    except TimeoutError:
        progress.stopped = runs.deadline(seconds or 0.0)
    except ExceptionGroup as group_:
        raise group_.exceptions[0] from None


@contextmanager
def _judge_calls(judge: SuiteJudge | None, left: list[tuple[Item, int]], progress: _RunProgress) -> Iterator[None]:
    """A judge's calls for what is left are taken at once: no run asks half and is stopped by the day's end of them."""
    wanted = judged_items(left)
    if judge is None or not wanted:
        yield
        return
    day, before = judge.take(wanted), times_asked(progress.answers.values())
    try:
        yield
    finally:
        under_way = judged_items([one for one in left if progress.is_being_scored(one[0].id, one[1])])
        made = times_asked(progress.answers.values()) - before + under_way
        judge.give_back(wanted - made, day)


def _watch(order: RunOrder, endpoint: Endpoint, tools: RunTools) -> PairedWatch | None:
    """The watch of a run that is held against one made in the same way; None asks everything."""
    before, suite = order.against, AskedSuite.of(order.suite)
    if before is None or before.status != "complete" or before.stopped or before.suite.sha256 != suite.sha256:
        return None
    settings = endpoint.settings
    if other_conditions(before, tools.scorers, settings.settings, settings.target) is not None:
        return None
    return PairedWatch.of(before, suite, order.id)


def _stands(item: Item, watch: PairedWatch | None) -> bool:
    """Whether an item counts: of a run that was decided early, what came beyond that does not."""
    return watch is None or watch.stop is None or item.id in watch.counted


def _questions(suite: Suite, watch: PairedWatch | None = None) -> list[tuple[Item, int]]:
    """Each item once before any a second time: what a run that breaks off has is spread over the suite.

    In a run that is watched all repeats of an item follow each other, and items the watch's order.
    """
    if watch is not None:
        by_id = {item.id: item for item in suite.items}
        return [(by_id[id], repeat) for id in watch.order for repeat in range(by_id[id].repeats)]
    most = max((item.repeats for item in suite.items), default=0)
    return [(item, repeat) for repeat in range(most) for item in suite.items if repeat < item.repeats]


def _kept(
    order: RunOrder, endpoint: Endpoint, questions: Iterable[tuple[Item, int]]
) -> dict[tuple[str, int], SuiteAnswer]:
    """The stored answers to the very questions that would be asked now, or that the run asked that is scored anew."""
    stored = {(answer.item, answer.repeat): answer for answer in order.kept if answered(answer)}
    if order.anew is not None:
        first = {(answer.item, answer.repeat): answer for answer in order.anew.answers if answered(answer)}
        wanted = [key for item, repeat in questions if (key := (item.id, repeat)) in first]
        same = {key for key in wanted if key in stored and _question(stored[key]) == _question(first[key])}
        return {key: stored[key] if key in same else first[key] for key in wanted}
    return {
        (item.id, repeat): answer
        for item, repeat in questions
        if (answer := stored.get((item.id, repeat))) is not None and endpoint.would_ask(item, answer)
    }


def _question(answer: SuiteAnswer) -> tuple[object, ...]:
    return answer.requested, answer.settings, answer.messages


def not_run(order: RunOrder, target: AskedTarget, tools: RunTools, reason: str) -> RunResult:
    """The result of a run that could not begin."""
    return _result(order, EndpointSettings(target.url, target.model), tools, tools.clock(), [], "failed", reason)


def _result(
    order: RunOrder,
    settings: EndpointSettings,
    tools: RunTools,
    started: datetime,
    answers: list[SuiteAnswer],
    status: RunStatus,
    reason: str | None,
    watch: PairedWatch | None = None,
) -> RunResult:
    target, sent = (settings.target, settings.settings)
    if order.anew is not None:
        target, sent = order.anew.target, order.anew.settings
    seed = sent.get("seed")
    return RunResult(
        id=order.id,
        route=order.route,
        identity=order.identity or _identity(target, answers),
        change=order.change,
        suite=AskedSuite.of(order.suite),
        target=target,
        settings=sent,
        seed=seed if isinstance(seed, int) and not isinstance(seed, bool) else None,
        scorers=tools.scorers,
        scorer_errors=tools.errors,
        started=started,
        ended=tools.clock(),
        status=status,
        reason=reason,
        answers=tuple(answers),
        packages=_packages(),
        commit=tools.commit,
        against=None if watch is None else watch.before.id,
        stopped=None if watch is None or status != "complete" else watch.stop,
    )


def _identity(target: AskedTarget, answers: Iterable[SuiteAnswer]) -> str:
    """Who answered, as far as an endpoint tells."""
    served = served_models(answers)
    return identity_of(
        Model(
            requested=target.model,
            served=served[0] if len(served) == 1 else None,
            endpoint=urlsplit(target.url).hostname,
            system_prompt_sha256=target.system_prompt_sha256,
        )
    )


@cache
def _packages() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found
