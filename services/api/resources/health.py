"""`GET /v1/health`: how Keelwatch itself is, what is not known, and what needs somebody."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from importlib.metadata import PackageNotFoundError, version
from itertools import groupby
from typing import Any, Final, Literal

from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import BaseModel, Field

from services.api.auth.authorization import Guard, Principal, needs, who
from services.api.dead_letter_replays import ReplayStatus
from services.api.http.etags import tagged
from services.api.http.openapi import UNCHANGED
from services.api.ingest_sources import IngestSource, ingest_sources
from services.api.system import SurveyResult, SystemHealth
from services.ports import StepLag
from services.store.backlog import DecisionBacklog, MissedFireTimes, ParkedWork, ReceiverBacklog, RunBacklog
from services.store.dead_letters import DeadLetterCount
from services.store.engine import Database
from services.wording import health

FAR_BEHIND: Final = 1_000
"""Records with which a step counts as behind."""
LATE: Final = timedelta(minutes=5)
"""How long something may wait before somebody is told."""
StepState = Literal["ok", "behind", "not running", "not known"]


class TopicBacklog(BaseModel):
    """Records of one topic that a step has not acknowledged."""

    topic: str = Field(examples=["keelwatch.exchanges"])
    waiting: int | None = Field(description="null when it is not known.", examples=[0])


class StepHealth(BaseModel):
    """One step of the flow."""

    step: str = Field(examples=["score"])
    state: StepState
    workers: int = Field(description="Processes that read for it.", examples=[2])
    waiting: int | None = Field(description="Records not acknowledged; null when it is not known.", examples=[0])
    topics: list[TopicBacklog]


class DependencyHealth(BaseModel):
    """Broker or database."""

    ok: bool
    fault: str | None = Field(description="Why it is not known how it is.")
    seen: datetime | None = Field(description="When it was last asked.")
    milliseconds: float | None = Field(description="How long it took to answer.", examples=[3.1])


class ProcessHealth(BaseModel):
    """The process that answers."""

    ready: bool
    reasons: dict[str, str] = Field(description="What keeps it from being ready, by check.")
    watchdog: str | None = Field(description="Why its watchdog would end it; null when it is well.")


class HealthReport(BaseModel):
    """How Keelwatch is. `ok` only when everything is known, and nothing needs somebody.

    What is null is not known: the broker's or the database's `fault` says why.
    """

    ok: bool
    needs: list[str] = Field(description="What needs somebody, or is not known; empty when all is well.")
    version: str
    process: ProcessHealth
    broker: DependencyHealth
    database: DependencyHealth
    steps: list[StepHealth] | None
    dead_letters: list[DeadLetterCount] | None = Field(description="The most frequent.")
    receivers: list[ReceiverBacklog] | None = Field(description="Who is told of incidents.")
    decisions: DecisionBacklog | None = Field(description="Decisions that are not published yet.")
    evaluations: list[RunBacklog] | None = Field(description="Routes whose runs of suites are due or failed.")
    missed: list[MissedFireTimes] | None = Field(description="Routes whose schedules missed a time within a week.")
    parked: list[ParkedWork] | None = Field(
        description="Routes that a step does not go on with since it failed on them: they are not monitored."
    )
    sources: list[IngestSource] | None = Field(
        description="What came in within a week, by source and format, of the routes that the key sees."
    )
    replay: ReplayStatus | None = Field(description="The last replay of dead letters that this process was asked for.")


def health_report(
    system: SystemHealth, sees: Callable[[str], bool], now: datetime, sources: list[IngestSource] | None = None
) -> HealthReport:
    """How it is, for somebody who sees some routes; `sources` is what came in."""
    broker, database = system.survey.broker, system.survey.database
    reasons, standing = dict(system.probes.unready()), database.value
    known: dict[str, Any] = dict.fromkeys(("dead_letters", "receivers", "decisions", "evaluations", "missed", "parked"))
    if standing is not None:
        known |= {"dead_letters": standing.dead, "receivers": standing.receivers, "decisions": standing.decisions}
        known["evaluations"] = [one for one in standing.runs if sees(one.route)]
        known["missed"] = [one for one in standing.missed if sees(one.route)]
        known["parked"] = [one for one in standing.parked if sees(one.route)]
    made = HealthReport(
        ok=False,
        needs=[],
        version=_version(),
        process=ProcessHealth(ready=not reasons, reasons=reasons, watchdog=system.probes.stuck()),
        broker=_part(broker),
        database=_part(database),
        steps=None if system.behind is None else steps_of(system.behind),
        sources=sources,
        replay=system.replays.last,
        **known,
    )
    needs = list(needs_of(made, now))
    return made.model_copy(update={"ok": not needs, "needs": needs})


def steps_of(told: Sequence[StepLag]) -> list[StepHealth]:
    """The steps in the order of the flow, each with its topics."""
    found: dict[str, list[StepLag]] = {}
    for one in told:
        found.setdefault(one.step, []).append(one)
    return [_step(name, some) for name, some in found.items()]


def needs_of(told: HealthReport, now: datetime) -> Iterator[str]:
    """What needs somebody, or is not known, the worst first."""
    yield from (part.fault for part in (told.broker, told.database) if part.fault is not None)
    yield from _of_processes(told)
    for step, some in groupby(told.parked or (), lambda one: one.step):
        parked = list(some)
        yield health.parked(step, [one.route for one in parked], sum(one.waiting for one in parked))
    if told.decisions is not None and _is_late(told.decisions.oldest, now):
        yield health.decisions_wait(told.decisions.n)
    yield from _of_receivers(told.receivers or (), now)
    yield from _of_evaluations(told, now)


def _of_processes(told: HealthReport) -> Iterator[str]:
    if told.process.watchdog is not None:
        yield health.stuck(told.process.watchdog)
    for step in told.steps or ():
        if step.state == "not running":
            yield health.not_running(step.step)
        elif step.state == "behind":
            yield health.behind(step.step, step.waiting or 0)
        elif step.state == "not known":
            yield health.lag_unknown(step.step)
    yield from (health.not_ready(check, why) for check, why in told.process.reasons.items())


def _of_receivers(receivers: Sequence[ReceiverBacklog], now: datetime) -> Iterator[str]:
    for one in receivers:
        if one.closed:
            yield health.closed(one.receiver, one.error or "")
        if _is_late(one.oldest, now):
            yield health.not_sent(one.pending, one.receiver)
        if one.failed:
            yield health.given_up(one.failed, one.receiver)


def _of_evaluations(told: HealthReport, now: datetime) -> Iterator[str]:
    for run in told.evaluations or ():
        if run.left or _is_late(run.oldest, now):
            yield health.not_done(run.due, run.route)
        if run.failed:
            yield health.failed(run.failed, run.route)
    yield from (health.missed(one.n, one.route) for one in told.missed or ())


def _step(name: str, some: Sequence[StepLag]) -> StepHealth:
    counts = [one.records for one in some if one.records is not None]
    waiting = sum(counts) if len(counts) == len(some) else None
    workers = some[0].workers
    state: StepState = "not known" if waiting is None else "behind" if waiting >= FAR_BEHIND else "ok"
    return StepHealth(
        step=name,
        state=state if workers else "not running",
        workers=workers,
        waiting=waiting,
        topics=[TopicBacklog(topic=one.topic, waiting=one.records) for one in some],
    )


def _part(sight: SurveyResult[Any]) -> DependencyHealth:
    took = None if sight.value is None else round(sight.took * 1000, 1)
    return DependencyHealth(ok=sight.value is not None, fault=sight.fault, seen=sight.at, milliseconds=took)


def _is_late(since: datetime | None, now: datetime) -> bool:
    return since is not None and now - since > LATE


def _version() -> str:
    try:
        return version("keelwatch")
    except PackageNotFoundError:  # run from a folder that was never installed
        return "not known"


async def current_health(system: SystemHealth, database: Database, principal: Principal, now: datetime) -> HealthReport:
    """How it is now, with what came in, for somebody."""
    backlog = system.survey.database.value
    sources = None if backlog is None else await ingest_sources(database, principal, backlog.dead)
    return health_report(system, principal.sees, now, sources)


def router(system: SystemHealth, database: Database, guard: Guard) -> APIRouter:
    """The path, for those whom `guard` lets view."""
    made = APIRouter(prefix="/v1", tags=["health"], dependencies=[needs(guard, "viewer")])

    @made.get(
        "/health",
        operation_id="getHealth",
        summary="How Keelwatch itself is",
        responses={200: {"model": HealthReport}, **UNCHANGED},
    )
    async def read(request: Request) -> Response:
        """Steps and how far they are behind, dead letters, deliveries, decisions and evaluations that wait.

        It tells what was last seen, at most half a minute ago, and answers while broker and database are away. What is
        null is not known.
        """
        told = await current_health(system, database, who(request), datetime.now(UTC))
        return tagged(request, told.model_dump(mode="json"))

    return made
