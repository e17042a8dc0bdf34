"""What stands beside a route in a list of routes, asked for all routes of a page at once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec
from sqlalchemy import (
    CTE,
    ColumnElement,
    Connection,
    String,
    and_,
    case,
    column,
    func,
    literal_column,
    or_,
    select,
    values,
)

from schemas.identity import Model
from services.store.fleet import Glance, of_this_baseline, unseen
from services.store.fleet_tables import PinRow, StreamRow
from services.store.rollup_tables import HourlyRollup
from services.store.tables import Identity, IncidentRow, Route, UtcDateTime, table

HOURS: Final = 24
MONTH: Final = timedelta(days=30)
MOST_IDENTITIES: Final = 5
MOST_SPOTS: Final = 20
_HOUR: Final = timedelta(hours=1)
_LONG_AGO: Final = datetime(2000, 1, 1, tzinfo=UTC)
_ROUTES, _PINS, _STREAMS = table(Route), table(PinRow), table(StreamRow)
_INCIDENTS, _HOURLY, _IDENTITIES = table(IncidentRow), table(HourlyRollup), table(Identity)


@dataclass(frozen=True, slots=True)
class Spot:
    """A blind spot: `n` streams of a detector of which nothing can be said, and why."""

    detector: str
    signal: str | None
    reason: str | None
    n: int


@dataclass(frozen=True, slots=True)
class Answering:
    """An identity that answered `n` exchanges in the last 24 hours; `model` is what stands behind it, where known."""

    identity: str
    model: Model | None
    n: int


@dataclass(frozen=True, slots=True)
class Used:
    """Of the false-page budget, in the 30 days up to the route's clock.

    `pages` are incidents that reached warning or worse, which is when people are called; `false_alarms` are those of
    them that somebody called a false alarm.
    """

    pages: int = 0
    false_alarms: int = 0


@dataclass(frozen=True, slots=True)
class Entry:
    """One route of a list.

    Attributes:
        learned: exchanges of its baseline, or towards its first one.
        hours: exchanges in each of the last 24 clock hours, the current one last.
        answering: who answered in them, most first, at most 5. headline: of the open incident.
        spots: at most 20.
    """

    glance: Glance
    learned: int
    hours: tuple[int, ...]
    answering: tuple[Answering, ...]
    spots: tuple[Spot, ...]
    used: Used
    headline: str

    @property
    def exchanges(self) -> int:
        """Exchanges of the last 24 clock hours."""
        return sum(self.hours)


def entries(connection: Connection, glances: Sequence[Glance]) -> tuple[Entry, ...]:
    """The routes with all that a list shows of them."""
    if not glances:
        return ()
    names = [glance.route for glance in glances]
    windows = _windows(glances)
    learned, spots, used = _learned(connection, names), _spots(connection, names), _used(connection, windows)
    hours, answered = _traffic(connection, glances, windows)
    models = _models(connection, answered)
    made = []
    for glance in glances:
        route = glance.route
        most = sorted(answered[route].items(), key=lambda item: (-item[1], item[0]))[:MOST_IDENTITIES]
        who = tuple(Answering(identity, models.get((route, identity)), n) for identity, n in most)
        n = glance.pin.n if glance.pin else learned.get(route, 0)
        told = "" if glance.incident is None else msgspec.json.decode(glance.incident.payload, type=_Told).headline
        made.append(
            Entry(glance, n, tuple(hours[route]), who, tuple(spots[route][:MOST_SPOTS]), used.get(route, Used()), told)
        )
    return tuple(made)


class _Told(msgspec.Struct):
    """An incident's record, as far as a list shows it."""

    headline: str = ""


def _first_hour(clock: datetime) -> datetime:
    return clock.replace(minute=0, second=0, microsecond=0) - (HOURS - 1) * _HOUR


def _windows(glances: Iterable[Glance]) -> CTE:
    """Where the last 24 hours and 30 days of each route begin, by its own clock."""
    kinds = column("route", String), column("day", UtcDateTime()), column("month", UtcDateTime())
    clocks = [(glance.route, glance.clock or _LONG_AGO) for glance in glances]
    rows = [(route, _first_hour(clock), clock - MONTH) for route, clock in clocks]
    return values(*kinds, name="windows").data(rows).cte("windows")


def _learned(connection: Connection, names: Sequence[str]) -> dict[str, int]:
    query = select(_STREAMS.c.route, func.max(_STREAMS.c.n)).group_by(_STREAMS.c.route)
    query = query.where(_STREAMS.c.route.in_(names), _STREAMS.c.detector == "baseline")
    return {route: n for route, n in connection.execute(query)}  # noqa: C416 -- rows are tuples of any


def _spots(connection: Connection, names: Sequence[str]) -> Mapping[str, list[Spot]]:
    columns = [_STREAMS.c[name] for name in ("route", "detector", "signal", "reason")]
    joined = _STREAMS.join(_ROUTES, _ROUTES.c.route == _STREAMS.c.route)
    joined = joined.outerjoin(_PINS, _PINS.c.route == _STREAMS.c.route)
    watched = or_(_STREAMS.c.detector == "events", of_this_baseline())
    query = select(*columns, func.count()).select_from(joined).group_by(*columns)
    query = query.where(_STREAMS.c.route.in_(names), unseen(watched))
    found: dict[str, list[Spot]] = defaultdict(list)
    for route, *spot in sorted(connection.execute(query), key=lambda row: tuple(str(part) for part in row)):
        found[route].append(Spot(*spot))
    return found


def _used(connection: Connection, windows: CTE) -> dict[str, Used]:
    called = and_(
        _INCIDENTS.c.route == windows.c.route,
        _INCIDENTS.c.opened_at > windows.c.month,
        _INCIDENTS.c.severity != "info",
    )
    told = func.count(case((_INCIDENTS.c.false_alarm, 1)))
    query = select(windows.c.route, func.count(), told).join(_INCIDENTS, called).group_by(windows.c.route)
    return {route: Used(pages, false) for route, pages, false in connection.execute(query)}


def _traffic(
    connection: Connection, glances: Sequence[Glance], windows: CTE
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
