"""All routes at a glance, with what a list shows of each, in a number of queries that does not grow.

What a look at all routes at once needs of each, kept as it comes: nothing is searched or unpacked for a page.

All routes at a glance, in queries whose number does not depend on how many there are.

What stands beside a route in a list of routes, asked for all routes of a page at once.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal, cast

import msgspec
from sqlalchemy import (
    CTE,
    BigInteger,
    ColumnElement,
    Connection,
    Row,
    Select,
    String,
    and_,
    case,
    column,
    exists,
    func,
    literal_column,
    or_,
    select,
    values,
)
from sqlmodel import Field

from schemas.alert import SEVERITIES, Severity
from schemas.change import Change
from schemas.identity import Model
from schemas.incident import IncidentState
from services.specs import BLIND, LEARNING, names_of
from services.store.dialect import upsert
from services.store.incidents import IncidentRow
from services.store.readings import StreamRow
from services.store.rollups import HourlyRollupRow
from services.store.routes import IdentityRow, RouteRow
from services.store.tables import EVERYTHING, Base, UtcDateTime, table, visible


class PinRow(Base, table=True):
    """The baseline that a route is measured against: made of `n` exchanges of `identity`."""

    __tablename__ = "pins"
    route: str = Field(primary_key=True)
    event_index: int = Field(sa_type=BigInteger)
    ts: datetime = Field(sa_type=cast(Any, UtcDateTime))
    baseline: str
    identity: str
    n: int = Field(sa_type=BigInteger)


WatchStatus = Literal["blind", "learning", "watching"]
"""How a route is watched: blind before learning before watching. An open incident is told beside it."""
FleetStatus = Literal["incident", "blind", "learning", "watching"]
"""What routes are filtered by: `incident` are those with an open one, the others are as in `WatchStatus`."""
WATCH_STATUSES: Final[tuple[WatchStatus, ...]] = ("watching", "learning", "blind")

_ROUTES, _PINS, _STREAMS, _INCIDENTS = table(RouteRow), table(PinRow), table(StreamRow), table(IncidentRow)


@dataclass(frozen=True, slots=True)
class FleetFilter:
    """Which routes: those that fit one of `globs`, hold `text` in their name and stand in one of `states`, if any."""

    globs: Sequence[str] = EVERYTHING
    text: str = ""
    states: Sequence[FleetStatus] = ()


@dataclass(frozen=True, slots=True)
class RoutePin:
    """The baseline that a route is measured against: `n` exchanges of `identity`, complete at `ts`."""

    baseline: str
    identity: str
    n: int
    ts: datetime


@dataclass(frozen=True, slots=True)
class UnresolvedIncident:
    """The incident of a route that is not resolved; `payload` is its record as JSON."""

    id: str
    state: IncidentState
    severity: Severity
    opened_at: datetime
    payload: str


@dataclass(frozen=True, slots=True)
class FleetRoute:
    """One route. `clock` is the time of its last exchange, None where none counted yet."""

    route: str
    watch: WatchStatus
    clock: datetime | None
    pin: RoutePin | None
    incident: UnresolvedIncident | None


@dataclass(frozen=True, slots=True)
class FleetCounts:
    """How many routes there are, have an open incident, are blind, and learn."""

    routes: int
    incident: int
    blind: int
    learning: int


NO_ROUTES: Final = FleetCounts(0, 0, 0, 0)


def note_pins(connection: Connection, changes: Sequence[Change]) -> None:
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


def worst_first(connection: Connection, wanted: FleetFilter, offset: int, most: int) -> tuple[FleetRoute, ...]:
    """At most so many routes from place `offset`: by the severity of what is open, then blind, learning, watching."""
    severity, watch = _rank(_INCIDENTS.c.severity, SEVERITIES), _rank(_watch_status(), WATCH_STATUSES)
    query = _narrowed(_fleet_query(), wanted).order_by(severity.desc(), watch.desc(), _ROUTES.c.route)
    return tuple(_read(row) for row in connection.execute(query.limit(most).offset(offset)))


def by_name(connection: Connection, wanted: FleetFilter, after: str | None, most: int) -> tuple[FleetRoute, ...]:
    """At most so many routes in the order of their names, which follow the one named `after`."""
    query = _narrowed(_fleet_query(), wanted).order_by(_ROUTES.c.route).limit(most)
    if after is not None:
        query = query.where(_ROUTES.c.route > after)
    return tuple(_read(row) for row in connection.execute(query))


def get(connection: Connection, route: str) -> FleetRoute | None:
    """One route, or None."""
    row = connection.execute(_fleet_query().where(_ROUTES.c.route == route)).one_or_none()
    return None if row is None else _read(row)


def counts(connection: Connection, wanted: FleetFilter) -> FleetCounts:
    """How the wanted routes stand."""
    routes = _narrowed(_fleet_query(), wanted).subquery()
    told = [func.count(case((routes.c.watch == word, 1))) for word in ("blind", "learning")]
    query = select(func.count(), func.count(routes.c.incident), *told).select_from(routes)
    row: Sequence[int] = connection.execute(query).one()
    return FleetCounts(row[0], row[1], row[2], row[3])


def is_blind(watched: ColumnElement[bool]) -> ColumnElement[bool]:
    """That a stream's newest reading, where `watched` says that it counts for this, tells of a blind spot.

    What a detector said of an earlier baseline is over; so is a topic that was made again, once exchanges count.
    """
    over = and_(_STREAMS.c.signal == "recreated_topic", _STREAMS.c.ts < _ROUTES.c.clock)
    return and_(
        _STREAMS.c.status.in_(("blind", "firing")),
        or_(
            and_(_STREAMS.c.status == "blind", watched),
            and_(_STREAMS.c.status == "firing", _STREAMS.c.detector == BLIND.name, func.coalesce(~over, True)),
        ),
    )


def of_current_baseline() -> ColumnElement[bool]:
    """That a stream's newest reading was measured against the route's baseline, or against none."""
    return or_(_STREAMS.c.baseline.is_(None), func.coalesce(_STREAMS.c.baseline == _PINS.c.baseline, False))


def _watch_status() -> ColumnElement[str]:
    """An event that cannot be seen is a blind spot of the route, and does not make all of it blind."""
    watched = and_(_STREAMS.c.detector.not_in(names_of("event")), of_current_baseline())
    blind = exists().where(_STREAMS.c.route == _ROUTES.c.route, is_blind(watched)).correlate(_ROUTES, _PINS)
    return case((blind, "blind"), (_PINS.c.baseline.is_(None), "learning"), else_="watching")


def _fleet_query() -> Select[Any]:
    pinned = [_PINS.c[name].label(f"pin_{name}") for name in ("baseline", "identity", "n", "ts")]
    incident = [_INCIDENTS.c[name] for name in ("state", "severity", "opened_at", "payload")]
    unresolved = and_(_INCIDENTS.c.route == _ROUTES.c.route, literal_column("incidents.state <> 'resolved'"))
    columns = (_ROUTES.c.route, _ROUTES.c.clock, _watch_status().label("watch"), *pinned)
    joined = _ROUTES.outerjoin(_PINS, _PINS.c.route == _ROUTES.c.route).outerjoin(_INCIDENTS, unresolved)
    return select(*columns, _INCIDENTS.c.id.label("incident"), *incident).select_from(joined)


def _narrowed(query: Select[Any], wanted: FleetFilter) -> Select[Any]:
    query = query.where(visible(_ROUTES.c.route, wanted.globs))
    if wanted.text:
        query = query.where(_ROUTES.c.route.contains(wanted.text, autoescape=True))
    if wanted.states:
        named = [state for state in wanted.states if state != "incident"]
        fits = [_watch_status().in_(named)] if named else []
        query = query.where(or_(*fits, *([_INCIDENTS.c.id.is_not(None)] if "incident" in wanted.states else [])))
    return query


def _rank(value: ColumnElement[str], order: Sequence[str]) -> ColumnElement[int]:
    return case(*((value == word, place) for place, word in enumerate(order)), else_=-1)


def _read(row: Row[Any]) -> FleetRoute:
    pinned = None
    if row.pin_baseline is not None:
        pinned = RoutePin(row.pin_baseline, row.pin_identity, row.pin_n, row.pin_ts)
    incident = None
    if row.incident is not None:
        incident = UnresolvedIncident(row.incident, row.state, row.severity, row.opened_at, row.payload)
    return FleetRoute(row.route, row.watch, row.clock, pinned, incident)


HOURS: Final = 24
MONTH: Final = timedelta(days=30)
MOST_IDENTITIES: Final = 5
MOST_SPOTS: Final = 20
_HOUR: Final = timedelta(hours=1)
_LONG_AGO: Final = datetime(2000, 1, 1, tzinfo=UTC)
_ROUTE_ROWS, _PIN_ROWS, _STREAM_ROWS = table(RouteRow), table(PinRow), table(StreamRow)
_INCIDENT_ROWS, _HOURLY, _IDENTITIES = table(IncidentRow), table(HourlyRollupRow), table(IdentityRow)


@dataclass(frozen=True, slots=True)
class BlindSpot:
    """A blind spot: `n` streams of a detector of which nothing can be said, and why."""

    detector: str
    signal: str | None
    reason: str | None
    n: int


@dataclass(frozen=True, slots=True)
class AnsweringIdentity:
    """An identity that answered `n` exchanges in the last 24 hours; `model` is what stands behind it, where known."""

    identity: str
    model: Model | None
    n: int


@dataclass(frozen=True, slots=True)
class PageBudgetUse:
    """Of the false-page budget, in the 30 days up to the route's clock.

    `pages` are incidents that reached warning or worse, which is when people are called; `false_alarms` are those of
    them that somebody called a false alarm.
    """

    pages: int = 0
    false_alarms: int = 0


@dataclass(frozen=True, slots=True)
class FleetEntry:
    """One route of a list.

    Attributes:
        learned: exchanges of its baseline, or towards its first one.
        hours: exchanges in each of the last 24 clock hours, the current one last.
        answering: who answered in them, most first, at most 5. headline: of the open incident.
        spots: at most 20.
    """

    glance: FleetRoute
    learned: int
    hours: tuple[int, ...]
    answering: tuple[AnsweringIdentity, ...]
    spots: tuple[BlindSpot, ...]
    used: PageBudgetUse
    headline: str

    @property
    def exchanges(self) -> int:
        """Exchanges of the last 24 clock hours."""
        return sum(self.hours)


def entries(connection: Connection, glances: Sequence[FleetRoute]) -> tuple[FleetEntry, ...]:
    """The routes with all that a list shows of them."""
    if not glances:
        return ()
    names = [glance.route for glance in glances]
    windows = _windows(glances)
    learned, spots, used = (
        _learned(connection, names),
        _blind_spots(connection, names),
        _page_budget(connection, windows),
    )
    hours, answered = _traffic(connection, glances, windows)
    models = _models(connection, answered)
    made = []
    for glance in glances:
        route = glance.route
        most = sorted(answered[route].items(), key=lambda item: (-item[1], item[0]))[:MOST_IDENTITIES]
        who = tuple(AnsweringIdentity(identity, models.get((route, identity)), n) for identity, n in most)
        n = glance.pin.n if glance.pin else learned.get(route, 0)
        told = (
            ""
            if glance.incident is None
            else msgspec.json.decode(glance.incident.payload, type=_IncidentRecord).headline
        )
        made.append(
            FleetEntry(
                glance,
                n,
                tuple(hours[route]),
                who,
                tuple(spots[route][:MOST_SPOTS]),
                used.get(route, PageBudgetUse()),
                told,
            )
        )
    return tuple(made)


class _IncidentRecord(msgspec.Struct):
    """An incident's record, as far as a list shows it."""

    headline: str = ""


