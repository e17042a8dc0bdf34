"""Redacted text of exchanges: what is kept for itself, the last of each route, what baseline and incident name.

What an incident names stays with it, and what a baseline names stays with that; otherwise text that was kept for itself
stays 30 days, at most 2,000 a day and route, and the ring of each route its last 500 for 24 hours; up to 50 more of
each until they are thinned out. All by our clock: what exchanges say of their time deletes none.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, cast

from sqlalchemy import (
    ColumnElement,
    Connection,
    Index,
    Text,
    and_,
    bindparam,
    delete,
    func,
    or_,
    select,
    text,
    tuple_,
    update,
)
from sqlmodel import Field

from schemas.base import hash16
from schemas.sample import BASELINE_TEXTS, Sample
from services.store.dialect import insert_new
from services.store.tables import WRITTEN, Base, UtcDateTime, key_if_any, table, today

HOUR_SECONDS: Final = 3600


def this_hour() -> int:
    """The hour by our own clock, since 1970."""
    return int(time.time() // HOUR_SECONDS)


class SampleRow(Base, table=True):
    """One exchange's redacted text. `draw` decides which ones a full `day` and which ones a full ring keeps.

    `day`, `written` and `hour` are when it came, by our own clock. `held` is `kept`, `ring`, or `baseline` while it may
    become one of a baseline. `baseline` and `incident` are ids of what it stays with; `named` says that a reading named
    it, which an incident may follow. `identity`, `size` in bytes and `hour` are of those that are not kept for itself.
    """

    __tablename__ = "samples"
    __table_args__ = (
        Index(None, "route", "day", "draw"),
        Index(None, "route", "held", "ts"),
        Index(None, "route", "incident"),
        Index(None, "held", "hour"),
        Index(None, "written"),
        Index(None, "ts", "route", "id"),
    )
    route: str = Field(primary_key=True)
    id: str = Field(primary_key=True)
    ts: datetime = Field(sa_type=cast(Any, UtcDateTime))
    day: int
    draw: str
    user: str | None = Field(default=None, index=True)
    conversation: str | None = None
    payload: str = Field(sa_type=Text)
    written: int = Field(default=0, sa_column_kwargs=WRITTEN)
    held: str = Field(default="kept", sa_column_kwargs={"server_default": text("'kept'")})
    identity: str = Field(default="", sa_column_kwargs={"server_default": text("''")})
    size: int = Field(default=0, sa_column_kwargs={"server_default": text("0")})
    hour: int = Field(default=0, sa_column_kwargs={"server_default": text("0")})
    named: bool = Field(default=False, sa_column_kwargs={"server_default": text("false")})
    baseline: str | None = None
    incident: str | None = None


KEPT_A_DAY: Final = 2_000
KEPT_DAYS: Final = 30
RING: Final = 500
RING_HOURS: Final = 24
RING_BYTES: Final = 64 * 1024 * 1024
"""Of the rings of all routes together; as much again for what may become one of a baseline."""
THINNED_EVERY: Final = 50
"""Texts of a route: so many may come before those that are too many are looked for again."""
LEARNED_DAYS: Final = 8
"""A day more than a baseline may take to be complete."""
LEARNED_FIRST: Final = BASELINE_TEXTS + 60
LEARNED_AN_HOUR: Final = 26
"""Of what is drawn for a baseline the first ones of an identity, and of each clock hour, are held while it learns.

