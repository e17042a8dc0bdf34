"""Runs of suites: results, answers kept while under way, and lists of all runs that were asked for."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Final, Literal, cast, get_args

from sqlalchemy import (
    ColumnElement,
    Connection,
    Index,
    Select,
    Text,
    and_,
    case,
    delete,
    func,
    literal,
    null,
    or_,
    select,
)
from sqlmodel import Field

from services.store import audit_log, evaluation_queue
from services.store.dialect import by_code_point, insert_new, upsert
from services.store.evaluation_queue import EvaluationRow
from services.store.schedules import FireTimeRow
from services.store.tables import EVERYTHING, WRITTEN, Base, TimeCursor, UtcDateTime, older_than, table, today, visible


class RunRow(Base, table=True):
    """One run of a suite, written once; `payload` is the whole result as JSON.

    `ts` is when it ended, as whoever made it says: of an imported run that is another tool.
    """

    __tablename__ = "runs"
    __table_args__ = (Index(None, "route", "suite", "ts"),)
    id: str = Field(primary_key=True)
    route: str
    identity: str
    suite: str
    suite_sha256: str
    moment: str
    cause: str | None = None
    status: str
    reason: str | None = Field(default=None, sa_type=Text)
    ts: datetime = Field(sa_type=cast(Any, UtcDateTime))
    payload: str = Field(sa_type=Text)
    written: int = Field(default=0, sa_column_kwargs=WRITTEN)


class RunAnswerRow(Base, table=True):
    """One answer of a run that is under way; they go when the run is stored."""

    __tablename__ = "run_answers"
    run: str = Field(primary_key=True)
    item: str = Field(primary_key=True)
    repeat: int = Field(primary_key=True)
    payload: str = Field(sa_type=Text)


COMMAND: Final = "command"
"""Moment of a run that a person made by hand."""
_AT_ONCE: Final = 500
"""Ids of one statement: a database takes only so many."""
_RUNS = table(RunRow)
_ANSWERS = table(RunAnswerRow)
_OF_SERVICE: Final = (_RUNS.c.status == "complete", _RUNS.c.moment != COMMAND)
"""Runs that Keelwatch made itself, with all their answers."""
_EVALUATIONS = table(EvaluationRow)


@dataclass(frozen=True, slots=True)
class RunSummary:
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


def add(connection: Connection, run: RunSummary, payload: str) -> None:
    """Write a run with its whole result as JSON; one that is there stays. The answers that were kept for it go."""
    insert_new(connection, _RUNS, [{**asdict(run), "payload": payload, "written": today()}])
    audit_log.note(connection, "runs", [(run.id,)])
    connection.execute(delete(_ANSWERS).where(_ANSWERS.c.run == run.id))


def payload(connection: Connection, id: str) -> str | None:
    """The whole result of a run as JSON, None when there is none."""
    return connection.execute(select(_RUNS.c.payload).where(_RUNS.c.id == id)).scalar_one_or_none()


def find(connection: Connection, route: str | None = None) -> tuple[RunSummary, ...]:
    """The runs of one route or of all, the newest last."""
    query = _listed().order_by(_RUNS.c.ts, _RUNS.c.id)
    if route is not None:
        query = query.where(_RUNS.c.route == route)
    return tuple(RunSummary(*row) for row in connection.execute(query))


def keep_answers(connection: Connection, run: str, answers: Iterable[tuple[str, int, str]]) -> None:
    """Keep answers (item, repeat, JSON) of a run that is under way, in place of those to the same questions."""
    rows = [{"run": run, "item": item, "repeat": repeat, "payload": json} for item, repeat, json in answers]
    upsert(connection, _ANSWERS, rows)


def kept_answers(connection: Connection, run: str) -> tuple[str, ...]:
    """The answers that were kept of a run, as JSON."""
    query = select(_ANSWERS.c.payload).where(_ANSWERS.c.run == run).order_by(_ANSWERS.c.item, _ANSWERS.c.repeat)
    return tuple(connection.execute(query).scalars())


def payloads(connection: Connection, route: str, suite: str) -> tuple[tuple[str, str], ...]:
    """Id and JSON of every run of a suite on a route."""
    query = select(_RUNS.c.id, _RUNS.c.payload).where(_RUNS.c.route == route, _RUNS.c.suite == suite)
    return tuple((row.id, row.payload) for row in connection.execute(query.order_by(_RUNS.c.id)))


def drop_answers(connection: Connection, route: str, suite: str, items: Sequence[str]) -> int:
    """Delete the kept answers to some items of the suite's runs that are under way on a route; how many."""
    one = _EVALUATIONS.c
    of = select(one.id).where(one.route == route, one.suite == suite)
    named, dropped = sorted(items), 0
    for first in range(0, len(named), _AT_ONCE):
        some = _ANSWERS.c.item.in_(named[first : first + _AT_ONCE])
        dropped += int(connection.execute(delete(_ANSWERS).where(_ANSWERS.c.run.in_(of), some)).rowcount)
    return dropped


