"""What was asked of models, as lists show it: runs that are due, running or done, those by hand, and missed ones."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal, get_args

from sqlalchemy import ColumnElement, Connection, Select, and_, case, func, literal, null, or_, select

from services.store import evaluations
from services.store.dialect import by_code_point
from services.store.run_tables import FireTimeRow, RunRow
from services.store.runs import COMMAND
from services.store.tables import EvaluationRow, table
from services.store.visible import EVERYTHING, visible

State = Literal["due", "running", "done", "failed", "missed"]
Place = tuple[datetime, str]
_ASKED = table(EvaluationRow)
_RUNS = table(RunRow)
_FIRES = table(FireTimeRow)
_OWN: Final = case(
    (_ASKED.c.state == evaluations.PENDING, "due"),
    (_ASKED.c.state.in_((evaluations.RUNNING, evaluations.RAN)), "running"),
    (or_(_ASKED.c.state == evaluations.FAILED, _RUNS.c.status == "failed"), "failed"),
    else_="done",
)
_OPEN: Final = (evaluations.PENDING, evaluations.RUNNING, evaluations.RAN)
_STATES: Final = get_args(State)
_BY_HAND: Final = case((_RUNS.c.status == "failed", "failed"), else_="done")


@dataclass(frozen=True, slots=True)
class Asked:
    """One run that was asked for.

    Attributes:
        place: names it among those of the same time. id: of the run; None when it was missed, so that there is none.
        ts: when it was due; of a run by hand, when it ended.
        moment: what asked for it: `scheduled`, `change`, `command`... `schedule`: of a missed one, which.
        status: complete, incomplete or failed, once it ran. reason: why it is not done, or not complete.
        identity: who answered, else who was expected to.
    """

    place: str
    id: str | None
    ts: datetime
    route: str
    suite: str | None
    moment: str
    cause: str | None
    schedule: str | None
    state: State
    status: str | None
    reason: str | None
    identity: str | None
    target: str | None
    ended: datetime | None


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which of them: of routes that fit one of `globs`; else None is all."""

    globs: Sequence[str] = EVERYTHING
    suite: str | None = None
    states: Collection[str] | None = None
    identity: str | None = None


def page(connection: Connection, wanted: Wanted, after: Place | None, most: int) -> tuple[Asked, ...]:
    """At most so many, latest due first, that follow the one with this time and place."""
    found = [
        Asked(*row) for query in _queries(wanted) for row in connection.execute(_cut(connection, query, after, most))
    ]
    return tuple(sorted(found, key=lambda one: (one.ts, one.place), reverse=True)[:most])


def get(connection: Connection, id: str) -> Asked | None:
    """The one with this id of a run."""
    for query, key in ((_automatic(Wanted()), _ASKED.c.id), (_by_hand(Wanted()), _RUNS.c.id)):
        row = connection.execute(query.where(key == id)).one_or_none()
        if row is not None:
            return Asked(*row)
    return None


def of_causes(connection: Connection, causes: Sequence[str]) -> dict[str, tuple[Asked, ...]]:
    """Id of what asked for runs -> those runs."""
    found: dict[str, tuple[Asked, ...]] = {}
    for row in connection.execute(_automatic(Wanted()).where(_ASKED.c.cause.in_(causes))) if causes else ():
        one = Asked(*row)
        found[one.cause or ""] = (*found.get(one.cause or "", ()), one)
    return found


def targets(connection: Connection, globs: Sequence[str]) -> tuple[tuple[str, str, str], ...]:
    """(route, suite, target) that were asked for automatically, of each route and suite the newest target."""
    newest = func.max(_ASKED.c.due).label("due")
    query = select(_ASKED.c.route, _ASKED.c.suite, _ASKED.c.target, newest).where(visible(_ASKED.c.route, globs))
    rows = connection.execute(query.group_by(_ASKED.c.route, _ASKED.c.suite, _ASKED.c.target)).all()
    latest = {(row.route, row.suite): row.target for row in sorted(rows, key=lambda row: row.due)}
    return tuple((*key, target) for key, target in sorted(latest.items()))


def unfinished(connection: Connection, route: str, suite: str, now: datetime) -> Asked | None:
    """A run of the suite that is under way, or would begin now."""
    one = _ASKED.c
    waits = or_(
        one.state.in_((evaluations.RUNNING, evaluations.RAN)), and_(one.state == evaluations.PENDING, one.due <= now)
    )
    query = _automatic(Wanted()).where(one.route == route, one.suite == suite, waits).order_by(one.due, one.id)
    row = connection.execute(query.limit(1)).one_or_none()
    return None if row is None else Asked(*row)


def _queries(wanted: Wanted) -> list[Select[Any]]:
    """One for each kind of run that can be in the states that are wanted."""
    states = set(_STATES if wanted.states is None else wanted.states)
    made = [(_automatic, states - {"missed"}), (_by_hand, states & {"done", "failed"}), (_missed, states & {"missed"})]
    return [query(wanted) for query, fitting in made if fitting]


def _cut(connection: Connection, query: Select[Any], after: Place | None, most: int) -> Select[Any]:
    """One page of a query whose columns are those of `Asked`."""
    ts, place = query.selected_columns["ts"], by_code_point(connection, query.selected_columns["place"])
    if after is not None:
        query = query.where(or_(ts < after[0], and_(ts == after[0], place < after[1])))
    return query.order_by(ts.desc(), place.desc()).limit(most)


def _automatic(wanted: Wanted) -> Select[Any]:
    """Runs that something asked for, whatever became of them."""
    one = _ASKED.c
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
        "state": _OWN,
        "status": _RUNS.c.status,
        "reason": func.coalesce(one.reason, _RUNS.c.reason),
        "identity": who,
        "target": one.target,
        "ended": _RUNS.c.ts,
    }
    query = select(*_named(columns)).select_from(_ASKED.outerjoin(_RUNS, _RUNS.c.id == one.id))
    if wanted.states is not None and not set(wanted.states) - {"due", "running"}:
        query = query.where(one.state.in_(_OPEN))  # what `_OWN` says, and the index by state knows
    return query.where(*_filters(wanted, one.route, one.suite, _OWN, who))


def _by_hand(wanted: Wanted) -> Select[Any]:
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
        "state": _BY_HAND,
        "status": one.status,
        "reason": one.reason,
        "identity": one.identity,
        "target": null(),
        "ended": one.ts,
    }
    own = _filters(wanted, one.route, one.suite, _BY_HAND, one.identity)
    return select(*_named(columns)).where(one.moment == COMMAND, *own)


def _missed(wanted: Wanted) -> Select[Any]:
    """Fire times for which nothing was run: they have neither a suite nor anybody who would have answered."""
    one = _FIRES.c
    nothing = dict.fromkeys(("id", "suite", "cause", "status", "identity", "target", "ended"), null())
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
    return [columns[name].label(name) for name in Asked.__dataclass_fields__]


def _filters(wanted: Wanted, route: Any, suite: Any, state: Any, identity: Any) -> list[ColumnElement[bool]]:
    """The conditions of `wanted` on these columns."""
    made: list[ColumnElement[bool]] = [visible(route, wanted.globs)]
    if wanted.states is not None:
        made.append(state.in_(sorted(wanted.states)))
    made += [column == value for column, value in ((suite, wanted.suite), (identity, wanted.identity)) if value]
    return made
