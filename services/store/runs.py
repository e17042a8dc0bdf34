"""Runs of suites: their results, written once, and the answers of those that are under way."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Select, delete, func, select

from services.store.dialect import insert_new, upsert
from services.store.run_tables import RunAnswerRow, RunRow
from services.store.tables import EvaluationRow, ScoreRow, table

COMMAND: Final = "command"
"""Moment of a run that a person made by hand."""
_RUNS = table(RunRow)
_ANSWERS = table(RunAnswerRow)
_EVALUATIONS = table(EvaluationRow)
_SCORES = table(ScoreRow)


@dataclass(frozen=True, slots=True)
class Listed:
    """One run, without its answers. `moment` and `cause` say what asked for it, `ts` when it ended."""

    id: str
    route: str
    identity: str
    suite: str
    suite_sha256: str
    moment: str
    cause: str | None
    status: str
    reason: str | None
    ts: datetime


def add(connection: Connection, run: Listed, payload: str) -> None:
    """Write a run with its whole result as JSON; one that is there stays. The answers that were kept for it go."""
    insert_new(connection, _RUNS, [{**asdict(run), "payload": payload}])
    connection.execute(delete(_ANSWERS).where(_ANSWERS.c.run == run.id))


def payload(connection: Connection, id: str) -> str | None:
    """The whole result of a run as JSON, None when there is none."""
    return connection.execute(select(_RUNS.c.payload).where(_RUNS.c.id == id)).scalar_one_or_none()


def find(connection: Connection, route: str | None = None) -> tuple[Listed, ...]:
    """The runs of one route or of all, the newest last."""
    query = _listed().order_by(_RUNS.c.ts, _RUNS.c.id)
    if route is not None:
        query = query.where(_RUNS.c.route == route)
    return tuple(Listed(*row) for row in connection.execute(query))


def keep(connection: Connection, run: str, answers: Iterable[tuple[str, int, str]]) -> None:
    """Keep answers (item, repeat, JSON) of a run that is under way, in place of those to the same questions."""
    rows = [{"run": run, "item": item, "repeat": repeat, "payload": json} for item, repeat, json in answers]
    upsert(connection, _ANSWERS, rows)


def kept(connection: Connection, run: str) -> tuple[str, ...]:
    """The answers that were kept of a run, as JSON."""
    query = select(_ANSWERS.c.payload).where(_ANSWERS.c.run == run).order_by(_ANSWERS.c.item, _ANSWERS.c.repeat)
    return tuple(connection.execute(query).scalars())


def reference(connection: Connection, route: str, suite: str, before: datetime) -> str | None:
    """Id of the run that shows the route's baseline as it was at a time; None when it was not run until then.

    That is the newest complete run of the baseline that was pinned last, and before a second one is pinned also
    the one made when the route was first seen, if the same identity was asked. All by the clock on the wall: a run
    that ended after `before` may have met the model that it was to be compared with.
    """
    one = _EVALUATIONS.c
    pins = select(one.cause, one.identity, func.min(func.coalesce(one.created, one.due)).label("since"))
    pins = pins.where(one.route == route, one.moment == "pinned").group_by(one.cause, one.identity)
    pinned = sorted((row.since, row.cause, row.identity) for row in connection.execute(pins) if row.since <= before)
    good = (_RUNS.c.route == route, _RUNS.c.suite == suite, _RUNS.c.status == "complete", _RUNS.c.ts <= before)
    for run in connection.execute(_listed().where(*good).order_by(_RUNS.c.ts.desc(), _RUNS.c.id)):
        first = run.moment == "first_seen" and len(pinned) <= 1
        if first and all(identity == run.identity for _, _, identity in pinned):
            return str(run.id)
        if run.moment == "pinned" and pinned and run.cause == pinned[-1][1]:
            return str(run.id)
    return None


def newest_complete(connection: Connection, route: str, identity: str) -> tuple[str, ...]:
    """Of each suite the id of the newest complete run that this identity of the route answered, by suite."""
    query = select(_RUNS.c.suite, _RUNS.c.id).order_by(_RUNS.c.ts, _RUNS.c.id)
    of_it = (_RUNS.c.route == route, _RUNS.c.identity == identity, _RUNS.c.status == "complete")
    found = {row.suite: row.id for row in connection.execute(query.where(*of_it))}
    return tuple(id for _, id in sorted(found.items()))


def latest_identity(connection: Connection, route: str) -> str | None:
    """Who answered the newest exchange of the route that is stored."""
    query = select(_SCORES.c.identity).where(_SCORES.c.route == route).order_by(_SCORES.c.event_index.desc()).limit(1)
    return connection.execute(query).scalar_one_or_none()


def _listed() -> Select[Any]:
    return select(*(_RUNS.c[name] for name in Listed.__dataclass_fields__))
