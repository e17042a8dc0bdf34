"""Readings: the newest of each stream, and a bounded history."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import Connection, delete, or_, select

from schemas.base import hash16
from schemas.reading import Reading
from services.store.dialect import insert_new, upsert
from services.store.fleet_tables import StreamRow
from services.store.tables import ReadingRow, table

KEPT_READINGS: Final = 200
_READINGS = table(ReadingRow)
_STREAMS = table(StreamRow)
_ORDER: Final = ("event_index", "id")


def add(connection: Connection, readings: Sequence[Reading]) -> None:
    """Insert the readings whose id is not there yet; of each stream the newest 200 stay."""
    insert_new(connection, _READINGS, [_row(reading) for reading in readings])
    upsert(connection, _STREAMS, _newest(readings), newer=_ORDER)
    for route, stream in sorted({(reading.route, stream_of(reading)) for reading in readings}):
        _prune(connection, route, stream)


def latest(connection: Connection, route: str) -> tuple[Reading, ...]:
    """The newest reading of each stream of the route."""
    query = select(_READINGS.c.payload).join(_STREAMS, _STREAMS.c.id == _READINGS.c.id)
    found = connection.execute(query.where(_STREAMS.c.route == route)).scalars()
    readings = (Reading.decode(payload.encode()) for payload in found)
    return tuple(sorted(readings, key=lambda reading: (reading.detector, stream_of(reading))))


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


def _newest(readings: Sequence[Reading]) -> list[dict[str, Any]]:
    """Rows of the newest reading of each stream."""
    found: dict[tuple[str, str], Reading] = {}
    for reading in sorted(readings, key=lambda one: (one.event_index, one.id)):
        found[reading.route, stream_of(reading)] = reading
    return [_head(stream, reading) for (_, stream), reading in sorted(found.items(), key=lambda item: item[0])]


def _head(stream: str, reading: Reading) -> dict[str, Any]:
    return {
        "route": reading.route,
        "stream": stream,
        "event_index": reading.event_index,
        "id": reading.id,
        "ts": reading.ts,
        "status": reading.status,
        "detector": reading.detector,
        "signal": reading.signal,
        "baseline": reading.evidence.baseline,
        "n": reading.evidence.n,
        "reason": reading.reason,
    }


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
