"""How Keelwatch itself is, as an object: what is known, what is not, and what needs somebody. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Final, Literal

from pydantic import BaseModel, Field

from services.api.health import Health
from services.api.replays import Replay
from services.api.survey import Sight
from services.ports import Behind
from services.store.dead import Dead
from services.store.standing import Missed, Queue, Receiving, Runs

FAR_BEHIND: Final = 1_000
"""Records with which a step counts as behind."""
LATE: Final = timedelta(minutes=5)
"""How long something may wait before somebody is told."""
State = Literal["ok", "behind", "not running", "not known"]


class Topic(BaseModel):
    """Records of one topic that a step has not acknowledged."""

    topic: str = Field(examples=["keelwatch.exchanges"])
    waiting: int | None = Field(description="null when it is not known.", examples=[0])


class Step(BaseModel):
    """One step of the flow."""

    step: str = Field(examples=["score"])
    state: State
    workers: int = Field(description="Processes that read for it.", examples=[2])
    waiting: int | None = Field(description="Records not acknowledged; null when it is not known.", examples=[0])
    topics: list[Topic]


class Part(BaseModel):
    """Broker or database."""

    ok: bool
    fault: str | None = Field(description="Why it is not known how it is.")
    seen: datetime | None = Field(description="When it was last asked.")
    milliseconds: float | None = Field(description="How long it took to answer.", examples=[3.1])


class Process(BaseModel):
    """The process that answers."""

    ready: bool
    reasons: dict[str, str] = Field(description="What keeps it from being ready, by check.")
    watchdog: str | None = Field(description="Why its watchdog would end it; null when it is well.")


class Report(BaseModel):
    """How Keelwatch is. `ok` only when everything is known, and nothing needs somebody.

    What is null is not known: the broker's or the database's `fault` says why.
    """

    ok: bool
    needs: list[str] = Field(description="What needs somebody, or is not known; empty when all is well.")
    version: str
    process: Process
    broker: Part
    database: Part
    steps: list[Step] | None
    dead_letters: list[Dead] | None = Field(description="The most frequent.")
    receivers: list[Receiving] | None = Field(description="Who is told of incidents.")
    decisions: Queue | None = Field(description="Decisions that are not published yet.")
    evaluations: list[Runs] | None = Field(description="Routes whose runs of suites are due or failed.")
    missed: list[Missed] | None = Field(description="Routes whose schedules missed a time within a week.")
    replay: Replay | None = Field(description="The last replay of dead letters that this process was asked for.")


def report(health: Health, sees: Callable[[str], bool], now: datetime) -> Report:
    """How it is, for somebody who sees some routes."""
    broker, database = health.survey.broker, health.survey.database
    reasons, standing = dict(health.probes.unready()), database.value
    known: dict[str, Any] = dict.fromkeys(("dead_letters", "receivers", "decisions", "evaluations", "missed"))
    if standing is not None:
        known |= {"dead_letters": standing.dead, "receivers": standing.receivers, "decisions": standing.decisions}
        known["evaluations"] = [one for one in standing.runs if sees(one.route)]
        known["missed"] = [one for one in standing.missed if sees(one.route)]
    made = Report(
        ok=False,
        needs=[],
        version=_version(),
        process=Process(ready=not reasons, reasons=reasons, watchdog=health.probes.stuck()),
        broker=_part(broker),
        database=_part(database),
        steps=None if broker.value is None else steps_of(broker.value),
        replay=health.replays.last,
        **known,
    )
    needs = list(needs_of(made, now))
    return made.model_copy(update={"ok": not needs, "needs": needs})


def steps_of(told: Sequence[Behind]) -> list[Step]:
    """The steps in the order of the flow, each with its topics."""
    found: dict[str, list[Behind]] = {}
    for one in told:
        found.setdefault(one.step, []).append(one)
    return [_step(name, some) for name, some in found.items()]


def needs_of(told: Report, now: datetime) -> Iterator[str]:
    """What needs somebody, or is not known, the worst first."""
    yield from (part.fault for part in (told.broker, told.database) if part.fault is not None)
    yield from _of_processes(told)
    if told.decisions is not None and _is_late(told.decisions.oldest, now):
        yield f"{told.decisions.n:,} decisions wait to be published"
    yield from _of_receivers(told.receivers or (), now)
    yield from _of_evaluations(told, now)


def _of_processes(told: Report) -> Iterator[str]:
    if told.process.watchdog is not None:
        yield f"the watchdog is about to end this process: {told.process.watchdog}"
    for step in told.steps or ():
        if step.state == "not running":
            yield f"nobody runs {step.step}: start a worker for it"
        elif step.state == "behind":
            yield f"{step.step} is {step.waiting:,} records behind"
    yield from (f"this process is not ready: {check}: {why}" for check, why in told.process.reasons.items())


def _of_receivers(receivers: Sequence[Receiving], now: datetime) -> Iterator[str]:
    for one in receivers:
        if _is_late(one.oldest, now):
            yield f"{one.pending:,} notifications wait for {one.receiver}"
        if one.failed:
            yield f"{one.failed:,} notifications for {one.receiver} were given up"


def _of_evaluations(told: Report, now: datetime) -> Iterator[str]:
    for run in told.evaluations or ():
        if run.left or _is_late(run.oldest, now):
            yield f"{run.due:,} evaluations of {run.route} are due and not done"
        if run.failed:
            yield f"{run.failed:,} evaluations of {run.route} failed within a week"
    yield from (f"{one.n:,} evaluations of {one.route} were missed within a week" for one in told.missed or ())


def _step(name: str, some: Sequence[Behind]) -> Step:
    counts = [one.records for one in some if one.records is not None]
    waiting = sum(counts) if len(counts) == len(some) else None
    workers = some[0].workers
    state: State = "not known" if waiting is None else "behind" if waiting >= FAR_BEHIND else "ok"
    return Step(
        step=name,
        state=state if workers else "not running",
        workers=workers,
        waiting=waiting,
        topics=[Topic(topic=one.topic, waiting=one.records) for one in some],
    )


def _part(sight: Sight[Any]) -> Part:
    took = None if sight.value is None else round(sight.took * 1000, 1)
    return Part(ok=sight.value is not None, fault=sight.fault, seen=sight.at, milliseconds=took)


def _is_late(since: datetime | None, now: datetime) -> bool:
    return since is not None and now - since > LATE


def _version() -> str:
    try:
        return version("keelwatch")
    except PackageNotFoundError:  # run from a folder that was never installed
        return "not known"