def _first_hour(clock: datetime) -> datetime:
    return clock.replace(minute=0, second=0, microsecond=0) - (HOURS - 1) * _HOUR


def _windows(glances: Iterable[FleetRoute]) -> CTE:
    """Where the last 24 hours and 30 days of each route begin, by its own clock."""
    kinds = column("route", String), column("day", UtcDateTime()), column("month", UtcDateTime())
    clocks = [(glance.route, glance.clock or _LONG_AGO) for glance in glances]
    rows = [(route, _first_hour(clock), clock - MONTH) for route, clock in clocks]
    return values(*kinds, name="windows").data(rows).cte("windows")


def _learned(connection: Connection, names: Sequence[str]) -> dict[str, int]:
    query = select(_STREAM_ROWS.c.route, func.max(_STREAM_ROWS.c.n)).group_by(_STREAM_ROWS.c.route)
    query = query.where(_STREAM_ROWS.c.route.in_(names), _STREAM_ROWS.c.detector == LEARNING)
    return {route: n for route, n in connection.execute(query)}  # noqa: C416 -- rows are tuples of any


def _blind_spots(connection: Connection, names: Sequence[str]) -> Mapping[str, list[BlindSpot]]:
    columns = [_STREAM_ROWS.c[name] for name in ("route", "detector", "signal", "reason")]
    joined = _STREAM_ROWS.join(_ROUTE_ROWS, _ROUTE_ROWS.c.route == _STREAM_ROWS.c.route)
    joined = joined.outerjoin(_PIN_ROWS, _PIN_ROWS.c.route == _STREAM_ROWS.c.route)
    watched = or_(_STREAM_ROWS.c.detector.in_(names_of("event")), of_current_baseline())
    query = select(*columns, func.count()).select_from(joined).group_by(*columns)
    query = query.where(_STREAM_ROWS.c.route.in_(names), is_blind(watched))
    found: dict[str, list[BlindSpot]] = defaultdict(list)
    for route, *spot in sorted(connection.execute(query), key=lambda row: tuple(str(part) for part in row)):
        found[route].append(BlindSpot(*spot))
    return found


