"""All routes at a glance, with what a list shows of each, in a number of queries that does not grow.

What a look at all routes at once needs of each is kept as it comes: nothing is searched or unpacked for a page.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal, cast

import msgspec
from sqlalchemy import (
    CTE,
    BigInteger,
    ColumnElement,
    Connection,
    String,
    and_,
    case,
    column,
    func,
    literal_column,
    select,
    values,
)
from sqlmodel import Field

from schemas.alert import SEVERITIES, Severity
from schemas.change import Change
from schemas.decision import Silence
from schemas.exchange import WATCHDOG_ROUTES
from schemas.identity import Model
from schemas.incident import IncidentState
from services.specs import LEARNING
from services.store import learning, parks, silences
from services.store.dialect import by_code_point, upsert
from services.store.incidents import IncidentRow
from services.store.learning import HOURS, LearningTraffic, first_hour
from services.store.parks import ParkedRoute
from services.store.readings import StreamRow, held_back
from services.store.rollups import HourlyRollupRow
from services.store.route_status import RouteFacts, RouteStatus, StreamStatus, WatchStatus, status_of
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


FleetStatus = Literal["incident", "blind", "learning", "watching"]
"""What routes are filtered by: `incident` are those with an open one, the others are as in `WatchStatus`."""
_WATCH_STATUSES: Final[tuple[WatchStatus, ...]] = ("watching", "learning", "blind")

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
    """One route and how it stands. `clock` is the time of its last exchange, None where none counted yet.

    `silences` are those that hold on it.
    """

    name: str
    status: RouteStatus
    clock: datetime | None
    pin: RoutePin | None
    incident: UnresolvedIncident | None
    silences: tuple[Silence, ...] = ()


@dataclass(frozen=True, slots=True)
class FleetCounts:
    """How many routes there are, have an open incident, are blind, and learn."""

    routes: int
    incident: int
    blind: int
    learning: int


NO_ROUTES: Final = FleetCounts(0, 0, 0, 0)


def note_pins(connection: Connection, changes: Sequence[Change]) -> None:
    """Note the baselines that were pinned; the latest of a route counts, in whatever order they arrive."""
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


def page(
    connection: Connection, wanted: FleetFilter, offset: int, most: int, now: datetime
) -> tuple[FleetCounts, FleetCounts, tuple[FleetEntry, ...]]:
    """How all routes of the globs stand, how the wanted ones do, and so many of those from place `offset`.

    The worst come first: by the severity of what is open, then blind, learning, watching.
    """
    everything = _read(connection, [visible(_ROUTES.c.route, wanted.globs)], now)
    fitting = [one for one in everything if _fits(one, wanted)]
    shown = sorted(fitting, key=_badness)[offset : offset + most]
    return _counts(everything), _counts(fitting), _entries(connection, shown)


def worst(
    connection: Connection, globs: Sequence[str], within: Sequence[str], most: int, now: datetime
) -> tuple[FleetCounts, tuple[FleetRoute, ...]]:
    """How all routes stand that fit a glob of either, and at most so many of them, those that `page` shows first."""
    found = _read(connection, [visible(_ROUTES.c.route, globs), visible(_ROUTES.c.route, within)], now)
    return _counts(found), tuple(sorted(found, key=_badness)[:most])


def page_by_name(
    connection: Connection, wanted: FleetFilter, after: str | None, most: int, now: datetime
) -> tuple[FleetEntry, ...]:
    """At most so many routes that follow the one named `after`, by name, in Python's order on every database."""
    where = [visible(_ROUTES.c.route, wanted.globs)]
    if wanted.text:
        where.append(_ROUTES.c.route.contains(wanted.text, autoescape=True))
    if after is not None:
        where.append(by_code_point(connection, _ROUTES.c.route) > after)
    found = _read(connection, where, now, None if wanted.states else most)
    return _entries(connection, [one for one in found if _fits(one, wanted)][:most])


def entry(connection: Connection, route: str, now: datetime) -> FleetEntry | None:
    """How one route stands with all that a list shows of it, or None."""
    found = _entries(connection, _read(connection, [_ROUTES.c.route == route], now))
    return found[0] if found else None


