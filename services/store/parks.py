"""Parks: records of a route on which a step failed, kept in order until they are taken up again.

A route of a step is parked from the record that failed on. Later ones follow it into the park, so that nothing
overtakes; the first of them is tried again when a person asks for it, or by a release that has not failed on them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, cast

from sqlalchemy import (
    BigInteger,
    Connection,
    LargeBinary,
    Text,
    delete,
    func,
    or_,
    select,
    update,
)
from sqlmodel import Field, UniqueConstraint

from services.store import routes
from services.store.dialect import insert_new
from services.store.engine import Conflict
from services.store.tables import Base, UtcDateTime, table


class ParkedRouteRow(Base, table=True):
    """A route that a step does not go on with: why, by which release, and how much waits."""

    __tablename__ = "parked_routes"
    step: str = Field(primary_key=True)
    route: str = Field(primary_key=True)
    reason: str = Field(sa_type=Text)
    release: str  # all that failed on it
    since: datetime = Field(sa_type=cast(Any, UtcDateTime))
    tries: int
    retry: bool
    n: int = Field(sa_type=BigInteger)
    size: int = Field(sa_type=BigInteger)
    beyond: int = Field(sa_type=BigInteger)


class ParkedRecordRow(Base, table=True):
    """One record that waits, as the broker had it. The digest tells it from one of a topic that was made anew."""

    __tablename__ = "parked_records"
    __table_args__ = (UniqueConstraint("step", "route", "topic", "partition", "offset", "digest"),)
    step: str = Field(primary_key=True)
    route: str = Field(primary_key=True)
    seq: int = Field(primary_key=True, sa_type=BigInteger)
    topic: str
    partition: int
    offset: int = Field(sa_type=BigInteger)
    digest: str
    ts: datetime = Field(sa_type=cast(Any, UtcDateTime))
    size: int = Field(sa_type=BigInteger)
    value: bytes = Field(sa_type=LargeBinary)


@dataclass(frozen=True, slots=True)
class ParkBounds:
    """How much may wait: records and bytes of one route, and bytes of all routes of a step."""

    records: int = 10_000
    bytes: int = 64 * 1024 * 1024
    step_bytes: int = 512 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class ParkedRecord:
    """A record as the broker has it."""

    topic: str
    partition: int
    offset: int
    ts: datetime
    value: bytes

    @property
    def key(self) -> tuple[str, int, int, str]:
        """What tells it from every other record of its route."""
        return self.topic, self.partition, self.offset, hashlib.sha256(self.value).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class ParkedRoute:
    """A route that a step does not go on with.

    Attributes:
        reason: where it failed. release: those that failed on it since it was parked. since: when that was.
        tries: how often its first record has failed alone. retry: whether it is asked for.
        n, size: records and bytes that wait. beyond: records that found no room and are dead letters.
    """

    step: str
    route: str
    reason: str
    release: str
    since: datetime
    tries: int
    retry: bool
    n: int
    size: int
    beyond: int


@dataclass(frozen=True, slots=True)
class ParkFault:
    """Why a route is parked, by which release, and how often its first record has failed alone."""

    reason: str
    release: str
    tries: int = 1


@dataclass(frozen=True, slots=True)
class Parking:
    """What is to be written of one park.

    Attributes:
        fault: why the route is parked from now on; None where it is already.
        records: what joins the park. beyond: how many more found no room in it.
        through: the last place that has left it.
    """

    fault: ParkFault | None = None
    records: tuple[ParkedRecord, ...] = ()
    beyond: int = 0
    through: int | None = None

    def __bool__(self) -> bool:
        """Whether there is anything to write."""
        return self != _NOTHING


_NOTHING: Final = Parking()


@dataclass(frozen=True, slots=True)
class Waiting:
    """The first records of a park, each with its place."""

    park: ParkedRoute
    records: tuple[tuple[int, ParkedRecord], ...]


@dataclass(frozen=True, slots=True)
class Room:
    """Which records find room in a park, or are in it already, and which are beyond its bounds."""

    fitting: tuple[ParkedRecord, ...] = ()
    beyond: tuple[ParkedRecord, ...] = field(default=())


ParkKey = tuple[str, str, int]
"""Step, route and place of a record that waits."""

_PARKS, _RECORDS = table(ParkedRouteRow), table(ParkedRecordRow)
_NAMES: Final = tuple(ParkedRoute.__dataclass_fields__)
_COLUMNS: Final = tuple(_PARKS.c[name] for name in _NAMES)
_BETWEEN: Final = ","
"""Between the releases that failed on a park."""
_MOST_RELEASES: Final = 32
_KEY: Final = ("topic", "partition", "offset", "digest")


def standing(connection: Connection, step: str, names: Iterable[str]) -> dict[str, ParkedRoute]:
    """Those of the routes that the step does not go on with."""
    query = select(*_COLUMNS).where(_PARKS.c.step == step, _PARKS.c.route.in_(sorted(set(names))))
    return {row.route: ParkedRoute(*row) for row in connection.execute(query)}


def of_routes(connection: Connection, names: Any) -> dict[str, tuple[ParkedRoute, ...]]:
    """Route -> the steps that do not go on with it; `names` is a list or a query of names."""
    query = select(*_COLUMNS).where(_PARKS.c.route.in_(names)).order_by(_PARKS.c.route, _PARKS.c.step)
    found: dict[str, tuple[ParkedRoute, ...]] = {}
    for row in connection.execute(query):
        found[row.route] = (*found.get(row.route, ()), ParkedRoute(*row))
    return found


def due(connection: Connection, step: str, release: str) -> ParkedRoute | None:
    """One route that is to be tried again: a person asks for it, or it never failed under this release.

    While two releases run side by side each tries once: neither takes up what the other has failed on after it.
    """
    failed = (_BETWEEN + _PARKS.c.release + _BETWEEN).contains(_BETWEEN + release + _BETWEEN, autoescape=True)
    asked = or_(_PARKS.c.retry, ~failed)
    query = select(*_COLUMNS).where(_PARKS.c.step == step, asked).order_by(_PARKS.c.since, _PARKS.c.route).limit(1)
    row = connection.execute(query).one_or_none()
    return None if row is None else ParkedRoute(*row)


def waiting(connection: Connection, park: ParkedRoute, most: int, most_bytes: int) -> Waiting:
    """The first records of a park: at most so many, and no more bytes than that unless the first alone is larger."""
    sizes = select(_RECORDS.c.seq, _RECORDS.c.size).where(*_of(_RECORDS, park.step, park.route))
    taken, total, last = 0, 0, -1
    for seq, size in connection.execute(sizes.order_by(_RECORDS.c.seq).limit(most)):
        if taken and total + size > most_bytes:
            break
        taken, total, last = taken + 1, total + size, seq
    columns = (_RECORDS.c[name] for name in ("seq", "topic", "partition", "offset", "ts", "value"))
    query = select(*columns).where(*_of(_RECORDS, park.step, park.route), _RECORDS.c.seq <= last)
    rows = connection.execute(query.order_by(_RECORDS.c.seq)) if taken else ()
    return Waiting(park, tuple((seq, ParkedRecord(*record)) for seq, *record in rows))


def room(
    connection: Connection,
    step: str,
    route: str,
    records: Sequence[ParkedRecord],
    coming: Sequence[ParkedRecord] = (),
    bounds: ParkBounds | None = None,
) -> Room:
    """Which of the records find room, when those that are `coming` are in the park before them.

    What is in it already, delivered again, takes no more room. From the first that finds none nothing follows: a
    smaller one must not overtake.
    """
    limit = bounds or ParkBounds()
    known = _known(connection, step, route)
    held = connection.execute(select(func.coalesce(func.sum(_PARKS.c.size), 0)).where(_PARKS.c.step == step))
    new = [one for one in coming if one.key not in known]
    n, size = len(known) + len(new), _size(connection, step, route) + sum(len(one.value) for one in new)
    of_step = int(held.scalar_one()) + sum(len(one.value) for one in new)
    fitting: list[ParkedRecord] = []
    for place, one in enumerate(records):
        if one.key in known:
            fitting.append(one)
            continue
        n, size, of_step = n + 1, size + len(one.value), of_step + len(one.value)
        if n > limit.records or size > limit.bytes or of_step > limit.step_bytes:
            rest = [late for late in records[place:] if late.key not in known]
            return Room((*fitting, *(late for late in records[place:] if late.key in known)), tuple(rest))
        fitting.append(one)
    return Room(tuple(fitting))


def write(connection: Connection, step: str, route: str, parking: Parking, now: datetime | None = None) -> None:
    """Park the route, or go on with its park: what left it goes, what comes is added. An empty one is gone.

    Raises:
        Conflict: if the park is gone, or was made, by another process. The transaction must be given up.
    """
    where = _of(_PARKS, step, route)
    query = select(_PARKS.c.beyond, _PARKS.c.release).where(*where)
    row = connection.execute(query.with_for_update()).one_or_none()
    if row is None:
        if parking.fault is None:
            raise Conflict(f"another process went on with {route} in {step}; load it and repeat")
        routes.ensure(connection, route)
        _begin(connection, step, route, parking.fault, now or datetime.now(UTC))
    elif parking.fault is not None:
        failed = _failed_also(row.release, parking.fault.release)
        again = {"reason": parking.fault.reason, "release": failed, "tries": parking.fault.tries}
        connection.execute(update(_PARKS).where(*where).values(**again, retry=False))
    if parking.through is not None:
        connection.execute(delete(_RECORDS).where(*_of(_RECORDS, step, route), _RECORDS.c.seq <= parking.through))
        if parking.fault is None:
            connection.execute(update(_PARKS).where(*where).values(tries=0))
    _append(connection, step, route, parking.records)
    _count(connection, step, route, (0 if row is None else row.beyond) + parking.beyond)


def _failed_also(before: str, release: str) -> str:
    """The releases that failed on a park, the last one at the end; the oldest of very many go."""
    others = [one for one in before.split(_BETWEEN) if one != release]
    return _BETWEEN.join([*others[1 - _MOST_RELEASES :], release])


def each_record(connection: Connection) -> Iterator[tuple[ParkKey, str, bytes]]:
    """Every record that waits, one at a time: its key for `rewrite`, its topic, its bytes."""
    columns = (_RECORDS.c[name] for name in ("step", "route", "seq", "topic"))
    for step, route, seq, topic in connection.execute(select(*columns).order_by(*_RECORDS.primary_key)).all():
        key = (step, route, seq)
        value = connection.execute(select(_RECORDS.c.value).where(*_at(key))).scalar_one_or_none()
        if value is not None:
            yield key, topic, value


def rewrite(connection: Connection, key: ParkKey, value: bytes | None) -> None:
    """Put other bytes in the place of a record that waits, or take it away: after an erasure.

    Its digest stays the one of the broker's record: delivered again, that joins no park a second time.
    """
    step, route, _ = key
    if value is None:
        connection.execute(delete(_RECORDS).where(*_at(key)))
    else:
        connection.execute(update(_RECORDS).where(*_at(key)).values(value=value, size=len(value)))
    beyond = connection.execute(select(_PARKS.c.beyond).where(*_of(_PARKS, step, route))).scalar_one_or_none()
    _count(connection, step, route, beyond or 0)


def _at(key: ParkKey) -> tuple[Any, Any, Any]:
    step, route, seq = key
    return *_of(_RECORDS, step, route), _RECORDS.c.seq == seq


def ask_again(connection: Connection, route: str) -> tuple[ParkedRoute, ...]:
    """Ask the steps that do not go on with the route to try again; those that are asked."""
    found = of_routes(connection, [route]).get(route, ())
    connection.execute(update(_PARKS).where(_PARKS.c.route == route).values(retry=True))
    return found


def _of(of: Any, step: str, route: str) -> tuple[Any, Any]:
    return of.c.step == step, of.c.route == route


def _known(connection: Connection, step: str, route: str) -> set[tuple[str, int, int, str]]:
    query = select(*(_RECORDS.c[name] for name in _KEY)).where(*_of(_RECORDS, step, route))
    return {(row.topic, row.partition, row.offset, row.digest) for row in connection.execute(query)}


def _size(connection: Connection, step: str, route: str) -> int:
    query = select(func.coalesce(func.sum(_RECORDS.c.size), 0)).where(*_of(_RECORDS, step, route))
    return int(connection.execute(query).scalar_one())


def _begin(connection: Connection, step: str, route: str, fault: ParkFault, now: datetime) -> None:
    empty: Mapping[str, Any] = {"retry": False, "n": 0, "size": 0, "beyond": 0}
    told = {"reason": fault.reason, "release": fault.release, "tries": fault.tries}
    insert_new(connection, _PARKS, [{"step": step, "route": route, "since": now, **told, **empty}])


def _append(connection: Connection, step: str, route: str, records: Sequence[ParkedRecord]) -> None:
    known = _known(connection, step, route) if records else set()
    last = select(func.coalesce(func.max(_RECORDS.c.seq), -1)).where(*_of(_RECORDS, step, route))
    seq, rows = int(connection.execute(last).scalar_one()), []
    for one in records:
        if one.key in known:
            continue
        known.add(one.key)
        seq += 1
        place = dict(zip(_KEY, one.key, strict=True))
        held = {"ts": one.ts, "size": len(one.value), "value": one.value}
        rows.append({"step": step, "route": route, "seq": seq, **place, **held})
    insert_new(connection, _RECORDS, rows)


def _count(connection: Connection, step: str, route: str, beyond: int) -> None:
    """What waits now; with nothing left the route is parked no more."""
    where = _of(_PARKS, step, route)
    held = select(func.count(), func.coalesce(func.sum(_RECORDS.c.size), 0)).where(*_of(_RECORDS, step, route))
    n, size = connection.execute(held).one()
    if n:
        connection.execute(update(_PARKS).where(*where).values(n=n, size=size, beyond=beyond))
    else:
        connection.execute(delete(_PARKS).where(*where))
