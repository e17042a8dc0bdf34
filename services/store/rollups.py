"""Rollups by minute and hour: exchanges, how many were scored, the sum of each signal."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, cast

from sqlalchemy import (
    CTE,
    BigInteger,
    Column,
    ColumnElement,
    Connection,
    Index,
    Select,
    String,
    Table,
    and_,
    column,
    func,
    literal_column,
    select,
    text,
    values,
)
from sqlmodel import Field

from services.store.dialect import add_up, seconds_of
from services.store.tables import WRITTEN, Base, UtcDateTime, table, today


class RollupRow(Base, table=True):
    """One minute of one signal: `n` exchanges, `scored` of them, the `sum` of their values (Booleans: how many true).

    `slice` is empty for the whole route, else `dimension=value`; `signal` is empty for the exchanges themselves.
    """

    __tablename__ = "rollups"
    __table_args__ = (Index(None, "written"),)
    route: str = Field(primary_key=True)
    minute: datetime = Field(primary_key=True, sa_type=cast(Any, UtcDateTime))
    identity: str = Field(primary_key=True)
    slice: str = Field(primary_key=True)
    signal: str = Field(primary_key=True)
    n: int = Field(sa_type=BigInteger)
    scored: int = Field(sa_type=BigInteger)
    sum: float
    written: int = Field(default=0, sa_column_kwargs=WRITTEN)


_EXCHANGES: Final = text("slice = '' AND signal = ''")


class HourlyRollupRow(Base, table=True):
    """One hour of one signal, with the columns of `RollupRow`: a month of minutes is too much to add up for a page."""

    __tablename__ = "rollups_hourly"
    __table_args__ = (
        Index(None, "route", "identity", "hour", sqlite_where=_EXCHANGES, postgresql_where=_EXCHANGES),
        Index(None, "route", "hour", sqlite_where=_EXCHANGES, postgresql_where=_EXCHANGES),
        Index(None, "written"),
        {"sqlite_with_rowid": False},
    )
    route: str = Field(primary_key=True)
    hour: datetime = Field(primary_key=True, sa_type=cast(Any, UtcDateTime))
    identity: str = Field(primary_key=True)
    slice: str = Field(primary_key=True)
    signal: str = Field(primary_key=True)
    n: int = Field(sa_type=BigInteger)
    scored: int = Field(sa_type=BigInteger)
    sum: float
    written: int = Field(default=0, sa_column_kwargs=WRITTEN)


_HOUR: Final = timedelta(hours=1)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_SUMS: Final = ("n", "scored", "sum")
KEPT_MINUTES: Final = 30
KEPT_HOURS: Final = 400
"""Days since they were written: a month of minutes, a year of hours and a month to compare it with."""
_ROLLUPS = table(RollupRow)
_HOURLY = table(HourlyRollupRow)


RollupAddition = tuple[str, datetime, str, str, str, int, int, float]
"""What is added to one signal in one minute (or hour): the columns of `RollupRow` but the day."""


@dataclass(frozen=True, slots=True)
class RollupRate:
    """One signal over a span of time: `n` exchanges, `scored` of them, the `sum` of their values.

    For a Boolean the sum is how many were true. `signal` is empty for the exchanges themselves.
    """

    identity: str
    slice: str
    signal: str
    n: int
    scored: int
    sum: float

    @property
    def mean(self) -> float | None:
        """Mean of the scored ones, a rate for Booleans; None when nothing was scored."""
        return self.sum / self.scored if self.scored else None


@dataclass(frozen=True, slots=True)
class RollupPoint:
    """One signal in one step of time that begins at `ts`; `n`, `scored` and `sum` as in `RollupRate`."""

    ts: datetime
    signal: str
    n: int
    scored: int
    sum: float


def add(connection: Connection, rows: Sequence[RollupAddition]) -> None:
    """Add the rows, each key once, to what is stored, by minute and by hour."""
    day = (today(),)
    for some, added in ((_ROLLUPS, rows), (_HOURLY, _by_hour(rows))):
        add_up(connection, some, [row + day for row in added], _SUMS, ("written",))


def rates(
    connection: Connection,
    route: str,
    since: datetime | None = None,
    until: datetime | None = None,
    slice: str | None = "",
) -> tuple[RollupRate, ...]:
    """Rates of the route in [since, until), by identity, slice and signal; `slice=None` gives all slices."""
    found: dict[tuple[str, str, str], tuple[int, int, float]] = {}
    for some, first, last in _spans(since, until):
        keys = (some.c.identity, some.c.slice, some.c.signal)
        query = select(*keys, *(func.sum(some.c[name]) for name in _SUMS)).where(some.c.route == route).group_by(*keys)
        query = query.where(*_within(_time(some), first, last))
        if slice is not None:
            query = query.where(some.c.slice == slice)
        for identity, label, signal, n, scored, value in connection.execute(query):
            before = found.get((identity, label, signal), (0, 0, 0.0))
            found[identity, label, signal] = (before[0] + int(n), before[1] + int(scored), before[2] + float(value))
    return tuple(RollupRate(*key, *sums) for key, sums in sorted(found.items()))


def rates_of_routes(
    connection: Connection, windows: Mapping[str, tuple[datetime, datetime]]
) -> dict[str, tuple[RollupRate, ...]]:
    """What `rates` finds of each route as a whole in its own [since, until), in two statements for all of them.

    Slices make most of the rows and lie between those that are wanted: each place of a key is looked up by itself.
    """
    spans = [
        (some, route, first, last)
        for route, window in sorted(windows.items())
        for some, first, last in _spans(*window)
        if first is not None and last is not None and first < last
    ]
    found: dict[str, dict[tuple[str, str], tuple[int, int, float]]] = defaultdict(dict)
    for some, looked_up in ((_HOURLY, _whole_hours), (_ROLLUPS, _single_minutes)):
        asked = [span[1:] for span in spans if span[0] is some]
        for route, identity, signal, n, scored, value in connection.execute(looked_up(asked)) if asked else ():
            before = found[route].get((identity, signal), (0, 0, 0.0))
            found[route][identity, signal] = (before[0] + int(n), before[1] + int(scored), before[2] + float(value))
    return {
        route: tuple(RollupRate(identity, "", signal, *sums) for (identity, signal), sums in sorted(some.items()))
        for route, some in found.items()
    }


def _whole_hours(spans: Sequence[tuple[str, datetime, datetime]]) -> Select[Any]:
    """The sums over spans of whole hours, of each hour in which somebody answered."""
    who, some = _answered(spans, "hour"), _HOURLY
    place = (some.c.route == who.c.route, some.c.hour == who.c.hour, some.c.identity == who.c.identity)
    return _sums_of(some).select_from(who).join(some, and_(*place, some.c.slice == ""))


def _single_minutes(spans: Sequence[tuple[str, datetime, datetime]]) -> Select[Any]:
    """The sums over spans within hours, of each minute in which something came and who answered in its hour."""
    asked, some = _asked(spans), _ROLLUPS
    next_minute = select(func.min(some.c.minute))
    first = next_minute.where(some.c.route == asked.c.route, *_between(some.c.minute, asked)).scalar_subquery()
    minutes = select(asked.c.route, first.label("minute"), asked.c.until).cte("minutes", recursive=True)
    later = next_minute.where(
        some.c.route == minutes.c.route, some.c.minute > minutes.c.minute, some.c.minute < minutes.c.until
    )
    minutes = minutes.union_all(
        select(minutes.c.route, later.scalar_subquery(), minutes.c.until).where(minutes.c.minute.is_not(None))
    )
    who = _answered([(route, _down(since), until) for route, since, until in spans])
    query = _sums_of(some).select_from(minutes).join(who, who.c.route == minutes.c.route)
    place = (some.c.route == minutes.c.route, some.c.minute == minutes.c.minute, some.c.identity == who.c.identity)
    return query.join(some, and_(*place, some.c.slice == ""))


def _answered(spans: Sequence[tuple[str, datetime, datetime]], *more: str) -> CTE:
    """Who answered on which route, from the index of the exchanges; `distinct` also keeps SQLite from another order."""
    hours = _asked(spans, "hours")
    exchanges: ColumnElement[bool] = literal_column("rollups_hourly.slice = '' AND rollups_hourly.signal = ''")
    within = and_(_HOURLY.c.route == hours.c.route, *_between(_HOURLY.c.hour, hours), exchanges)
    columns = (_HOURLY.c[name] for name in ("route", "identity", *more))
    return select(*columns).select_from(hours).join(_HOURLY, within).distinct().cte("who")


def _asked(spans: Sequence[tuple[str, datetime, datetime]], name: str = "asked") -> CTE:
    kinds = column("route", String), column("since", UtcDateTime()), column("until", UtcDateTime())
    return values(*kinds, name=f"{name}_rows").data(list(spans)).cte(name)


def _between(time: Column[datetime], asked: CTE) -> tuple[Any, Any]:
    return time >= asked.c.since, time < asked.c.until


def _sums_of(some: Any) -> Select[Any]:
    keys = (some.c.route, some.c.identity, some.c.signal)
    return select(*keys, *(func.sum(some.c[name]) for name in _SUMS)).group_by(*keys)


def points(
    connection: Connection,
    route: str,
    window: tuple[datetime, datetime],
    step: timedelta,
    *,
    slice: str = "",
    identity: str | None = None,
    signal: str | None = None,
) -> tuple[RollupPoint, ...]:
    """Every signal, or one, in steps of time over [since, until), which are whole steps since 1970; by time and signal.

    Steps in which nothing arrived are left out.
    """
    some = _ROLLUPS if step % _HOUR else _HOURLY
    size = step // timedelta(seconds=1)
    place = (seconds_of(connection, _time(some)) // literal_column(str(size))).label("place")
    query = select(place, some.c.signal, *(func.sum(some.c[name]) for name in _SUMS)).where(some.c.route == route)
    query = query.where(*_within(_time(some), *window), some.c.slice == slice)
    if identity is not None:
        query = query.where(some.c.identity == identity)
    if signal is not None:
        query = query.where(some.c.signal == signal)
    found = sorted(tuple(row) for row in connection.execute(query.group_by(place, some.c.signal)))
    return tuple(
        RollupPoint(datetime.fromtimestamp(int(at) * size, UTC), name, int(n), int(scored), float(value))
        for at, name, n, scored, value in found
    )


def identities_seen(connection: Connection, route: str) -> dict[str, tuple[datetime, datetime]]:
    """Identity -> the hours in which it answered first and last on the route."""
    hour = _HOURLY.c.hour
    query = select(_HOURLY.c.identity, func.min(hour), func.max(hour)).where(
        _HOURLY.c.route == route, literal_column("slice = '' AND signal = ''")
    )
    return {identity: (first, last) for identity, first, last in connection.execute(query.group_by(_HOURLY.c.identity))}


def _time(some: Table) -> Column[datetime]:
    return some.c.hour if some is _HOURLY else some.c.minute


def _within(time: Column[datetime], since: datetime | None, until: datetime | None) -> Iterator[Any]:
    if since is not None:
        yield time >= since
    if until is not None:
        yield time < until


def _spans(since: datetime | None, until: datetime | None) -> Iterator[tuple[Table, datetime | None, datetime | None]]:
    """The window as whole hours, and the minutes before and after them."""
    first = None if since is None else -(-(since - _EPOCH) // _HOUR) * _HOUR + _EPOCH
    last = None if until is None else _down(until)
    if first is not None and last is not None and first >= last:
        yield _ROLLUPS, since, until
        return
    yield _HOURLY, first, last
    if first != since:
        yield _ROLLUPS, since, first
    if last != until:
        yield _ROLLUPS, last, until


def _down(time: datetime) -> datetime:
    return (time - _EPOCH) // _HOUR * _HOUR + _EPOCH


def _by_hour(rows: Iterable[RollupAddition]) -> list[RollupAddition]:
    """Rows of minutes, added up by hour: each key once, in the order of the rows."""
    hours: dict[datetime, datetime] = {}
    total: dict[tuple[str, datetime, str, str, str], tuple[int, int, float]] = {}
    for route, minute, identity, label, signal, n, scored, value in rows:
        if (hour := hours.get(minute)) is None:
            hour = hours[minute] = minute.replace(minute=0)
        key = (route, hour, identity, label, signal)
        before = total.get(key)
        after = (n, scored, value) if before is None else (before[0] + n, before[1] + scored, before[2] + value)
        total[key] = after
    return [(*key, *sums) for key, sums in total.items()]
