"""Routes that go, with all that is stored of them: because a person said so, or because they are idle and too many."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Table, and_, or_, select

from services.store import audit_log, routes
from services.store.deliveries import DeliveryRow, OutboxRow
from services.store.evaluation_queue import EvaluationRow
from services.store.fleet import PinRow
from services.store.incidents import IncidentRow
from services.store.parks import ParkedRouteRow
from services.store.pictures import PictureRow
from services.store.routes import RouteRow
from services.store.runs import RunAnswerRow
from services.store.tables import DAY_SECONDS, all_metadata, table

IDLE_HOURS: Final = 24
LEARNED_IDLE_DAYS: Final = 7
_EVICTED_AT_ONCE: Final = 20
_ROUTES, _PINS, _INCIDENTS = table(RouteRow), table(PinRow), table(IncidentRow)
_PARKS = table(ParkedRouteRow)


@dataclass(frozen=True, slots=True)
class RouteBound:
    """Which routes are listed in the monitor file, and how many others there may be; None is any number."""

    listed: Callable[[str], bool] = lambda _route: False
    most: int | None = None


ANY_NUMBER: Final = RouteBound()


def delete_by(connection: Connection, route: str, actor: str, reason: str) -> dict[str, int]:
    """Delete a route as a person said: who and why stands in the audit log."""
    gone = delete_route(connection, route)
    if gone:
        told = {"route": route, "actor": actor, "reason": reason, "rows": sum(gone.values())}
        audit_log.act(connection, audit_log.DELETIONS, [route], told)
    return gone


def delete_route(connection: Connection, route: str) -> dict[str, int]:
    """Delete every row of the route; table -> how many. Empty where nothing is known of it.

    Steps that have its state in memory meet a conflict when they save it, and begin anew. What is on its way on topics
    comes back as a new route.
    """
    if not routes.exists(connection, route):
        return {}
    routes.lock(connection, [route])
    gone: dict[str, int] = {}
    for some, where in (*_by_way_of_others(route), *_own(route)):
        n = audit_log.delete_rows(connection, some, where)
        if n:
            gone[some.name] = n
    return gone


def _own(route: str) -> list[tuple[Table, ColumnElement[bool]]]:
    """Tables that name the route; its own row last, since that is what others wait for."""
    named = [some for some in reversed(all_metadata().sorted_tables) if "route" in some.c and some is not _ROUTES]
    return [(some, some.c.route == route) for some in (*named, _ROUTES)]


def _by_way_of_others(route: str) -> list[tuple[Table, ColumnElement[bool]]]:
    """Tables that name an incident or a run of it."""
    outbox, evaluations = table(OutboxRow), table(EvaluationRow)
    incidents = [select(some.c[name]).where(some.c.route == route) for some, name in _incident_columns(outbox)]
    runs = select(evaluations.c.id).where(evaluations.c.route == route)
    answers = table(RunAnswerRow)
    told: list[tuple[Table, ColumnElement[bool]]] = [
        (some, or_(*(some.c.incident.in_(query) for query in incidents)))
        for some in (table(DeliveryRow), table(PictureRow))
    ]
    return [*told, (answers, answers.c.run.in_(runs))]


def _incident_columns(outbox: Table) -> tuple[tuple[Any, str], ...]:
    return (_INCIDENTS, "id"), (outbox, "incident")


def evict_idle(connection: Connection, bound: RouteBound, now: datetime) -> int:
    """Delete unlisted routes beyond the bound, those that were idle for longest first; how many.

    One with an open incident stays, and one whose records are parked: they were acknowledged, and its time stands still
    meanwhile. One that has learned is given a week. Routes of which no exchange ever came
    go by the day on which they were written, before all others, and make no other go: names cost nothing.
    """
    if bound.most is None:
        return 0
    unlisted = {name: at for name, at in routes.arrivals(connection).items() if not bound.listed(name)}
    empty = sum(at is None for at in unlisted.values())
    gone = _idle(connection, bound, now, empty=True)[: max(len(unlisted) - bound.most, 0)]
    gone += _idle(connection, bound, now, empty=False)[: max(len(unlisted) - empty - bound.most, 0)]
    for name in gone[:_EVICTED_AT_ONCE]:
        delete_route(connection, name)
    return len(gone[:_EVICTED_AT_ONCE])


def _idle(connection: Connection, bound: RouteBound, now: datetime, *, empty: bool) -> list[str]:
    """Unlisted routes that may go, the longest idle first: those of which no exchange ever came, or the others."""
    one = _ROUTES.c
    open_ = select(_INCIDENTS.c.route).where(_INCIDENTS.c.state != "resolved")
    learned = one.route.in_(select(_PINS.c.route))
    hours, days = timedelta(hours=IDLE_HOURS), timedelta(days=LEARNED_IDLE_DAYS)
    idle = or_(_idle_since(now - days, empty), ~learned & _idle_since(now - hours, empty))
    query = select(one.route).where(idle, one.route.not_in(open_), one.route.not_in(select(_PARKS.c.route)))
    query = query.order_by(one.written if empty else one.arrived, one.route)
    return [name for name in connection.execute(query).scalars() if not bound.listed(name)]


def _idle_since(at: datetime, empty: bool) -> ColumnElement[bool]:
    """Of an empty one its whole day lies before: at which hour it was written is not known."""
    if not empty:
        return _ROUTES.c.arrived < at
    return and_(_ROUTES.c.arrived.is_(None), _ROUTES.c.written < int(at.timestamp() // DAY_SECONDS))
