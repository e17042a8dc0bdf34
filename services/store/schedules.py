"""Schedules of suites, and their fire times: each is taken by one process, once."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Final, Literal

from sqlalchemy import Connection, delete, func, select, update

from services.store.dialect import claim
from services.store.run_tables import FireTimeRow, ScheduleRow
from services.store.tables import table

Origin = Literal["file", "command"]
FILE: Final = "file"
_SCHEDULES = table(ScheduleRow)
_FIRES = table(FireTimeRow)


@dataclass(frozen=True, slots=True)
class Planned:
    """A schedule of one route. `suites` None are those of the route; no fire time up to `since` counts."""

    route: str
    name: str
    suites: tuple[str, ...] | None
    cron: str
    timezone: str
    enabled: bool
    origin: Origin
    since: datetime


def add(connection: Connection, planned: Planned) -> bool:
    """Write a schedule; False when the route has one of that name."""
    return claim(connection, _SCHEDULES, _row(planned))


def remove(connection: Connection, route: str, name: str) -> bool:
    """Delete a schedule; False when there is none. Its fire times stay."""
    where = (_SCHEDULES.c.route == route, _SCHEDULES.c.name == name)
    return connection.execute(delete(_SCHEDULES).where(*where)).rowcount == 1


def find(connection: Connection) -> tuple[Planned, ...]:
    """All schedules, by route and name."""
    columns = [_SCHEDULES.c[name] for name in Planned.__dataclass_fields__]
    rows = connection.execute(select(*columns).order_by(_SCHEDULES.c.route, _SCHEDULES.c.name))
    return tuple(Planned(**{**row, "suites": _suites(row["suites"])}) for row in rows.mappings())


def sync(connection: Connection, wanted: Sequence[Planned]) -> None:
    """Make the schedules of the monitor file these; one that changed begins anew, those of commands stay."""
    known = {(one.route, one.name): one for one in find(connection)}
    for planned in wanted:
        before = known.pop((planned.route, planned.name), None)
        if before is None:
            add(connection, planned)
        elif before.origin == FILE and _plan(before) != _plan(planned):
            where = (_SCHEDULES.c.route == planned.route, _SCHEDULES.c.name == planned.name)
            connection.execute(update(_SCHEDULES).where(*where).values(**_row(planned)))
    for gone in known.values():
        if gone.origin == FILE:
            remove(connection, gone.route, gone.name)


def last_fire(connection: Connection, planned: Planned) -> datetime:
    """The last fire time that was taken, else the time from which they count."""
    where = (_FIRES.c.route == planned.route, _FIRES.c.schedule == planned.name)
    last: datetime | None = connection.execute(select(func.max(_FIRES.c.fire_time)).where(*where)).scalar()
    return planned.since if last is None else max(last, planned.since)


def take(connection: Connection, planned: Planned, fire_time: datetime, missed: str | None = None) -> bool:
    """Take one fire time; False when somebody has. `missed` says why nothing is run for it."""
    row = {"route": planned.route, "schedule": planned.name, "fire_time": fire_time, "missed": missed}
    return claim(connection, _FIRES, row)


def _plan(planned: Planned) -> tuple[object, ...]:
    return planned.suites, planned.cron, planned.timezone, planned.enabled


def _row(planned: Planned) -> dict[str, Any]:
    return {**asdict(planned), "suites": None if planned.suites is None else json.dumps(planned.suites)}


def _suites(text: str | None) -> tuple[str, ...] | None:
    return None if text is None else tuple(json.loads(text))
