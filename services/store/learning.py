"""What is stored of how fast routes learn what is normal: since when, and what was answered by hour."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import CTE, ColumnElement, Connection, String, and_, column, func, literal_column, select, values

from services.store.readings import LearningTimes, learning_times
from services.store.rollups import HourlyRollupRow
from services.store.tables import UtcDateTime, table

HOURS: Final = 24
_HOUR: Final = timedelta(hours=1)
_LONGEST: Final = timedelta(days=31)
"""Further back than so much it is not counted who answered."""
_HOURLY = table(HourlyRollupRow)


@dataclass(frozen=True, slots=True)
class LearningTraffic:
    """What a route that learns its first baseline learns it from.

    Attributes:
        times: since when it learns, and when it had learned what is known.
        hours: exchanges answered in each of the 24 clock hours up to its clock, that of the clock last, by the
            identity that has answered most since it began: a baseline is of one identity.
    """

    times: LearningTimes
    hours: tuple[int, ...]


def traffic_of(connection: Connection, clocks: Mapping[str, datetime]) -> dict[str, LearningTraffic]:
    """Route -> what it learns from, of those that ever said that they learn, in three statements for all of them.

    `clocks` are the routes that learn, each with the time of its last exchange.
    """
    told = learning_times(connection, sorted(clocks)) if clocks else {}
    if not told:
        return {}
    answered = _answered(connection, {route: (clocks[route], told[route]) for route in told})
    return {route: LearningTraffic(told[route], hours) for route, hours in answered.items()}


def first_hour(clock: datetime) -> datetime:
    """Where the first of the 24 clock hours begins of which the last is that of the clock."""
    return clock.replace(minute=0, second=0, microsecond=0) - (HOURS - 1) * _HOUR


def _answered(connection: Connection, told: Mapping[str, tuple[datetime, LearningTimes]]) -> dict[str, tuple[int, ...]]:
    """Route -> what its identity answered in each of the 24 hours."""
    first = {route: first_hour(clock) for route, (clock, _) in told.items()}
    learns = {
        route: max(first_hour(times.began or times.since) + (HOURS - 1) * _HOUR, clock - _LONGEST)
        for route, (clock, times) in told.items()
    }
    total: dict[str, dict[str, int]] = defaultdict(dict)
    spans, hourly = _spans(learns), _HOURLY.c
    query = (
        select(spans.c.route, hourly.identity, func.sum(hourly.scored)).select_from(spans).join(_HOURLY, _within(spans))
    )
    for route, identity, n in connection.execute(query.group_by(spans.c.route, hourly.identity)):
        total[route][identity] = int(n)
    most = {route: max(some, key=lambda who: (some[who], who)) for route, some in total.items()}
    hours = {route: [0] * HOURS for route in told}
    spans = _spans(first)
    by_hour = select(spans.c.route, hourly.hour, hourly.identity, hourly.scored).select_from(spans)
    for route, ts, identity, n in connection.execute(by_hour.join(_HOURLY, _within(spans))):
        place = (ts - first[route]) // _HOUR
        if place < HOURS and identity == most.get(route):
            hours[route][place] += n
    return {route: tuple(some) for route, some in hours.items()}


def _spans(since: Mapping[str, datetime]) -> CTE:
    kinds = column("route", String), column("since", UtcDateTime())
    return values(*kinds, name="learns").data(sorted(since.items())).cte("spans")


def _within(spans: CTE) -> Any:
    """The hours of the route as a whole since then; `scored` of the exchanges themselves are those answered."""
    exchanges: ColumnElement[bool] = literal_column("rollups_hourly.slice = '' AND rollups_hourly.signal = ''")
    return and_(_HOURLY.c.route == spans.c.route, _HOURLY.c.hour >= spans.c.since, exchanges)
