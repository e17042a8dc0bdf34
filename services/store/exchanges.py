"""Scored exchanges with their redacted text, where that was kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, Select, and_, select

from schemas.sample import Sample
from services.store.tables import SampleRow, ScoreRow, table

_ROWS = table(ScoreRow)
_SAMPLES = table(SampleRow)
_SIGNALS = msgspec.json.Decoder(dict[str, tuple[bool | float | None, float | None, str]])


@dataclass(frozen=True, slots=True)
class Scored:
    """One exchange: what was measured, and its redacted text or None where that was not kept.

    Attributes:
        event_index: its number on the route; None when its score row is beyond what is kept.
        signals: name -> value, probability and whether it was scored; None likewise.
    """

    id: str
    route: str
    ts: datetime
    identity: str
    event_index: int | None
    flags: tuple[str, ...]
    signals: Mapping[str, tuple[bool | float | None, float | None, str]] | None
    sample: Sample | None


def page(
    connection: Connection,
    route: str,
    before: int | None,
    most: int,
    *,
    identity: str | None = None,
    signal: str | None = None,
    kept: bool = False,
) -> tuple[Scored, ...]:
    """At most so many exchanges of the route before this event index, newest first.

    `signal` gives those of which it was true, `kept` those whose text was kept.
    """
    query = _query(kept).where(_ROWS.c.route == route).order_by(_ROWS.c.event_index.desc()).limit(most)
    if before is not None:
        query = query.where(_ROWS.c.event_index < before)
    if identity is not None:
        query = query.where(_ROWS.c.identity == identity)
    if signal is not None:
        query = query.where(_ROWS.c.signals.contains(f'"{signal}":[true', autoescape=True))
    return tuple(_scored(row) for row in connection.execute(query))


def get(connection: Connection, route: str, id: str) -> Scored | None:
    """One exchange by its id; of one whose score row is gone the text alone."""
    query = _query(False).where(_ROWS.c.route == route, _ROWS.c.id == id).order_by(_ROWS.c.event_index.desc())
    row = connection.execute(query.limit(1)).one_or_none()
    if row is not None:
        return _scored(row)
    kept = select(_SAMPLES.c.payload).where(_SAMPLES.c.route == route, _SAMPLES.c.id == id)
    payload = connection.execute(kept).scalar_one_or_none()
    if payload is None:
        return None
    sample = Sample.decode(payload.encode())
    return Scored(sample.id, route, sample.ts, sample.identity, None, (), None, sample)


def _query(kept: bool) -> Select[Any]:
    columns = [_ROWS.c[name] for name in ("id", "route", "ts", "identity", "event_index", "flags", "signals")]
    same = and_(_SAMPLES.c.route == _ROWS.c.route, _SAMPLES.c.id == _ROWS.c.id)
    return select(*columns, _SAMPLES.c.payload).select_from(_ROWS.join(_SAMPLES, same, isouter=not kept))


def _scored(row: Row[Any]) -> Scored:
    return Scored(
        row.id,
        row.route,
        row.ts,
        row.identity,
        row.event_index,
        tuple(msgspec.json.decode(row.flags)),
        _SIGNALS.decode(row.signals),
        None if row.payload is None else Sample.decode(row.payload.encode()),
    )
