"""All routes at a glance, in queries whose number does not depend on how many there are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Select,
    and_,
    case,
    exists,
    func,
    literal_column,
    or_,
    select,
)

from schemas.alert import SEVERITIES, Severity
from schemas.change import Change
from schemas.incident import IncidentState
from services.store.dialect import upsert
from services.store.fleet_tables import PinRow, StreamRow
from services.store.tables import IncidentRow, Route, table
from services.store.visible import EVERYTHING, visible

Watch = Literal["blind", "learning", "watching"]
"""How a route is watched: blind before learning before watching. An open incident is told beside it."""
Standing = Literal["incident", "blind", "learning", "watching"]
"""What routes are filtered by: `incident` are those with an open one, the others are as in `Watch`."""
WATCHES: Final[tuple[Watch, ...]] = ("watching", "learning", "blind")

_ROUTES, _PINS, _STREAMS, _INCIDENTS = table(Route), table(PinRow), table(StreamRow), table(IncidentRow)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which routes: those that fit one of `globs`, hold `text` in their name and stand in one of `states`, if any."""

    globs: Sequence[str] = EVERYTHING
    text: str = ""
    states: Sequence[Standing] = ()


@dataclass(frozen=True, slots=True)
class Pin:
    """The baseline that a route is measured against: `n` exchanges of `identity`, complete at `ts`."""

    baseline: str
    identity: str
    n: int
    ts: datetime


@dataclass(frozen=True, slots=True)
class Open:
    """The incident of a route that is not resolved; `payload` is its record as JSON."""

    id: str
    state: IncidentState
    severity: Severity
    opened_at: datetime
    payload: str


@dataclass(frozen=True, slots=True)
class Glance:
    """One route. `clock` is the time of its last exchange, None where none counted yet."""

    route: str
    watch: Watch
    clock: datetime | None
    pin: Pin | None
    incident: Open | None


@dataclass(frozen=True, slots=True)
class Counts:
    """How many routes there are, have an open incident, are blind, and learn."""

    routes: int
    incident: int
    blind: int
    learning: int


NONE: Final = Counts(0, 0, 0, 0)


def pin(connection: Connection, changes: Sequence[Change]) -> None:
    """Note the baselines that were pinned; the latest of a route counts, in whatever order they are told."""
    found: dict[str, dict[str, Any]] = {}
    for change in sorted(changes, key=lambda one: (one.event_index, one.ts, one.baseline or "")):
        if change.kind == "pinned" and change.baseline is not None:
            found[change.route] = {
                "route": change.route,
                "event_index": change.event_index,
                "ts": change.ts,
                "baseline": change.baseline,
                "identity": change.to_identity,
                "n": change.pinning.n if change.pinning else 0,
            }
    upsert(connection, _PINS, [found[route] for route in sorted(found)], newer=("event_index", "ts", "baseline"))


def worst_first(connection: Connection, wanted: Wanted, offset: int, most: int) -> tuple[Glance, ...]:
    """At most so many routes from place `offset`: by the severity of what is open, then blind, learning, watching."""
    severity, watch = _rank(_INCIDENTS.c.severity, SEVERITIES), _rank(_watch(), WATCHES)
    query = _chosen(_glance(), wanted).order_by(severity.desc(), watch.desc(), _ROUTES.c.route)
    return tuple(_read(row) for row in connection.execute(query.limit(most).offset(offset)))


def by_name(connection: Connection, wanted: Wanted, after: str | None, most: int) -> tuple[Glance, ...]:
    """At most so many routes in the order of their names, which follow the one named `after`."""
    query = _chosen(_glance(), wanted).order_by(_ROUTES.c.route).limit(most)
    if after is not None:
        query = query.where(_ROUTES.c.route > after)
    return tuple(_read(row) for row in connection.execute(query))