def facts_of(connection: Connection, route: str) -> RouteFacts:
    """What is stored of how a route stands."""
    query = select(_ROUTES.c.clock, _PINS.c.baseline).outerjoin(_PINS, _PINS.c.route == _ROUTES.c.route)
    row = connection.execute(query.where(_ROUTES.c.route == route)).one_or_none()
    streams = _streams(connection, [route], [_STREAMS.c.route == route])[route]
    parked = parks.of_routes(connection, [route]).get(route, ())
    clock, baseline = (None, None) if row is None else (row.clock, row.baseline)
    return RouteFacts(clock, baseline, streams, parked, route not in WATCHDOG_ROUTES)


def _read(
    connection: Connection, where: Sequence[ColumnElement[bool]], now: datetime, most: int | None = None
) -> list[FleetRoute]:
    """The routes of which all that holds, by name."""
    pinned = [_PINS.c[name].label(f"pin_{name}") for name in ("baseline", "identity", "n", "ts")]
    incident = [_INCIDENTS.c[name] for name in ("state", "severity", "opened_at", "payload")]
    unresolved = and_(_INCIDENTS.c.route == _ROUTES.c.route, literal_column("incidents.state <> 'resolved'"))
    joined = _ROUTES.outerjoin(_PINS, _PINS.c.route == _ROUTES.c.route).outerjoin(_INCIDENTS, unresolved)
    query = select(_ROUTES.c.route, _ROUTES.c.clock, *pinned, _INCIDENTS.c.id.label("incident"), *incident)
    order = by_code_point(connection, _ROUTES.c.route)
    rows = connection.execute(query.select_from(joined).where(*where).order_by(order).limit(most)).all()
    names = select(_ROUTES.c.route).where(*where).order_by(order).limit(most)
    tell = (_STREAMS.c.route.in_(names), _STREAMS.c.status.in_(("blind", "firing")))
    streams = _streams(connection, [row.route for row in rows], tell)
    parked = parks.of_routes(connection, names)
    silenced = silences.holding(connection, names, now)
    found = (_route(row, streams[row.route], parked.get(row.route, ()), now) for row in rows)
    return [replace(one, silences=silenced.get(one.name, ())) for one in found]


def _streams(
    connection: Connection, names: Sequence[str], where: Sequence[ColumnElement[bool]]
) -> dict[str, list[StreamStatus]]:
    """Route -> its streams, in their order."""
    found: dict[str, list[StreamStatus]] = {name: [] for name in names}
    columns = (_STREAMS.c[name] for name in ("detector", "signal", "status", "reason", "baseline", "ts", "n"))
    query = select(_STREAMS.c.route, *columns).where(*where).order_by(_STREAMS.c.route, _STREAMS.c.stream)
    for route, *stream in connection.execute(query):
        if route in found:
            found[route].append(StreamStatus(*stream))
    return found


def _route(row: Any, streams: Sequence[StreamStatus], parked: Sequence[ParkedRoute], now: datetime) -> FleetRoute:
    pinned = None
    if row.pin_baseline is not None:
        pinned = RoutePin(row.pin_baseline, row.pin_identity, row.pin_n, row.pin_ts)
    incident = None
    if row.incident is not None:
        incident = UnresolvedIncident(row.incident, row.state, row.severity, row.opened_at, row.payload)
    status = status_of(RouteFacts(row.clock, row.pin_baseline, streams, parked, row.route not in WATCHDOG_ROUTES), now)
    return FleetRoute(row.route, status, row.clock, pinned, incident)


def _fits(one: FleetRoute, wanted: FleetFilter) -> bool:
    if wanted.text not in one.name:
        return False
    has_incident = one.incident is not None and "incident" in wanted.states
    return not wanted.states or has_incident or one.status.watch in wanted.states


def _badness(one: FleetRoute) -> tuple[int, int, str]:
    severity = -1 if one.incident is None else SEVERITIES.index(one.incident.severity)
    return -severity, -_WATCH_STATUSES.index(one.status.watch), one.name


def _counts(some: Sequence[FleetRoute]) -> FleetCounts:
    watched = Counter(one.status.watch for one in some)
    unresolved = sum(one.incident is not None for one in some)
    return FleetCounts(len(some), unresolved, watched["blind"], watched["learning"])


