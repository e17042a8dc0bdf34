"""Readings: the newest of each stream, and a bounded history."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, cast

import msgspec
from sqlalchemy import (
    BigInteger,
    Connection,
    Index,
    Select,
    Text,
    delete,
    or_,
    select,
)
from sqlmodel import Field

from schemas.base import hash16
from schemas.reading import Reading
from services.specs import HELD, LEARNING
from services.store.dialect import insert_new, upsert
from services.store.tables import ANY_TIME, Base, TimeSpan, UtcDateTime, table


class ReadingRow(Base, table=True):
    """One reading; `stream` is the hash of what it speaks of."""

    __tablename__ = "readings"
    __table_args__ = (Index(None, "route", "stream", "event_index", "id"),)
    id: str = Field(primary_key=True)
    route: str
    stream: str
    event_index: int = Field(sa_type=BigInteger)
    ts: datetime = Field(sa_type=cast(Any, UtcDateTime))
    status: str
    payload: str = Field(sa_type=Text)


class StreamRow(Base, table=True):
    """The newest reading of one stream: `id` is that of its row in `readings`, `n` and `baseline` of its evidence."""

    __tablename__ = "streams"
    __table_args__ = (Index(None, "route", "status"),)
    route: str = Field(primary_key=True)
    stream: str = Field(primary_key=True)
    event_index: int = Field(sa_type=BigInteger)
    id: str
    ts: datetime = Field(sa_type=cast(Any, UtcDateTime))
    status: str
    detector: str
    signal: str | None = None
    baseline: str | None = None
    n: int = Field(sa_type=BigInteger)
    reason: str | None = Field(default=None, sa_type=Text)


@dataclass(frozen=True, slots=True)
class ReadingFilter:
    """Which readings: of one signal, of that time."""

    signal: str | None = None
    span: TimeSpan = ANY_TIME


KEPT_READINGS: Final = 200
ANY_READING: Final = ReadingFilter()
_READINGS = table(ReadingRow)
_STREAMS = table(StreamRow)
_ORDER: Final = ("event_index", "id")


def add(connection: Connection, readings: Sequence[Reading]) -> None:
    """Insert the readings whose id is not there yet; of each stream the newest 200 stay."""
    insert_new(connection, _READINGS, [_row(reading) for reading in readings])
    against_baseline = [reading for reading in readings if reading.again is None]  # how a stream stands says that alone
    upsert(connection, _STREAMS, _newest(against_baseline), newer=_ORDER)
    for route, stream in sorted({(reading.route, stream_of(reading)) for reading in readings}):
        _prune(connection, route, stream)


def latest(connection: Connection, route: str) -> tuple[Reading, ...]:
    """The newest reading of each stream of the route."""
    found = streams(connection, route, None, None)
    return tuple(sorted(found, key=lambda reading: (reading.detector, stream_of(reading))))


def streams(
    connection: Connection, route: str, after: str | None, most: int | None, wanted: ReadingFilter = ANY_READING
) -> tuple[Reading, ...]:
    """The newest reading of each stream of the route, by stream; at most so many that follow stream `after`."""
    query = select(_READINGS.c.payload).join(_STREAMS, _STREAMS.c.id == _READINGS.c.id)
    query = query.where(_STREAMS.c.route == route, wanted.span.holds(_STREAMS.c.ts))
    if wanted.signal is not None:
        query = query.where(_STREAMS.c.signal == wanted.signal)
    if after is not None:
        query = query.where(_STREAMS.c.stream > after)
    return _decoded(connection, query.order_by(_STREAMS.c.stream).limit(most))


def history(
    connection: Connection,
    route: str,
    stream: str,
    after: tuple[int, str] | None,
    most: int,
    wanted: ReadingFilter = ANY_READING,
) -> tuple[Reading, ...]:
    """At most so many readings of one stream, newest first, that follow the one with this event index and id."""
    one = _READINGS.c
    query = select(one.payload).where(one.route == route, one.stream == stream, wanted.span.holds(one.ts))
    if wanted.signal is not None:
        of_signal = select(_STREAMS.c.stream).where(_STREAMS.c.route == route, _STREAMS.c.signal == wanted.signal)
        query = query.where(one.stream.in_(of_signal))
    if after is not None:
        index, id = after
        query = query.where(or_(one.event_index < index, (one.event_index == index) & (one.id < id)))
    return _decoded(connection, query.order_by(one.event_index.desc(), one.id.desc()).limit(most))


def _decoded(connection: Connection, query: Select[Any]) -> tuple[Reading, ...]:
    return tuple(Reading.decode(payload.encode()) for payload in connection.execute(query).scalars())


def held_back(connection: Connection, routes: Sequence[str]) -> dict[str, str]:
    """Route -> why a ceiling held its first baseline back last, of those where one did; also once one was pinned."""
    query = select(_STREAMS.c.route, _STREAMS.c.reason)
    query = query.where(_STREAMS.c.route.in_(routes), _STREAMS.c.detector == LEARNING, _STREAMS.c.signal == HELD)
    return {route: reason for route, reason in connection.execute(query) if reason is not None}


def learning_of(connection: Connection, routes: Sequence[str]) -> dict[str, Reading]:
    """Route -> how far it last said that it has learned, of those that ever said so."""
    streams = {hash16([route, None, "baseline", None, None, None]): route for route in routes}
    query = select(_READINGS.c.payload).join(_STREAMS, _STREAMS.c.id == _READINGS.c.id)
    query = query.where(_STREAMS.c.route.in_(routes), _STREAMS.c.stream.in_(streams))
    found = (Reading.decode(payload.encode()) for payload in connection.execute(query).scalars())
    return {reading.route: reading for reading in found}


@dataclass(frozen=True, slots=True)
class LearningTimes:
    """When it was first told of a route that it learns (as far as that is kept), when it last began to, and the newest.

    `began` is None where that is not kept; `told` is when it had learned what is known of it.
    """

    since: datetime
    began: datetime | None
    told: datetime


def learning_times(connection: Connection, routes: Sequence[str]) -> dict[str, LearningTimes]:
    """Route -> when what was told of its learning, of those of which it ever was."""
    streams = [hash16([route, None, LEARNING, None, None, None]) for route in routes]
    query = select(_READINGS.c.route, _READINGS.c.ts, _READINGS.c.payload).order_by(_READINGS.c.event_index)
    query = query.where(_READINGS.c.route.in_(routes), _READINGS.c.stream.in_(streams))
    found: dict[str, LearningTimes] = {}
    for route, ts, payload in connection.execute(query):
        before = found.get(route, LearningTimes(ts, None, ts))
        begins = msgspec.json.decode(payload, type=_LearningRecord).evidence.n <= 1
        found[route] = LearningTimes(before.since, ts if begins else before.began, ts)
    return found


class _LearnedRecord(msgspec.Struct):
    """The evidence of a reading, as far as it says how far a route has learned."""

    n: int = 0


class _LearningRecord(msgspec.Struct):
    """A reading's record, as far as it says how far a route has learned."""

    evidence: _LearnedRecord


def stream_of(reading: Reading) -> str:
    """16 hex of what a reading speaks of; that it changed again is no word on what is held against the baseline."""
    return hash16(_spoken_of(reading) if reading.again is None else [*_spoken_of(reading), "again"])


def further_streams(connection: Connection, route: str, streams: Sequence[str]) -> list[str]:
    """Where it is told that behaviour changed again, of those among these streams of which it can be told."""
    query = select(_READINGS.c.payload).join(_STREAMS, _STREAMS.c.id == _READINGS.c.id)
    newest = _decoded(connection, query.where(_STREAMS.c.route == route, _STREAMS.c.stream.in_(streams)))
    return [hash16([*_spoken_of(one), "again"]) for one in newest]


def _spoken_of(reading: Reading) -> list[str | None]:
    return [reading.route, reading.identity, reading.detector, reading.signal, reading.hazard, reading.slice]


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