Detect takes at most 84 exchanges of an hour, the first ones, of which a fifth is drawn: 17 on average.
"""
_SAMPLES = table(SampleRow)


@dataclass(frozen=True, slots=True)
class Holders:
    """What of a route's texts stays with what.

    Attributes:
        learns: whether exchanges may become those of a baseline: none is pinned, or an incident is open.
        baseline: the id of the one that counts, `examples` the exchanges whose text stays with it.
        incidents: exchange -> the incident that names it.
    """

    learns: bool = True
    baseline: str | None = None
    examples: frozenset[str] = frozenset()
    incidents: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class WaitingTexts:
    """Texts of a route that wait to become those of a baseline: their ids, and how many are of an identity and an hour.

    `hour` is that by our own clock in which they were read: some go without a word, and so are read again each hour.
    """

    hour: int
    ids: set[str]
    counts: Counter[Any]

    def take(self, sample: Sample) -> bool:
        """Whether it is to wait too: it is new, and among the first of its identity, or of a clock hour of it."""
        hour = (sample.identity, _hour_of(sample.ts))
        first = self.counts[sample.identity] < LEARNED_FIRST or self.counts[hour] < LEARNED_AN_HOUR
        if sample.id in self.ids or not first:
            return False
        self.ids.add(sample.id)
        self.counts.update((sample.identity, hour))
        return True


@dataclass(slots=True)
class TextTurnover:
    """What of a route's texts is remembered between two batches, so that the database need not be asked each time.

    Attributes:
        kept, ring: how many came since they were thinned out last; None: they are, as soon as any comes.
        waiting: what waits for a baseline; None: it is read when it is asked for.
    """

    kept: int | None = None
    ring: int | None = None
    waiting: WaitingTexts | None = None

    def copy(self) -> TextTurnover:
        """One that can be changed without changing this."""
        waiting = self.waiting
        if waiting is not None:
            waiting = WaitingTexts(waiting.hour, set(waiting.ids), waiting.counts.copy())
        return TextTurnover(self.kept, self.ring, waiting)


def add(
    connection: Connection,
    samples: Sequence[Sample],
    holders: Mapping[str, Holders] | None = None,
    turnover: Mapping[str, TextTurnover] | None = None,
) -> int:
    """Insert the samples whose id the route does not hold yet, and thin out what is too many; bytes that came.

    What `turnover` remembers of a route is brought up to date; of one that it lacks nothing is remembered.
    """
    holders, turnover = holders or {}, turnover or {}
    rows: list[dict[str, Any]] = []
    came: dict[str, TextTurnover] = {}
    for route, some in _by_route(samples).items():
        memory = came[route] = turnover.get(route) or TextTurnover()
        new = _held_rows(connection, some, holders.get(route, Holders()), memory)
        kept = sum(row["held"] == "kept" for row in new)
        ring = sum(row["held"] == "ring" for row in new)
        memory.kept = memory.kept + kept if memory.kept is not None else THINNED_EVERY if kept else None
        memory.ring = memory.ring + ring if memory.ring is not None else THINNED_EVERY if ring else None
        rows += new
    insert_new(connection, _SAMPLES, rows)
    for route, memory in sorted(came.items()):
        _thin(connection, route, memory)
    return sum(row["size"] for row in rows if row["held"] != "kept")


def hold(connection: Connection, route: str, holders: Holders) -> None:
    """Make what stays with a baseline or an incident of the route exactly what is named, of what is stored."""
    of_route = _SAMPLES.c.route == route
    names = sorted({*holders.examples, *holders.incidents})
    query = select(_SAMPLES.c.id, _SAMPLES.c.baseline, _SAMPLES.c.incident).where(of_route)
    stored: dict[str, tuple[str | None, str | None]] = {}
    claimed = query.where(or_(_SAMPLES.c.baseline.is_not(None), _SAMPLES.c.incident.is_not(None)))
    for found in [claimed, *(query.where(_SAMPLES.c.id.in_(some)) for some in _parts(names))]:
        stored.update({row.id: (row.baseline, row.incident) for row in connection.execute(found)})
    claims = {id: _claims(id, holders) for id in sorted(stored)}
    changed = [
        {"named_id": id, "of": claims[id][0], "told": claims[id][1]} for id in claims if claims[id] != stored[id]
    ]
    if changed:
        claiming = update(_SAMPLES).where(of_route, _SAMPLES.c.id == bindparam("named_id"))
        connection.execute(claiming.values(baseline=bindparam("of"), incident=bindparam("told")), changed)
    if not holders.learns:
        waiting = (of_route, _SAMPLES.c.held == "baseline", _SAMPLES.c.baseline.is_(None))
        connection.execute(update(_SAMPLES).where(*waiting).values(held="ring"))
    _thin_ring(connection, route)


def name(connection: Connection, route: str, ids: Iterable[str]) -> None:
    """Keep what a reading named out of the ring's turnover until an incident may name it."""
    for some in _parts(sorted(set(ids))):
        connection.execute(
            update(_SAMPLES)
            .where(_SAMPLES.c.route == route, _SAMPLES.c.id.in_(some), ~_SAMPLES.c.named)
            .values(named=True)
        )