MONTH: Final = timedelta(days=30)
MOST_IDENTITIES: Final = 5
_HOUR: Final = timedelta(hours=1)
_LONG_AGO: Final = datetime(2000, 1, 1, tzinfo=UTC)
_HOURLY, _IDENTITIES = table(HourlyRollupRow), table(IdentityRow)


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
        held_back: why a ceiling lets no first baseline be pinned. learns_from: while it learns its first one.
    """

    route: FleetRoute
    learned: int
    hours: tuple[int, ...]
    answering: tuple[AnsweringIdentity, ...]
    page_budget: PageBudgetUse
    headline: str
    held_back: str | None = None
    learns_from: LearningTraffic | None = None

    @property
    def exchanges(self) -> int:
        """Exchanges of the last 24 clock hours."""
        return sum(self.hours)


def _entries(connection: Connection, routes: Sequence[FleetRoute]) -> tuple[FleetEntry, ...]:
    """The routes with all that a list shows of them."""
    if not routes:
        return ()
    windows = _windows(routes)
    learned = _learned(connection, [route.name for route in routes])
    held = held_back(connection, [route.name for route in routes if route.pin is None])
    clocks = {route.name: route.clock for route in routes if route.pin is None and route.clock is not None}
    traffic = learning.traffic_of(connection, clocks)
    page_budget = _page_budget(connection, windows)
    hours, answered = _traffic(connection, routes, windows)
    models = _models(connection, answered)
    made = []
    for route in routes:
        name = route.name
        most = sorted(answered[name].items(), key=lambda item: (-item[1], item[0]))[:MOST_IDENTITIES]
        who = tuple(AnsweringIdentity(identity, models.get((name, identity)), n) for identity, n in most)
        n = route.pin.n if route.pin else learned.get(name, 0)
        used = PageBudgetUse() if name in WATCHDOG_ROUTES else page_budget.get(name, PageBudgetUse())
        headline, why, learns = _headline(route.incident), held.get(name), traffic.get(name)
        made.append(FleetEntry(route, n, tuple(hours[name]), who, used, headline, why, learns))
    return tuple(made)


def _headline(incident: UnresolvedIncident | None) -> str:
    return "" if incident is None else msgspec.json.decode(incident.payload, type=_IncidentRecord).headline


class _IncidentRecord(msgspec.Struct):
    """An incident's record, as far as a list shows it."""

    headline: str = ""


def _windows(routes: Iterable[FleetRoute]) -> CTE:
    """Where the last 24 hours and 30 days of each route begin, by its own clock."""
    kinds = column("route", String), column("day", UtcDateTime()), column("month", UtcDateTime())
    clocks = [(route.name, route.clock or _LONG_AGO) for route in routes]
    rows = [(name, first_hour(clock), clock - MONTH) for name, clock in clocks]
    return values(*kinds, name="windows").data(rows).cte("windows")


def _learned(connection: Connection, names: Sequence[str]) -> dict[str, int]:
    query = select(_STREAMS.c.route, func.max(_STREAMS.c.n)).group_by(_STREAMS.c.route)
    query = query.where(_STREAMS.c.route.in_(names), _STREAMS.c.detector == LEARNING)
    return {route: n for route, n in connection.execute(query)}  # noqa: C416 -- rows are tuples of any


def _page_budget(connection: Connection, windows: CTE) -> dict[str, PageBudgetUse]:
    called = and_(
        _INCIDENTS.c.route == windows.c.route,
        _INCIDENTS.c.opened_at > windows.c.month,
        _INCIDENTS.c.severity != "info",
    )
    false_alarms = func.count(case((_INCIDENTS.c.false_alarm, 1)))
    query = select(windows.c.route, func.count(), false_alarms).join(_INCIDENTS, called).group_by(windows.c.route)
    return {route: PageBudgetUse(pages, false) for route, pages, false in connection.execute(query)}


def _traffic(
    connection: Connection, routes: Sequence[FleetRoute], windows: CTE
) -> tuple[Mapping[str, list[int]], Mapping[str, dict[str, int]]]:
    """Exchanges by hour, and by identity, of each route."""
    first = {route.name: first_hour(route.clock or _LONG_AGO) for route in routes}
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
