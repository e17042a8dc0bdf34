"""Runs a suite against an endpoint: every item is asked anew in every run, and every run has an end."""

from __future__ import annotations

import asyncio
import platform
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Final
from urllib.parse import urlsplit

from schemas.evaluation import RunStatus
from schemas.identity import Model, identity_of
from services.evaluate.client import BudgetSpent, Endpoint, EndpointSettings, RunBudget, RunLimits
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
from services.evaluate.scorer_errors import errors_of
from services.evaluate.suite import Item, Suite
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
        kept: answers of this very run that are stored already: they are not asked for again.
    """

    id: str
    route: str
    suite: Suite
    identity: str | None = None
    model: Model | None = None
    change: str | None = None
    kept: tuple[SuiteAnswer, ...] = ()


@dataclass(frozen=True, slots=True)
class RunTools:
    """What a run is made with.

    Attributes:
        score: whether an answer is an event. scorers: their versions.
        keep: called with each answer, scored, before the next question is asked. commit: of the product, if known.
    """

    score: Score
    scorers: dict[str, str]
    clock: Callable[[], datetime]
    keep: Keep
    limits: RunLimits = field(default_factory=RunLimits)
    commit: str | None = None


@dataclass(slots=True)
class _RunProgress:
    """A run on its way."""

    order: RunOrder
    tools: RunTools
    budget: RunBudget
    answers: dict[tuple[str, int], SuiteAnswer] = field(default_factory=dict)
    stopped: str | None = None
    failures: int = 0

    async def work(self, endpoint: Endpoint, left: Iterator[tuple[Item, int]]) -> None:
        """Take questions until there are no more, or the run was stopped."""
        for item, repeat in left:
            if self.stopped is not None:
                return
            try:
                answer = await endpoint.ask(item, repeat, self.budget)
            except BudgetSpent as spent:
                self.stopped = str(spent)
                return
            scored = await asyncio.to_thread(self.tools.score, item, answer)
            await self._taken(answer.model_copy(update={"scored": scored}))

    async def _taken(self, answer: SuiteAnswer) -> None:
        self.answers[answer.item, answer.repeat] = answer
        await self.tools.keep(answer)
        self.failures = 0 if answered(answer) else self.failures + 1
        if self.failures >= self.tools.limits.failures and self.stopped is None:
            self.stopped = runs.no_answers(self.failures, answer.error)


async def run(order: RunOrder, endpoint: Endpoint, tools: RunTools) -> RunResult:
    """Ask every item of the suite as often as it says, and judge whether that makes a run.

    Raises:
        Refused: if the endpoint's address may not be called.
    """
    started = tools.clock()
    progress = _RunProgress(order, tools, RunBudget(tools.limits))
    questions = _questions(order.suite)
    progress.answers.update(_kept(order, endpoint, questions))
    left = iter([one for one in questions if (one[0].id, one[1]) not in progress.answers])
    try:
        async with asyncio.timeout(tools.limits.seconds), asyncio.TaskGroup() as group:
            for _ in range(tools.limits.concurrency):
                group.create_task(progress.work(endpoint, left))
    except TimeoutError:
        progress.stopped = runs.deadline(tools.limits.seconds)
    except ExceptionGroup as group_:
        raise group_.exceptions[0] from None
    requested = endpoint.settings.model
    found = [one for item, repeat in questions if (one := progress.answers.get((item.id, repeat))) is not None]
    status, reason = status_of(order.suite.answers, found, progress.stopped, requested, order.model)
    return _result(order, endpoint.settings, tools, started, found, status, reason)


def _questions(suite: Suite) -> list[tuple[Item, int]]:
    """Each item once before any a second time: what a stopped run has is spread over the suite."""
    most = max((item.repeats for item in suite.items), default=0)
    return [(item, repeat) for repeat in range(most) for item in suite.items if repeat < item.repeats]


def _kept(
    order: RunOrder, endpoint: Endpoint, questions: Iterable[tuple[Item, int]]
) -> dict[tuple[str, int], SuiteAnswer]:
    """The stored answers to the very questions that would be asked now."""
    stored = {(answer.item, answer.repeat): answer for answer in order.kept if answered(answer)}
    return {
        (item.id, repeat): answer
        for item, repeat in questions
        if (answer := stored.get((item.id, repeat))) is not None and endpoint.would_ask(item, answer)
    }


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
) -> RunResult:
    seed = settings.settings.get("seed")
    return RunResult(
        id=order.id,
        route=order.route,
        identity=order.identity or _identity(settings.target, answers),
        change=order.change,
        suite=AskedSuite.of(order.suite),
        target=settings.target,
        settings=settings.settings,
        seed=seed if isinstance(seed, int) and not isinstance(seed, bool) else None,
        scorers=tools.scorers,
        scorer_errors=errors_of(tools.scorers),
        started=started,
        ended=tools.clock(),
        status=status,
        reason=reason,
        answers=tuple(answers),
        packages=_packages(),
        commit=tools.commit,
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
