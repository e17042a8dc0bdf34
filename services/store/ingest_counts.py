"""What came in, by day, route, source and format: how many exchanges, what they lack, and why calls were refused.

Counted to be read by people. No text of an exchange is kept, and no reason quotes one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

import msgspec
from sqlalchemy import Connection, Text, select, tuple_
from sqlmodel import Field

from services.store.dialect import lock, upsert
from services.store.tables import WRITTEN, Base, table, today, visible

KEPT_DAYS: Final = 7
MOST_REASONS: Final = 50
OTHER: Final = "other reasons"
TOPIC: Final = "topic "
KEY: Final = "key "
NO_KEY: Final = "API without a key"
NATIVE: Final = "native"
NO_ROUTE: Final = ""
"""Of what was refused: it may name none."""


class IngestCountRow(Base, table=True):
    """A day of one route, source and format; `payload` is the counts as JSON."""

    __tablename__ = "ingest_counts"
    route: str = Field(primary_key=True)
    source: str = Field(primary_key=True)
    format: str = Field(primary_key=True)
    day: int = Field(primary_key=True)
    payload: str = Field(sa_type=Text)
    written: int = Field(default=0, sa_column_kwargs=WRITTEN)


_COUNTS = table(IngestCountRow)
Place = tuple[str, str, str]
"""Route, source, format. A source is `topic NAME` or `key NAME`."""


@dataclass(slots=True)
class IngestCounts:
    """How many exchanges came, how many lack each part or hold what is not monitored, and why calls were refused."""

    exchanges: int = 0
    lacks: Counter[str] = field(default_factory=Counter)
    not_monitored: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)

    def add(self, other: IngestCounts) -> None:
        """Add what another counted; of reasons the first 50 are told apart."""
        self.exchanges += other.exchanges
        self.lacks.update(other.lacks)
        self.not_monitored.update(other.not_monitored)
        for reason, n in other.refused.items():
            self.refuse(reason, n)

    def refuse(self, reason: str, n: int = 1) -> None:
        """Count calls that were refused."""
        known = reason in self.refused or len(self.refused.keys() - {OTHER}) < MOST_REASONS
        self.refused[reason if known else OTHER] += n


def _packed(counts: IngestCounts) -> str:
    told = {"exchanges": counts.exchanges}
    named = {name: dict(sorted(getattr(counts, name).items())) for name in ("lacks", "not_monitored", "refused")}
    return msgspec.json.encode({**told, **{name: item for name, item in named.items() if item}}).decode()


def _unpacked(payload: str) -> IngestCounts:
    told = msgspec.json.decode(payload)
    some = (Counter(told.get(name, {})) for name in ("lacks", "not_monitored", "refused"))
    return IngestCounts(told["exchanges"], *some)


def add(connection: Connection, counts: Mapping[Place, IngestCounts], *, locked: bool = False) -> None:
    """Add to today's counts. `locked` says that nobody else writes of these routes and sources at this time."""
    if not counts:
        return
    if not locked:
        lock(connection, "ingest_counts")
    day = today()
    key = tuple_(_COUNTS.c.route, _COUNTS.c.source, _COUNTS.c.format)
    query = select(_COUNTS.c.route, _COUNTS.c.source, _COUNTS.c.format, _COUNTS.c.payload)
    held = {
        (row.route, row.source, row.format): row.payload
        for row in connection.execute(query.where(_COUNTS.c.day == day, key.in_(sorted(counts))))
    }
    rows = []
    for place in sorted(counts):
        whole = _unpacked(held[place]) if place in held else IngestCounts()
        whole.add(counts[place])
        route, source, form = place
        told = {"route": route, "source": source, "format": form, "day": day}
        rows.append({**told, "payload": _packed(whole), "written": day})
    upsert(connection, _COUNTS, rows)


def of_week(connection: Connection, globs: Iterable[str] = ("*",)) -> dict[tuple[str, str], IngestCounts]:
    """(source, format) -> what came of it within a week, of routes that fit one of the globs."""
    query = select(_COUNTS.c.source, _COUNTS.c.format, _COUNTS.c.payload)
    recent = _COUNTS.c.day > today() - KEPT_DAYS
    found: dict[tuple[str, str], IngestCounts] = {}
    for row in connection.execute(query.where(recent, visible(_COUNTS.c.route, globs))):
        found.setdefault((row.source, row.format), IngestCounts()).add(_unpacked(row.payload))
    return dict(sorted(found.items()))