def _page_budget(connection: Connection, windows: CTE) -> dict[str, PageBudgetUse]:
    called = and_(
        _INCIDENT_ROWS.c.route == windows.c.route,
        _INCIDENT_ROWS.c.opened_at > windows.c.month,
        _INCIDENT_ROWS.c.severity != "info",
    )
    told = func.count(case((_INCIDENT_ROWS.c.false_alarm, 1)))
    query = select(windows.c.route, func.count(), told).join(_INCIDENT_ROWS, called).group_by(windows.c.route)
    return {route: PageBudgetUse(pages, false) for route, pages, false in connection.execute(query)}


def _traffic(
    connection: Connection, glances: Sequence[FleetRoute], windows: CTE
) -> tuple[Mapping[str, list[int]], Mapping[str, dict[str, int]]]:
    """Exchanges by hour, and by identity, of each route."""
    first = {glance.route: _first_hour(glance.clock or _LONG_AGO) for glance in glances}
    hours: dict[str, list[int]] = {route: [0] * HOURS for route in first}
    answered: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    hour = and_(_HOURLY.c.route == windows.c.route, _HOURLY.c.hour >= windows.c.day)
    exchanges: ColumnElement[bool] = literal_column("rollups_hourly.slice = '' AND rollups_hourly.signal = ''")
    query = select(windows.c.route, _HOURLY.c.hour, _HOURLY.c.identity, _HOURLY.c.n).join(_HOURLY, hour)
    for route, ts, identity, n in connection.execute(query.where(exchanges)):
        place = (ts - first[route]) // _HOUR
        if place < HOURS:
            hours[route][place] += n
            answered[route][identity] += n
    return hours, answered


def _models(connection: Connection, answered: Mapping[str, Mapping[str, Any]]) -> dict[tuple[str, str], Model]:
    wanted = {identity for who in answered.values() for identity in who}
    query = select(_IDENTITIES.c.route, _IDENTITIES.c.identity, _IDENTITIES.c.model)
    query = query.where(_IDENTITIES.c.route.in_(list(answered)), _IDENTITIES.c.identity.in_(sorted(wanted)))
    return {
        (row.route, row.identity): Model.model_validate_json(row.model)
        for row in connection.execute(query)
        if row.identity in answered[row.route]
    }
