"""An executor for tests: real database, real endpoint process, records caught where a broker would be."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from random import Random
from typing import Any

from schemas.base import Record
from schemas.evaluation import Comparison, Run
from schemas.identity import Model
from services.errors import InputError
from services.evaluate.dependencies import EvaluateDependencies, Prefer
from services.evaluate.executor import Executor
from services.evaluate.scorers import score, versions
from services.evaluate.suite import Suite
from services.evaluate.suite_judge import SuiteJudge
from services.monitor import Monitor, RoutePolicy, Target
from services.offload import Offload
from services.record.recorder import Recorder
from services.store import evaluation_queue
from services.store.engine import Database
from services.store.evaluation_queue import DueRun
from tests.support.asking import LOCAL, NAMED, QUICK, ROUTE, now, suite
from tests.support.blocks import block, rows
from tests.support.endpoint import SERVED

OLD = Model(requested="fake-1", served=SERVED)


@dataclass
class Caught:
    """What was published; `fails` raises instead, that many times."""

    records: list[Record] = field(default_factory=list)
    fails: int = 0

    async def publish(self, records: Sequence[Record]) -> None:
        if self.fails:
            self.fails -= 1
            raise ConnectionError("the broker is away")
        self.records.extend(records)

    @property
    def runs(self) -> list[Run]:
        return [one for one in self.records if isinstance(one, Run)]

    @property
    def comparisons(self) -> list[Comparison]:
        return [one for one in self.records if isinstance(one, Comparison)]


def one_suite(name: str) -> Suite:
    """The suite `core` of these tests, and no other."""
    if name != "core":
        raise InputError(f"suite {name}: there is none")
    return suite(name, benign=1, forbidden=8, canaries=1, repeats=1)


def watched(url: str, **policy: Any) -> Monitor:
    """A monitor with one target for every route."""
    target = Target(url, "fake-1")
    return Monitor(defaults=RoutePolicy(**{"suites": ("core",), "target": target, **policy}), allow_hosts=LOCAL)


def means(
    database: Database,
    monitor: Monitor,
    caught: Caught,
    thread: Offload,
    suites: Callable[[str], Suite] = one_suite,
    prefer: Prefer | None = None,
    judge: SuiteJudge | None = None,
) -> EvaluateDependencies:
    """What an executor of tests works with."""
    return EvaluateDependencies(
        database=database,
        thread=thread,
        monitor=monitor,
        suites=suites,
        score=lambda item, answer: score(item, answer, NAMED, judge=judge),
        scorers=versions(NAMED, judge),
        secret={}.get,
        publish=caught.publish,
        clock=now,
        instance="test",
        chance=Random(7),
        patience=QUICK,
        poll=0.05,
        prefer=prefer,
        judge=judge,
    )


def done(database: Database, monitor: Monitor, caught: Caught, **more: Any) -> int:
    """Do all that is due; how many runs that were."""
    with closing(Offload("database")) as thread:
        return asyncio.run(Executor(means(database, monitor, caught, thread, **more)).once())


def traffic(database: Database, model: Model = OLD, route: str = ROUTE, first: int = 0) -> None:
    """A few recorded exchanges: the route is known, and who answers."""
    Recorder(database, lambda _: RoutePolicy()).apply([block(rows(3, first, model=model), route)])


def asks(database: Database, moment: Any, cause: str, identity: str | None, suite: str = "core") -> DueRun:
    """Write a run that is due now."""
    due = DueRun(ROUTE, cause, moment, identity, suite, "fake-1 at x", 0, now())
    with database.write() as connection:
        evaluation_queue.enqueue(connection, [due], now())
    return due


def states(database: Database) -> list[tuple[str, str, str | None]]:
    """Moment, state and reason of every run, in the order in which they were due."""
    return [(one.what.moment, one.state, one.reason) for one in database.query(evaluation_queue.find)]