def by_id(connection: Connection, route: str, ids: Iterable[str]) -> dict[str, Sample]:
    """Exchange id -> its sample; an exchange without one is not in it."""
    query = select(_SAMPLES.c.id, _SAMPLES.c.payload).where(_SAMPLES.c.route == route, _SAMPLES.c.id.in_(sorted(ids)))
    return {row.id: Sample.decode(row.payload.encode()) for row in connection.execute(query)}


def newest(connection: Connection, route: str, since: datetime, most: int) -> tuple[Sample, ...]:
    """At most so many samples of the route that are not older than that, newest first."""
    query = select(_SAMPLES.c.payload).where(_SAMPLES.c.route == route, _SAMPLES.c.ts >= since)
    query = query.order_by(_SAMPLES.c.ts.desc(), _SAMPLES.c.id.desc()).limit(most)
    return tuple(Sample.decode(payload.encode()) for payload in connection.execute(query).scalars())


def baseline_of(connection: Connection, route: str) -> str | None:
    """The newest baseline of the route that texts stay with."""
    of = (_SAMPLES.c.route == route, _SAMPLES.c.baseline.is_not(None))
    return connection.execute(select(_SAMPLES.c.baseline).where(*of).limit(1)).scalar_one_or_none()


def of_baseline(connection: Connection, route: str, baseline: str, most: int) -> tuple[Sample, ...]:
    """At most so many samples that stay with a baseline of the route."""
    of = (_SAMPLES.c.route == route, _SAMPLES.c.baseline == baseline)
    query = select(_SAMPLES.c.payload).where(*of).order_by(_SAMPLES.c.id).limit(most)
    return tuple(Sample.decode(payload.encode()) for payload in connection.execute(query).scalars())


def unclaimed() -> ColumnElement[bool]:
    """That neither a baseline nor an incident keeps a row."""
    return and_(_SAMPLES.c.baseline.is_(None), _SAMPLES.c.incident.is_(None))


def shed(connection: Connection, most: int = RING_BYTES) -> int:
    """Delete the oldest of the rings, and of what may become a baseline, beyond so many bytes; how many rows."""
    gone = 0
    for held in ("ring", "baseline"):
        of = and_(_SAMPLES.c.held == held, unclaimed())
        while (
            total := connection.execute(select(func.coalesce(func.sum(_SAMPLES.c.size), 0)).where(of)).scalar_one()
        ) > most:
            gone += _shed_oldest(connection, of, int(total) - most)
    return gone


def _shed_oldest(connection: Connection, of: ColumnElement[bool], surplus: int) -> int:
    order = (_SAMPLES.c.hour, _SAMPLES.c.draw, _SAMPLES.c.route, _SAMPLES.c.id)
    query = select(_SAMPLES.c.route, _SAMPLES.c.id, _SAMPLES.c.size).where(of).order_by(*order).limit(1_000)
    gone = []
    for row in connection.execute(query):
        if surplus <= 0:
            break
        gone.append((row.route, row.id))
        surplus -= row.size
    for some in _parts(gone):
        connection.execute(delete(_SAMPLES).where(tuple_(_SAMPLES.c.route, _SAMPLES.c.id).in_(some)))
    return len(gone)


def _claims(id: str, holders: Holders) -> tuple[str | None, str | None]:
    return holders.baseline if id in holders.examples else None, holders.incidents.get(id)


def _held_rows(
    connection: Connection, samples: Sequence[Sample], holders: Holders, memory: TextTurnover
) -> list[dict[str, Any]]:
    """The rows of one route's samples; of those drawn for a baseline only the first ones are held for it."""
    held: set[str] = set()
    drawn = [one for one in samples if one.why == "baseline"]
    if drawn and holders.learns:
        if memory.waiting is None or memory.waiting.hour != this_hour():
            memory.waiting = _waiting(connection, drawn[0].route)
        held.update(one.id for one in drawn if memory.waiting.take(one))
    return [_row(one, "ring" if one.why == "baseline" and one.id not in held else one.why, holders) for one in samples]


