"""Schedules of suites, and their fire times: each is taken by one process, once."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Final, Literal, cast

from sqlalchemy import Connection, RowMapping, Select, Text, and_, delete, func, or_, select, update
from sqlmodel import Field

from services.store import audit_log
from services.store.dialect import claim
from services.store.tables import EVERYTHING, Base, UtcDateTime, table, visible


class ScheduleRow(Base, table=True):
    """When the suites of a route are run by the clock; `origin` is file or command. `suites` is a JSON list, or null.

    No fire time before `since` counts. `overlap` and `catch_up` are null where they are the usual ones.
    """

    __tablename__ = "schedules"
    route: str = Field(primary_key=True)
    name: str = Field(primary_key=True)
    suites: str | None = Field(default=None, sa_type=Text)
    cron: str
    timezone: str
    enabled: bool
    origin: str
    since: datetime = Field(sa_type=cast(Any, UtcDateTime))
    overlap: str | None = None
    catch_up: str | None = None


class FireTimeRow(Base, table=True):
    """One fire time of a schedule, whoever noticed it first; `missed` says why nothing was run."""

    __tablename__ = "fire_times"
    route: str = Field(primary_key=True)
    schedule: str = Field(primary_key=True)
    fire_time: datetime = Field(primary_key=True, sa_type=cast(Any, UtcDateTime))
    missed: str | None = Field(default=None, sa_type=Text)


Origin = Literal["file", "command"]
Overlap = Literal["skip", "queue"]
CatchUp = Literal["none", "last", "all"]
USUAL_OVERLAP: Final[Overlap] = "queue"
USUAL_CATCH_UP: Final[CatchUp] = "last"
FILE: Final = "file"
_SCHEDULES = table(ScheduleRow)
_FIRES = table(FireTimeRow)


@dataclass(frozen=True, slots=True)
class StoredSchedule:
    """A schedule of one route. `suites` None are those of the route; no fire time up to `since` counts.

    Attributes:
        overlap: whether a fire time whose schedule's runs are not done is skipped, or queued behind them.
        catch_up: which of the fire times of the last day that nobody noticed are run: none, the last, or all.
    """

    route: str
    name: str
    suites: tuple[str, ...] | None
    cron: str
    timezone: str
    enabled: bool
    origin: Origin
    since: datetime
    overlap: Overlap = USUAL_OVERLAP
    catch_up: CatchUp = USUAL_CATCH_UP


def add(connection: Connection, planned: StoredSchedule) -> bool:
    """Write a schedule; False when the route has one of that name."""
    added = claim(connection, _SCHEDULES, _row(planned))
    if added:
        audit_log.note(connection, "schedules", [(planned.route, planned.name)])
    return added


def remove(connection: Connection, route: str, name: str) -> bool:
    """Delete a schedule; False when there is none. Its fire times stay."""
    where = (_SCHEDULES.c.route == route, _SCHEDULES.c.name == name)
    audit_log.guard(connection, "schedules", [(route, name)])
    removed = connection.execute(delete(_SCHEDULES).where(*where)).rowcount == 1
    audit_log.note(connection, "schedules", [(route, name)])
    return removed


def find(connection: Connection, globs: Sequence[str] = EVERYTHING) -> tuple[StoredSchedule, ...]:
    """The schedules of the routes that fit one of `globs`, by route and name."""
    return _read(connection, _planned().where(visible(_SCHEDULES.c.route, globs)))


def page(connection: Connection, globs: Sequence[str], after: tuple[str, str], most: int) -> tuple[StoredSchedule, ...]:
    """At most so many schedules, by route and name, that follow the one of this route and name."""
    route, name = _SCHEDULES.c.route, _SCHEDULES.c.name
    following = or_(route > after[0], and_(route == after[0], name > after[1]))
    return _read(connection, _planned().where(visible(route, globs), following).limit(most))


def _planned() -> Select[Any]:
    columns = [_SCHEDULES.c[name] for name in StoredSchedule.__dataclass_fields__]
    return select(*columns).order_by(_SCHEDULES.c.route, _SCHEDULES.c.name)


def _read(connection: Connection, query: Select[Any]) -> tuple[StoredSchedule, ...]:
    rows = connection.execute(query)
    return tuple(_stored(row) for row in rows.mappings())


def _stored(row: RowMapping) -> StoredSchedule:
    rules = {"overlap": row["overlap"] or USUAL_OVERLAP, "catch_up": row["catch_up"] or USUAL_CATCH_UP}
    return StoredSchedule(**{**row, "suites": _suites(row["suites"]), **rules})


def sync(connection: Connection, wanted: Sequence[StoredSchedule]) -> None:
    """Make the schedules of the monitor file these; one that changed begins anew, those of commands stay."""
    known = {(one.route, one.name): one for one in find(connection)}
    for planned in wanted:
        before = known.pop((planned.route, planned.name), None)
        if before is None:
            add(connection, planned)
        elif before.origin == FILE and _plan(before) != _plan(planned):
            where = (_SCHEDULES.c.route == planned.route, _SCHEDULES.c.name == planned.name)
            audit_log.guard(connection, "schedules", [(planned.route, planned.name)])
            connection.execute(update(_SCHEDULES).where(*where).values(**_row(planned)))
            audit_log.note(connection, "schedules", [(planned.route, planned.name)])
    for gone in known.values():
        if gone.origin == FILE:
            remove(connection, gone.route, gone.name)


def last_fire(connection: Connection, planned: StoredSchedule) -> datetime:
    """The last fire time that was taken, else the time from which they count."""
    where = (_FIRES.c.route == planned.route, _FIRES.c.schedule == planned.name)
    last: datetime | None = connection.execute(select(func.max(_FIRES.c.fire_time)).where(*where)).scalar()
    return planned.since if last is None else max(last, planned.since)


def newest_taken(connection: Connection, planned: StoredSchedule, most: int) -> tuple[datetime, ...]:
    """The newest fire times of a schedule for which runs were asked, at most so many."""
    where = (_FIRES.c.route == planned.route, _FIRES.c.schedule == planned.name, _FIRES.c.missed.is_(None))
    newest = select(_FIRES.c.fire_time).where(*where).order_by(_FIRES.c.fire_time.desc()).limit(most)
    return tuple(connection.execute(newest).scalars())


@dataclass(frozen=True, slots=True)
class LastFire:
    """The last fire time of a schedule that anybody took; `missed` says why nothing was run for it."""

    fire_time: datetime
    missed: str | None


def last_fires(connection: Connection, routes: Iterable[str]) -> dict[tuple[str, str], LastFire]:
    """(route, schedule) -> its last fire time, of all of these routes that have had one."""
    latest = select(_FIRES.c.route, _FIRES.c.schedule, func.max(_FIRES.c.fire_time).label("fire_time"))
    newest = (
        latest.where(_FIRES.c.route.in_(sorted(set(routes)))).group_by(_FIRES.c.route, _FIRES.c.schedule).subquery()
    )
    same = and_(*(_FIRES.c[name] == newest.c[name] for name in ("route", "schedule", "fire_time")))
    rows = connection.execute(select(_FIRES).join(newest, same))
    return {(row.route, row.schedule): LastFire(row.fire_time, row.missed) for row in rows}


def take_fire_time(
    connection: Connection, planned: StoredSchedule, fire_time: datetime, missed: str | None = None
) -> bool:
    """Take one fire time; False when somebody has. `missed` says why nothing is run for it."""
    row = {"route": planned.route, "schedule": planned.name, "fire_time": fire_time, "missed": missed}
    return claim(connection, _FIRES, row)


def _plan(planned: StoredSchedule) -> tuple[object, ...]:
    return planned.suites, planned.cron, planned.timezone, planned.enabled, planned.overlap, planned.catch_up


def _row(planned: StoredSchedule) -> dict[str, Any]:
    rules = {
        "overlap": None if planned.overlap == USUAL_OVERLAP else planned.overlap,
        "catch_up": None if planned.catch_up == USUAL_CATCH_UP else planned.catch_up,
    }
    return {**asdict(planned), "suites": None if planned.suites is None else json.dumps(planned.suites), **rules}


def _suites(text: str | None) -> tuple[str, ...] | None:
    return None if text is None else tuple(json.loads(text))