def one(connection: Connection, route: str) -> Glance | None:
    """One route, or None."""
    row = connection.execute(_glance().where(_ROUTES.c.route == route)).one_or_none()
    return None if row is None else _read(row)


def counts(connection: Connection, wanted: Wanted) -> Counts:
    """How the wanted routes stand."""
    routes = _chosen(_glance(), wanted).subquery()
    told = [func.count(case((routes.c.watch == word, 1))) for word in ("blind", "learning")]
    query = select(func.count(), func.count(routes.c.incident), *told).select_from(routes)
    row: Sequence[int] = connection.execute(query).one()
    return Counts(row[0], row[1], row[2], row[3])


def unseen(watched: ColumnElement[bool]) -> ColumnElement[bool]:
    """That a stream's newest reading, where `watched` says that it counts for this, tells of a blind spot.

    What a detector said of an earlier baseline is over; so is a topic that was made again, once exchanges count.
    """
    over = and_(_STREAMS.c.signal == "recreated_topic", _STREAMS.c.ts < _ROUTES.c.clock)
    return and_(
        _STREAMS.c.status.in_(("blind", "firing")),
        or_(
            and_(_STREAMS.c.status == "blind", watched),
            and_(_STREAMS.c.status == "firing", _STREAMS.c.detector == "blind", func.coalesce(~over, True)),
        ),
    )


def of_this_baseline() -> ColumnElement[bool]:
    """That a stream's newest reading was measured against the route's baseline, or against none."""
    return or_(_STREAMS.c.baseline.is_(None), func.coalesce(_STREAMS.c.baseline == _PINS.c.baseline, False))


def _watch() -> ColumnElement[str]:
    """An event that cannot be seen is a blind spot of the route, and does not make all of it blind."""
    watched = and_(_STREAMS.c.detector != "events", of_this_baseline())
    blind = exists().where(_STREAMS.c.route == _ROUTES.c.route, unseen(watched)).correlate(_ROUTES, _PINS)
    return case((blind, "blind"), (_PINS.c.baseline.is_(None), "learning"), else_="watching")


def _glance() -> Select[Any]:
    pinned = [_PINS.c[name].label(f"pin_{name}") for name in ("baseline", "identity", "n", "ts")]
    incident = [_INCIDENTS.c[name] for name in ("state", "severity", "opened_at", "payload")]
    unresolved = and_(_INCIDENTS.c.route == _ROUTES.c.route, literal_column("incidents.state <> 'resolved'"))
    columns = (_ROUTES.c.route, _ROUTES.c.clock, _watch().label("watch"), *pinned)
    joined = _ROUTES.outerjoin(_PINS, _PINS.c.route == _ROUTES.c.route).outerjoin(_INCIDENTS, unresolved)
    return select(*columns, _INCIDENTS.c.id.label("incident"), *incident).select_from(joined)


def _chosen(query: Select[Any], wanted: Wanted) -> Select[Any]:
    query = query.where(visible(_ROUTES.c.route, wanted.globs))
    if wanted.text:
        query = query.where(_ROUTES.c.route.contains(wanted.text, autoescape=True))
    if wanted.states:
        named = [state for state in wanted.states if state != "incident"]
        fits = [_watch().in_(named)] if named else []
        query = query.where(or_(*fits, *([_INCIDENTS.c.id.is_not(None)] if "incident" in wanted.states else [])))
    return query


def _rank(value: ColumnElement[str], order: Sequence[str]) -> ColumnElement[int]:
    return case(*((value == word, place) for place, word in enumerate(order)), else_=-1)


def _read(row: Row[Any]) -> Glance:
    pinned = None
    if row.pin_baseline is not None:
        pinned = Pin(row.pin_baseline, row.pin_identity, row.pin_n, row.pin_ts)
    incident = None
    if row.incident is not None:
        incident = Open(row.incident, row.state, row.severity, row.opened_at, row.payload)
    return Glance(row.route, row.watch, row.clock, pinned, incident)