def reference_run(connection: Connection, route: str, suite: str, before: datetime) -> str | None:
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


def previous_run(connection: Connection, route: str, suite: str, before: datetime) -> str | None:
    """Id of the newest complete run of a suite on a route that ended until then, those by hand aside."""
    where = (_RUNS.c.route == route, _RUNS.c.suite == suite, _RUNS.c.ts <= before, *_OF_SERVICE)
    newest = select(_RUNS.c.id).where(*where).order_by(_RUNS.c.ts.desc(), _RUNS.c.id).limit(1)
    found: str | None = connection.execute(newest).scalar_one_or_none()
    return found


def last_versions(connection: Connection, routes: Sequence[str]) -> dict[tuple[str, str], str]:
    """(route, suite) -> hash of the suite as its newest complete run asked it, those by hand aside."""
    found: dict[tuple[str, str], str] = {}
    for first in range(0, len(routes), _AT_ONCE):
        some = (_RUNS.c.route.in_(routes[first : first + _AT_ONCE]), *_OF_SERVICE)
        latest = select(_RUNS.c.route, _RUNS.c.suite, func.max(_RUNS.c.ts).label("ts")).where(*some)
        newest = latest.group_by(_RUNS.c.route, _RUNS.c.suite).subquery()
        same = and_(*(_RUNS.c[name] == newest.c[name] for name in ("route", "suite", "ts")))
        query = select(_RUNS.c.route, _RUNS.c.suite, _RUNS.c.suite_sha256).join(newest, same).where(*_OF_SERVICE)
        found |= {(row.route, row.suite): row.suite_sha256 for row in connection.execute(query.order_by(_RUNS.c.id))}
    return found


def asked_versions(connection: Connection, routes: Sequence[str]) -> set[tuple[str, str, str]]:
    """(route, suite, hash of the suite) of every complete run that is kept, those by hand aside."""
    found: set[tuple[str, str, str]] = set()
    for first in range(0, len(routes), _AT_ONCE):
        some = (_RUNS.c.route.in_(routes[first : first + _AT_ONCE]), *_OF_SERVICE)
        query = select(_RUNS.c.route, _RUNS.c.suite, _RUNS.c.suite_sha256).where(*some).distinct()
        found |= {(row.route, row.suite, row.suite_sha256) for row in connection.execute(query)}
    return found


def newest_complete(connection: Connection, route: str, identity: str) -> tuple[str, ...]:
    """Of each suite the id of the newest complete run that this identity of the route answered, by suite."""
    query = select(_RUNS.c.suite, _RUNS.c.id).order_by(_RUNS.c.ts, _RUNS.c.id)
    of_it = (_RUNS.c.route == route, _RUNS.c.identity == identity, _RUNS.c.status == "complete")
    found = {row.suite: row.id for row in connection.execute(query.where(*of_it))}
    return tuple(id for _, id in sorted(found.items()))


def _listed() -> Select[Any]:
    return select(*(_RUNS.c[name] for name in RunSummary.__dataclass_fields__))


