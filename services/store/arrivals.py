"""When each route was last heard of, by our own clock, and how far each partition is read."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Final, cast

from sqlalchemy import BigInteger, Connection, func, select
from sqlmodel import Field

from services.store.dead_letters import DeadLetterRow
from services.store.dialect import upsert
from services.store.readings import StreamRow
from services.store.routes import RouteRow
from services.store.scores import ScoreRow
from services.store.tables import Base, UtcDateTime, table


class ArrivalRow(Base, table=True):
    """Where a route's last exchange came from; its longest gap and the next longest, in seconds.

    When that was stands with the route itself (`RouteRow.arrived`).
    """

    __tablename__ = "arrivals"
    route: str = Field(primary_key=True)
    topic: str
    partition: int
    longest: float = 0.0
    usual: float = 0.0


class PartitionRow(Base, table=True):
    """How far a step has read a partition, as was seen last; the fields are `PartitionWatch`'s."""

    __tablename__ = "partition_watches"
    step: str = Field(primary_key=True)
    topic: str = Field(primary_key=True)
    partition: int = Field(primary_key=True)
    since: datetime = Field(sa_type=cast(Any, UtcDateTime))
    looked: datetime = Field(sa_type=cast(Any, UtcDateTime))
    committed: int = Field(sa_type=BigInteger)
    end: int = Field(sa_type=BigInteger)
    moved: datetime = Field(sa_type=cast(Any, UtcDateTime))
    cleared: datetime | None = Field(default=None, sa_type=cast(Any, UtcDateTime))


_ARRIVALS, _PARTITIONS = table(ArrivalRow), table(PartitionRow)
_ROUTES = table(RouteRow)
_LETTERS, _STREAMS, _SCORES = table(DeadLetterRow), table(StreamRow), table(ScoreRow)
_STORED: Final = tuple(ArrivalRow.model_fields)
SCORE: Final = "score"


@dataclass(frozen=True, slots=True)
class PartitionWatch:
    """How far a step has read a partition, over several looks.

    Attributes:
        since: from when on it was looked at without a pause. looked: when last.
        committed, end: what was acknowledged, and one past the last record, at the last look.
        moved: when nothing waited last, or what was acknowledged moved last.
        cleared: all that had arrived by then was acknowledged by the last look; None when that was never so.
    """

    step: str
    topic: str
    partition: int
    since: datetime
    looked: datetime
    committed: int
    end: int
    moved: datetime
    cleared: datetime | None = None

    @property
    def key(self) -> tuple[str, str, int]:
        """By what it is known."""
        return self.step, self.topic, self.partition


@dataclass(frozen=True, slots=True)
class Arrival:
    """When a route was last heard of. `usual` is the longest gap that it had more than once, in seconds."""

    route: str
    arrived: datetime
    topic: str
    partition: int
    longest: float = 0.0
    usual: float = 0.0


def after(before: Arrival | None, now: datetime, place: tuple[str, int], since: datetime | None) -> Arrival | None:
    """The arrival noted at `now`; a gap counts where its partition was looked at all the time, from `since` on.

    An outage that happened once makes no gap usual: it takes two of about its length.
    """
    if before is None:
        return None
    longest, usual = before.longest, before.usual
    gap = _gap(before, now)
    if since is not None and since <= before.arrived and gap > 0:
        longest, usual, _ = sorted((longest, usual, gap), reverse=True)
    return Arrival(before.route, now, *place, longest, usual)


def note(
    connection: Connection, places: Mapping[str, tuple[str, int]], now: datetime, known: Mapping[str, Arrival]
) -> dict[str, Arrival]:
    """Exchanges of these routes have arrived, each from a topic and partition; what is known of them then.

    `known` is what is known before; what it lacks is read. When that was is noted with the routes themselves.
    """
    missing = [route for route in places if route not in known]
    known = {**known, **{one.route: one for one in (arrivals(connection, missing) if missing else ())}}
    longer = any(route in known and _gap(known[route], now) > known[route].usual for route in places)
    looked = watches(connection) if longer else ()
    watched = {(one.topic, one.partition): one.since for one in looked if one.step == SCORE}
    found = {
        route: after(known.get(route), now, place, watched.get(place)) or Arrival(route, now, *place)
        for route, place in places.items()
    }
    changed = [one for route, one in sorted(found.items()) if not _is_stored(known.get(route), one)]
    upsert(connection, _ARRIVALS, [{name: getattr(one, name) for name in _STORED} for one in changed])
    return found


def _gap(before: Arrival, now: datetime) -> float:
    return (now - before.arrived).total_seconds()


def _is_stored(before: Arrival | None, one: Arrival) -> bool:
    return before is not None and all(getattr(before, name) == getattr(one, name) for name in _STORED)


def arrivals(connection: Connection, names: Collection[str] | None = None) -> tuple[Arrival, ...]:
    """The last arrivals, of all routes or of these."""
    columns = [_ROUTES.c.arrived if name == "arrived" else _ARRIVALS.c[name] for name in Arrival.__dataclass_fields__]
    both = _ARRIVALS.join(_ROUTES, _ROUTES.c.route == _ARRIVALS.c.route)
    query = select(*columns).select_from(both).where(_ROUTES.c.arrived.is_not(None)).order_by(_ARRIVALS.c.route)
    if names is not None:
        query = query.where(_ARRIVALS.c.route.in_(sorted(names)))
    return tuple(Arrival(*row) for row in connection.execute(query))


def watches(connection: Connection) -> tuple[PartitionWatch, ...]:
    """How far every step has read every partition."""
    columns = [_PARTITIONS.c[name] for name in PartitionWatch.__dataclass_fields__]
    return tuple(PartitionWatch(*row) for row in connection.execute(select(*columns)))


def put_watches(connection: Connection, found: Sequence[PartitionWatch]) -> None:
    """Write how far they are."""
    upsert(connection, _PARTITIONS, [asdict(one) for one in found])


def dead_offsets(connection: Connection, one: PartitionWatch, last: int) -> tuple[int, ...]:
    """The offsets of a step's dead letters among the last so many records that it has read of a partition."""
    of = _LETTERS.c
    query = select(of.offset).where(of.step == one.step, of.topic == one.topic, of.partition == one.partition)
    within = query.where(of.offset >= one.committed - last, of.offset < one.committed)
    return tuple(connection.execute(within.order_by(of.offset)).scalars())


def blind_streams(connection: Connection, detector: str) -> dict[str, tuple[str, datetime]]:
    """Stream -> status and time of its newest reading, of all routes, of one detector."""
    query = select(_STREAMS.c.stream, _STREAMS.c.status, _STREAMS.c.ts).where(_STREAMS.c.detector == detector)
    return {row.stream: (row.status, row.ts) for row in connection.execute(query)}


def last_index(connection: Connection, route: str) -> int:
    """The index of the route's newest exchange that is stored."""
    query = select(func.max(_SCORES.c.event_index)).where(_SCORES.c.route == route)
    return int(connection.execute(query).scalar_one_or_none() or 0)