def _waiting(connection: Connection, route: str) -> WaitingTexts:
    of = (_SAMPLES.c.route == route, _SAMPLES.c.held == "baseline", _SAMPLES.c.baseline.is_(None))
    stored = connection.execute(select(_SAMPLES.c.identity, _SAMPLES.c.ts, _SAMPLES.c.id).where(*of)).all()
    counts = Counter[Any](row.identity for row in stored)
    counts.update((row.identity, _hour_of(row.ts)) for row in stored)
    return WaitingTexts(this_hour(), {row.id for row in stored}, counts)


def _hour_of(ts: datetime) -> int:
    return int(ts.timestamp() // HOUR_SECONDS)


def _thin(connection: Connection, route: str, memory: TextTurnover) -> None:
    """Thin out what is too many, once enough has come since the last time."""
    if memory.kept is not None and memory.kept >= THINNED_EVERY:
        _thin_day(connection, route, today())
        memory.kept = 0
    if memory.ring is not None and memory.ring >= THINNED_EVERY:
        _thin_ring(connection, route)
        memory.ring = 0


def _thin_day(connection: Connection, route: str, day: int) -> None:
    of_day = (_SAMPLES.c.route == route, _SAMPLES.c.day == day, _SAMPLES.c.held == "kept")
    draws = select(_SAMPLES.c.draw).where(*of_day).order_by(_SAMPLES.c.draw)
    cut = connection.execute(draws.offset(KEPT_A_DAY).limit(1)).scalar_one_or_none()
    if cut is not None:
        connection.execute(delete(_SAMPLES).where(*of_day, unclaimed(), _SAMPLES.c.draw >= cut))


def _thin_ring(connection: Connection, route: str) -> None:
    """The ring is ordered by arrival, never by the exchanges' own time: one that is wrong would push others out."""
    ring = (_SAMPLES.c.route == route, _SAMPLES.c.held == "ring", unclaimed(), ~_SAMPLES.c.named)
    place = (_SAMPLES.c.draw, _SAMPLES.c.id)
    newest = select(*place).where(*ring).order_by(*(one.desc() for one in place)).offset(RING).limit(1)
    cut = connection.execute(newest).one_or_none()
    if cut is not None:
        older = or_(place[0] < cut.draw, and_(place[0] == cut.draw, place[1] <= cut.id))
        connection.execute(delete(_SAMPLES).where(*ring, older))


def _arrival(sample: Sample) -> str:
    """The place of a text in its ring: the hour in which it came, by our clock, then where its exchange lies in Kafka.

    Whatever times the exchanges name; what is delivered again within the hour has the place that it had. Those of
    before there were such places are digits alone, and come first.
    """
    return f"a{this_hour():07d}{sample.source.offset:019d}"


def _row(sample: Sample, held: str, holders: Holders) -> dict[str, Any]:
    """The draw ranks safety signals before the others, then by hash: what a day keeps does not depend on order.

    What is not kept for itself is ranked by its arrival.
    """
    rank, day = "0" if sample.signals else "1", today()
    payload = sample.encode().decode()
    lasts = held == "kept"
    baseline, incident = _claims(sample.id, holders)
    return {
        "route": sample.route,
        "id": sample.id,
        "ts": sample.ts,
        "day": day,
        "written": day,
        "draw": rank + hash16([sample.route, sample.id]) if lasts else _arrival(sample),
        "user": key_if_any(sample.user),
        "conversation": sample.conversation,
        "payload": payload,
        "held": held,
        "identity": "" if lasts else sample.identity,
        "size": 0 if lasts else len(payload.encode()),
        "hour": 0 if lasts else this_hour(),
        "named": False,
        "baseline": baseline,
        "incident": incident,
    }


def _by_route(samples: Iterable[Sample]) -> dict[str, list[Sample]]:
    found: dict[str, list[Sample]] = {}
    for sample in samples:
        found.setdefault(sample.route, []).append(sample)
    return found


def _parts(some: Sequence[Any]) -> Iterable[Sequence[Any]]:
    return (some[start : start + 500] for start in range(0, len(some), 500))