RunState = Literal["due", "running", "done", "failed", "missed"]
_FIRES = table(FireTimeRow)
_AUTOMATIC_STATE: Final = case(
    (_EVALUATIONS.c.state == evaluation_queue.PENDING, "due"),
    (_EVALUATIONS.c.state.in_((evaluation_queue.RUNNING, evaluation_queue.RAN)), "running"),
    (or_(_EVALUATIONS.c.state == evaluation_queue.FAILED, _RUNS.c.status == "failed"), "failed"),
    else_="done",
)
_OPEN: Final = (evaluation_queue.PENDING, evaluation_queue.RUNNING, evaluation_queue.RAN)
_STATES: Final = get_args(RunState)
_BY_HAND_STATE: Final = case((_RUNS.c.status == "failed", "failed"), else_="done")


@dataclass(frozen=True, slots=True)
class RequestedRun:
    """One run that was asked for.

    Attributes:
        place: names it among those of the same time. id: of the run; None when it was missed, so that there is none.
        ts: when it was due; of a run by hand, when it ended.
        moment: what asked for it: `scheduled`, `change`, `command`... `schedule`: of a missed one, which.
        status: complete, incomplete or failed, once it ran. reason: why it waits, is not done, or not complete.
        identity: who answered, else who was expected to. until: of one that is due, when it is taken up at the
            earliest, where that is later than `ts`.
    """

    place: str
    id: str | None
    ts: datetime
    route: str
    suite: str | None
    moment: str
    cause: str | None
    schedule: str | None
    state: RunState
    status: str | None
    reason: str | None
    identity: str | None
    target: str | None
    ended: datetime | None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class RunFilter:
    """Which of them: of routes that fit one of `globs`; else None is all."""

    globs: Sequence[str] = EVERYTHING
    suite: str | None = None
    states: Collection[str] | None = None
    identity: str | None = None


def page(connection: Connection, wanted: RunFilter, after: TimeCursor | None, most: int) -> tuple[RequestedRun, ...]:
    """At most so many, latest due first, that follow the one with this time and place."""
    found = [
        RequestedRun(*row)
        for query in _queries(wanted)
        for row in connection.execute(_cut(connection, query, after, most))
    ]
    return tuple(sorted(found, key=lambda one: (one.ts, one.place), reverse=True)[:most])


def get(connection: Connection, id: str) -> RequestedRun | None:
    """The one with this id of a run."""
    for query, key in ((_automatic(RunFilter()), _EVALUATIONS.c.id), (_by_hand(RunFilter()), _RUNS.c.id)):
        row = connection.execute(query.where(key == id)).one_or_none()
        if row is not None:
            return RequestedRun(*row)
    return None


def by_cause(connection: Connection, causes: Sequence[str]) -> dict[str, tuple[RequestedRun, ...]]:
    """Id of what asked for runs -> those runs."""
    found: dict[str, tuple[RequestedRun, ...]] = {}
    for row in connection.execute(_automatic(RunFilter()).where(_EVALUATIONS.c.cause.in_(causes))) if causes else ():
        one = RequestedRun(*row)
        found[one.cause or ""] = (*found.get(one.cause or "", ()), one)
    return found


def targets(connection: Connection, globs: Sequence[str]) -> tuple[tuple[str, str, str], ...]:
    """(route, suite, target) that were asked for automatically, of each route and suite the newest target."""
    newest = func.max(_EVALUATIONS.c.due).label("due")
    query = select(_EVALUATIONS.c.route, _EVALUATIONS.c.suite, _EVALUATIONS.c.target, newest).where(
        visible(_EVALUATIONS.c.route, globs)
    )
    rows = connection.execute(query.group_by(_EVALUATIONS.c.route, _EVALUATIONS.c.suite, _EVALUATIONS.c.target)).all()
    latest = {(row.route, row.suite): row.target for row in sorted(rows, key=lambda row: row.due)}
    return tuple((*key, target) for key, target in sorted(latest.items()))


def unfinished(connection: Connection, route: str, suite: str, now: datetime) -> RequestedRun | None:
    """A run of the suite that is under way, or would begin now."""
    one = _EVALUATIONS.c
    waits = or_(
        one.state.in_((evaluation_queue.RUNNING, evaluation_queue.RAN)),
        and_(one.state == evaluation_queue.PENDING, one.due <= now),
    )
    query = _automatic(RunFilter()).where(one.route == route, one.suite == suite, waits).order_by(one.due, one.id)
    row = connection.execute(query.limit(1)).one_or_none()
    return None if row is None else RequestedRun(*row)


