"""Readings: the latest of each stream, and a bounded history."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import Connection, and_, delete, func, or_, select

from schemas.base import hash16
from schemas.reading import Reading
from services.store.dialect import insert_new
from services.store.tables import ReadingRow, table

KEPT_READINGS: Final = 200
_READINGS = table(ReadingRow)


def add(connection: Connection, readings: Sequence[Reading]) -> None:
    """Insert the readings whose id is not there yet; of each stream the newest 200 stay."""
    insert_new(connection, _READINGS, [_row(reading) for reading in readings])
    for route, stream in sorted({(reading.route, stream_of(reading)) for reading in readings}):
        _prune(connection, route, stream)


def latest(connection: Connection, route: str) -> tuple[Reading, ...]:
    """The newest reading of each stream of the route."""
    newest = (
        select(
            _READINGS.c.payload,
            func.row_number()
            .over(partition_by=_READINGS.c.stream, order_by=(_READINGS.c.event_index.desc(), _READINGS.c.id.desc()))
            .label("place"),
        )
        .where(_READINGS.c.route == route)
        .subquery()
    )
    found = connection.execute(select(newest.c.payload).where(newest.c.place == 1)).scalars()
    readings = (Reading.decode(payload.encode()) for payload in found)
    return tuple(sorted(readings, key=lambda reading: (reading.detector, stream_of(reading))))


def learning_of(connection: Connection, routes: Sequence[str]) -> dict[str, Reading]:
    """Route -> how far it last said that it has learned, of those that ever said so."""
    streams = {hash16([route, None, "baseline", None, None, None]): route for route in routes}
    of_them = (_READINGS.c.route.in_(routes), _READINGS.c.stream.in_(streams))
    newest = (
        select(_READINGS.c.route, _READINGS.c.stream, func.max(_READINGS.c.event_index).label("last"))
        .where(*of_them)
        .group_by(_READINGS.c.route, _READINGS.c.stream)
        .subquery()
    )
    same = and_(*(_READINGS.c[name] == newest.c[name] for name in ("route", "stream")))
    query = select(_READINGS.c.payload).join(newest, and_(same, _READINGS.c.event_index == newest.c["last"]))
    found = (Reading.decode(payload.encode()) for payload in connection.execute(query).scalars())
    return {reading.route: reading for reading in found}


def stream_of(reading: Reading) -> str:
    """16 hex of what a reading speaks of."""
    return hash16([reading.route, reading.identity, reading.detector, reading.signal, reading.hazard, reading.slice])


def _prune(connection: Connection, route: str, stream: str) -> None:
    of_stream = (_READINGS.c.route == route, _READINGS.c.stream == stream)
    order = (_READINGS.c.event_index.desc(), _READINGS.c.id.desc())
    query = select(_READINGS.c.event_index, _READINGS.c.id).where(*of_stream).order_by(*order)
    cut = connection.execute(query.offset(KEPT_READINGS).limit(1)).one_or_none()
    if cut is not None:
        index, id = _READINGS.c.event_index, _READINGS.c.id
        older = or_(index < cut.event_index, (index == cut.event_index) & (id <= cut.id))
        connection.execute(delete(_READINGS).where(*of_stream, older))


def _row(reading: Reading) -> dict[str, Any]:
    return {
        "id": reading.id,
        "route": reading.route,
        "stream": stream_of(reading),
        "event_index": reading.event_index,
        "ts": reading.ts,
        "status": reading.status,
        "payload": reading.encode().decode(),
    }
