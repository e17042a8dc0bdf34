"""A database in which suites were asked for in every way, with every outcome."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from schemas.base import hash16
from schemas.evaluation import Comparison
from schemas.identity import identity_of
from services.evaluate.comparison import compare, comparison_record
from services.evaluate.persistence import store_run
from services.evaluate.result import RunResult
from services.evaluate.schedule import cause_of
from services.store import evaluation_queue, schedules
from services.store.engine import Database
from services.store.evaluation_queue import DueRun
from services.store.schedules import StoredSchedule
from tests.support.api import NOW, recorded
from tests.support.blocks import block, rows
from tests.support.records import NEW
from tests.support.results import ROUTE, result, suite_of, worse

IDENTITY = identity_of(NEW)
CORE = suite_of(repeats=3)
WEEKLY = StoredSchedule(ROUTE, "weekly", None, "0 6 * * 1", "Europe/Berlin", True, "file", NOW - timedelta(days=30))
NIGHTLY = StoredSchedule(ROUTE, "nightly", ("made",), "30 2 * * *", "UTC", True, "command", NOW - timedelta(days=3))


def known(database: Database, *routes: str) -> None:
    """Routes of which three exchanges were recorded, answered by `NEW`."""
    recorded(database, *(block(rows(3, 0, model=NEW), route) for route in routes))


def asked_for(database: Database, cause: str, hours: float = 0.0, **fields: Any) -> DueRun:
    """A run that is due so many hours after `NOW`."""
    made: dict[str, Any] = {
        "route": ROUTE,
        "cause": cause,
        "moment": "scheduled",
        "identity": IDENTITY,
        "suite": "made",
        "target": "m at https://api.example.com/v1",
        "delay": 0,
        "due": NOW + timedelta(hours=hours),
        **fields,
    }
    due = DueRun(**made)
    with database.write() as connection:
        evaluation_queue.enqueue(connection, [due], min(due.due, NOW))
    return due


def ran(database: Database, due: DueRun, found: RunResult, comparison: Comparison | None = None) -> None:
    """What a run brought, as the executor writes it, and what it says against another."""
    with database.write() as connection:
        [claimed] = [one for one in evaluation_queue.claim(connection, "w", NOW, NOW, 1_000) if one.what.id == due.id]
        store_run(connection, found, due.moment, due.cause)
        evaluation_queue.finish(connection, claimed, evaluation_queue.DONE, found.reason)
    if comparison is not None:
        recorded(database, comparison)


def found(due: DueRun, events: Any = {}, **fields: Any) -> RunResult:  # noqa: B006
    """A result of that run."""
    made: dict[str, Any] = {"id": due.id, "route": due.route, "identity": IDENTITY, **fields}
    return result(CORE, events, ended=due.due, started=due.due - timedelta(minutes=4), **made)


def missed(
    database: Database, plan: StoredSchedule, at: datetime, why: str | None = "no process ran at that time"
) -> None:
    """A fire time of a schedule that nobody used."""
    with database.write() as connection:
        schedules.take_fire_time(connection, plan, at, why)


def stocked(database: Database) -> dict[str, str]:
    """Runs of one route in every state, two of another, schedules, missed fire times; ids by name."""
    known(database, ROUTE, "other/bot")
    with database.write() as connection:
        for plan in (WEEKLY, NIGHTLY):
            schedules.add(connection, plan)
    pinned = asked_for(database, hash16("pin"), -48, moment="pinned")
    before = found(pinned)
    ran(database, pinned, before)
    later = asked_for(database, cause_of(NIGHTLY, NOW - timedelta(hours=9.5)), -9.5)
    missed(database, NIGHTLY, later.due, None)
    after = found(later, {**worse("harmful", 9, 3), **worse("canary", 1, 3)})
    ran(database, later, after, comparison_record(before, after, compare(before, after), after.ended))
    failed = asked_for(database, hash16("fails"), -5, moment="change")
    ran(database, failed, found(failed, status="failed", reason="the endpoint answered 500", answers=()))
    missed(database, WEEKLY, NOW - timedelta(days=2))
    other = asked_for(database, hash16("other"), -30, route="other/bot", moment="first_seen")
    ran(database, other, found(other))
    running = asked_for(database, hash16("runs"), -0.1, moment="announced")
    with database.write() as connection:
        evaluation_queue.claim(connection, "w", NOW, NOW + timedelta(hours=1), 1_000)
    due = asked_for(database, hash16("due"), 24, moment="change", delay=86_400)
    with database.write() as connection:
        store_run(connection, found(later, id=hash16("hand"), identity="ab" * 8), "command", None)
    ids = {"pinned": pinned, "later": later, "failed": failed, "other": other, "running": running, "due": due}
    return {**{name: one.id for name, one in ids.items()}, "hand": hash16("hand")}
