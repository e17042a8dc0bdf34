"""Lists and pages of evaluations answer with 10,000 runs, changes and comparisons: none takes the database too long."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import insert

from schemas.base import hash16
from services.api.app import Api, make
from services.store import routes
from services.store.engine import Database
from services.store.evaluation_queue import EvaluationRow
from services.store.journal import JournalRow
from services.store.runs import RunRow
from services.store.schedules import FireTimeRow, ScheduleRow
from services.store.tables import table
from tests.support.api import NOW, Wire, api_on, asked
from tests.support.records import change, comparison, decision

N = 10_000
"""A query that reads them once takes a tenth of a second, one that reads them once each longer than it may."""
ROUTES = [f"team{i % 10}/bot{i}" for i in range(100)]


@pytest.fixture
def api(database: Database) -> Api:
    """An API on 10,000 runs of 100 routes, each with a comparison, and as many changes and decisions."""
    with database.write() as connection:
        routes.ensure(connection, *ROUTES)
        runs, due, facts = [], [], []
        for i in range(N):
            route, ts = ROUTES[i % len(ROUTES)], NOW - timedelta(minutes=i)
            id, same = hash16(["run", i]), {"route": route, "identity": "a" * 16, "suite": "core"}
            own = {"cause": hash16(i), "moment": "scheduled", "reason": None}
            due.append({**same, **own, "id": id, "target": "m", "delay": 0, "due": ts, "state": "done", "token": 1})
            ended = {"ts": ts, "status": "complete", "suite_sha256": "0" * 64, "payload": "x" * 3_000}
            runs.append({**same, **own, **ended, "id": id})
            told = comparison("unchanged", route=route, id=hash16(["c", i]), after_run=id, hazards=(), ts=ts)
            moved = change(route=route, id=hash16(["m", i]), ts=ts)
            said = decision("silence" if i % 3 else "announce", route=route, ts=ts, reason=str(i))
            for seq, (kind, fact) in enumerate((("comparison", told), ("change", moved), ("decision", said))):
                place = {"route": route, "seq": 3 * i + seq, "kind": kind, "fact": fact.id, "ts": fact.ts}
                facts.append({**place, "payload": fact.encode().decode(), "commitment": "", "hash": ""})
        plans = [{"route": r, "name": "n", "cron": "0 6 * * 1", "timezone": "UTC", "enabled": True} for r in ROUTES]
        fires = [
            {
                "route": r,
                "schedule": "n",
                "fire_time": NOW - timedelta(days=i),
                "missed": "no process" if i % 9 else None,
            }
            for r in ROUTES
            for i in range(100)
        ]
        connection.execute(insert(table(EvaluationRow)), due)
        connection.execute(insert(table(RunRow)), runs)
        connection.execute(insert(table(JournalRow)), facts)
        more = {"suites": None, "origin": "command", "since": NOW - timedelta(days=200)}
        connection.execute(insert(table(ScheduleRow)), [{**plan, **more} for plan in plans])
        connection.execute(insert(table(FireTimeRow)), fires)
    return api_on(database, Wire())


def test_lists_and_pages_answer(api: Api) -> None:
    app = make(api)
    for path in (
        "/v1/evaluations",
        "/v1/evaluations?state=failed",
        "/v1/evaluations?route=team3/bot3",
        "/v1/comparisons",
        "/v1/changes",
        "/v1/changes?kind=announced",
        "/v1/schedules",
        "/evaluations",
        "/compare",
    ):
        answer = asked(app, "GET", path)
        assert (path, answer.status_code) == (path, 200)