def _queries(wanted: RunFilter) -> list[Select[Any]]:
    """One for each kind of run that can be in the states that are wanted."""
    states = set(_STATES if wanted.states is None else wanted.states)
    made = [(_automatic, states - {"missed"}), (_by_hand, states & {"done", "failed"}), (_missed, states & {"missed"})]
    return [query(wanted) for query, fitting in made if fitting]


def _cut(connection: Connection, query: Select[Any], after: TimeCursor | None, most: int) -> Select[Any]:
    """One page of a query whose columns are those of `RequestedRun`."""
    ts, place = query.selected_columns["ts"], by_code_point(connection, query.selected_columns["place"])
    return query.where(older_than(after, ts, place)).order_by(ts.desc(), place.desc()).limit(most)


def _automatic(wanted: RunFilter) -> Select[Any]:
    """Runs that something asked for, whatever became of them."""
    one = _EVALUATIONS.c
    who = func.coalesce(_RUNS.c.identity, one.identity)
    columns = {
        "place": one.id,
        "id": one.id,
        "ts": one.due,
        "route": one.route,
        "suite": one.suite,
        "moment": one.moment,
        "cause": one.cause,
        "schedule": null(),
        "state": _AUTOMATIC_STATE,
        "status": _RUNS.c.status,
        "reason": func.coalesce(one.reason, _RUNS.c.reason),
        "identity": who,
        "target": one.target,
        "ended": _RUNS.c.ts,
        "until": case((one.state == evaluation_queue.PENDING, one.lease_until)),
    }
    query = select(*_named(columns)).select_from(_EVALUATIONS.outerjoin(_RUNS, _RUNS.c.id == one.id))
    if wanted.states is not None and not set(wanted.states) - {"due", "running"}:
        query = query.where(one.state.in_(_OPEN))  # what `_AUTOMATIC_STATE` says, and the index by state knows
    return query.where(*_filters(wanted, one.route, one.suite, _AUTOMATIC_STATE, who))


def _by_hand(wanted: RunFilter) -> Select[Any]:
    one = _RUNS.c
    columns = {
        "place": one.id,
        "id": one.id,
        "ts": one.ts,
        "route": one.route,
        "suite": one.suite,
        "moment": one.moment,
        "cause": one.cause,
        "schedule": null(),
        "state": _BY_HAND_STATE,
        "status": one.status,
        "reason": one.reason,
        "identity": one.identity,
        "target": null(),
        "ended": one.ts,
        "until": null(),
    }
    own = _filters(wanted, one.route, one.suite, _BY_HAND_STATE, one.identity)
    return select(*_named(columns)).where(one.moment == COMMAND, *own)


def _missed(wanted: RunFilter) -> Select[Any]:
    """Fire times for which nothing was run: they have neither a suite nor anybody who would have answered."""
    one = _FIRES.c
    nothing = dict.fromkeys(("id", "suite", "cause", "status", "identity", "target", "ended", "until"), null())
    columns = {
        **nothing,
        "place": one.route + literal("|") + one.schedule,
        "ts": one.fire_time,
        "route": one.route,
        "moment": literal("scheduled"),
        "schedule": one.schedule,
        "state": literal("missed"),
        "reason": one.missed,
    }
    filters = _filters(wanted, one.route, null(), literal("missed"), null())
    return select(*_named(columns)).where(one.missed.is_not(None), *filters)


def _named(columns: dict[str, Any]) -> list[ColumnElement[Any]]:
    return [columns[name].label(name) for name in RequestedRun.__dataclass_fields__]


def _filters(wanted: RunFilter, route: Any, suite: Any, state: Any, identity: Any) -> list[ColumnElement[bool]]:
    """The conditions of `wanted` on these columns."""
    made: list[ColumnElement[bool]] = [visible(route, wanted.globs)]
    if wanted.states is not None:
        made.append(state.in_(sorted(wanted.states)))
    made += [column == value for column, value in ((suite, wanted.suite), (identity, wanted.identity)) if value]
    return made
