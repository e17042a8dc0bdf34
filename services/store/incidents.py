"""Incidents as their route's journal gives them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, and_, delete, exists, or_, select

from schemas.incident import Incident
from services.store.dialect import upsert
from services.store.tables import IncidentRow, table
from services.store.visible import EVERYTHING, visible

_INCIDENTS = table(IncidentRow)


def replace(
    connection: Connection, route: str, incidents: Sequence[Incident], false_alarms: Collection[str] = ()
) -> None:
    """Make the route's incidents exactly these: changed ones are written, those no longer derived deleted.

    `false_alarms` are the ids of the decisions that called one of them that.
    """
    query = select(_INCIDENTS.c.id, _INCIDENTS.c.payload).where(_INCIDENTS.c.route == route)
    stored = {id: payload for id, payload in connection.execute(query)}  # noqa: C416 -- rows are tuples of any
    rows = {incident.id: _row(incident, false_alarms) for incident in incidents}
    gone = sorted(stored.keys() - rows.keys())
    if gone:
        connection.execute(delete(_INCIDENTS).where(_INCIDENTS.c.id.in_(gone)))
    changed = [row for id, row in rows.items() if stored.get(id) != row["payload"]]
    # Resolved ones first: a route has one incident that is not, at any moment.
    upsert(connection, _INCIDENTS, sorted(changed, key=lambda row: row["state"] != "resolved"))


def has_unresolved(connection: Connection, route: str) -> bool:
    """Whether time alone can still change an incident of the route."""
    unresolved = exists().where(_INCIDENTS.c.route == route, _INCIDENTS.c.state != "resolved")
    return bool(connection.execute(select(unresolved)).scalar())


def find(connection: Connection, route: str | None = None, states: Sequence[str] | None = None) -> tuple[Incident, ...]:
    """The incidents of one route or of all, in these states or all, in the order of their opening."""
    query = select(_INCIDENTS.c.payload).order_by(_INCIDENTS.c.opened_at, _INCIDENTS.c.id)
    if route is not None:
        query = query.where(_INCIDENTS.c.route == route)
    if states is not None:
        query = query.where(_INCIDENTS.c.state.in_(states))
    return tuple(Incident.decode(payload.encode()) for payload in connection.execute(query).scalars())


def page(
    connection: Connection,
    route: str | None,
    states: Sequence[str] | None,
    after: tuple[datetime, str] | None,
    most: int,
    globs: Sequence[str] = EVERYTHING,
) -> tuple[Incident, ...]:
    """At most so many incidents, newest first, that follow the one with this time of opening and id.

    Only those of routes that fit one of `globs`.
    """
    opened, id = _INCIDENTS.c.opened_at, _INCIDENTS.c.id
    query = select(_INCIDENTS.c.payload).order_by(opened.desc(), id.desc()).limit(most)
    query = query.where(visible(_INCIDENTS.c.route, globs))
    if route is not None:
        query = query.where(_INCIDENTS.c.route == route)
    if states is not None:
        query = query.where(_INCIDENTS.c.state.in_(states))
    if after is not None:
        query = query.where(or_(opened < after[0], and_(opened == after[0], id < after[1])))
    return tuple(Incident.decode(payload.encode()) for payload in connection.execute(query).scalars())


def get(connection: Connection, id: str) -> Incident | None:
    """One incident."""
    payload = connection.execute(select(_INCIDENTS.c.payload).where(_INCIDENTS.c.id == id)).scalar_one_or_none()
    return Incident.decode(payload.encode()) if payload is not None else None


def _row(incident: Incident, false_alarms: Collection[str]) -> dict[str, Any]:
    return {
        "id": incident.id,
        "route": incident.route,
        "state": incident.state,
        "severity": incident.severity,
        "opened_event_index": incident.opened_event_index,
        "opened_at": incident.opened_at,
        "payload": incident.encode().decode(),
        "false_alarm": any(entry.ref in false_alarms for entry in incident.timeline),
    }
