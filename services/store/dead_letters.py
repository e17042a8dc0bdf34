"""Dead letters, counted once each; their content stays on the topic."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, cast

from sqlalchemy import (
    BigInteger,
    Connection,
    and_,
    delete,
    func,
    insert,
    or_,
    select,
    tuple_,
)
from sqlmodel import Field

from schemas.dead_letter import DeadLetter
from services.store.dialect import lock, upsert
from services.store.tables import WRITTEN, Base, UtcDateTime, key_of, table, today


class DeadLetterRow(Base, table=True):
    """One dead letter without its content: only so that a redelivered one is not counted again."""

    __tablename__ = "dead_letters"
    step: str = Field(primary_key=True)
    cluster: str = Field(primary_key=True)
    topic: str = Field(primary_key=True)
    partition: int = Field(primary_key=True)
    offset: int = Field(primary_key=True, sa_type=BigInteger)
    written: int = Field(default=0, sa_column_kwargs=WRITTEN)


class DeadCountRow(Base, table=True):
    """How many dead letters one step had of one topic for one reason, and when first and last."""

    __tablename__ = "dead_counts"
    step: str = Field(primary_key=True)
    cluster: str = Field(primary_key=True)
    topic: str = Field(primary_key=True)
    reason: str = Field(primary_key=True)
    n: int = Field(sa_type=BigInteger)
    first_seen: datetime | None = Field(default=None, sa_type=cast(Any, UtcDateTime))
    last_seen: datetime | None = Field(default=None, sa_type=cast(Any, UtcDateTime))
    written: int = Field(default=0, sa_column_kwargs=WRITTEN)


REMEMBERED: Final = 10_000
_LETTERS = table(DeadLetterRow)
_COUNTS = table(DeadCountRow)
_SOURCE: Final = ("step", "cluster", "topic", "partition")


@dataclass(frozen=True, slots=True)
class DeadLetterCount:
    """What one step could not read of one topic for one reason: how many, and when first and last."""

    step: str
    cluster: str
    topic: str
    reason: str
    n: int
    first_seen: datetime | None
    last_seen: datetime | None


def add(connection: Connection, letters: Sequence[DeadLetter]) -> None:
    """Count the letters that were not counted before.

    Of each source partition the 10,000 highest positions are remembered; one below all of them counts as seen.
    """
    if letters:
        lock(connection, "dead_letters")  # of one source they may come to several processes
    found: dict[tuple[str, str, str, int], dict[int, DeadLetter]] = {}
    for letter in letters:
        place = letter.source
        found.setdefault((letter.step, place.cluster, place.topic, place.partition), {}).setdefault(
            place.offset, letter
        )
    for source, by_offset in sorted(found.items()):
        _add_of_source(connection, source, by_offset)


def forget(connection: Connection, topic: str) -> None:
    """Forget the places of a topic that was made anew: letters of its new records count. The counts stay."""
    connection.execute(delete(_LETTERS).where(_LETTERS.c.topic == topic))


def counts(connection: Connection) -> tuple[DeadLetterCount, ...]:
    """All counts, by step, topic and reason."""
    names = tuple(DeadLetterCount.__dataclass_fields__)
    found = (DeadLetterCount(*row) for row in connection.execute(select(*(_COUNTS.c[name] for name in names))))
    return tuple(sorted(found, key=lambda one: (one.step, one.cluster, one.topic, one.reason)))


def page(
    connection: Connection, step: str | None, after: tuple[str, ...] | None, most: int
) -> tuple[DeadLetterCount, ...]:
    """At most so many counts of one step or of all, that follow the key `after` (step, cluster, topic, reason)."""
    names = tuple(DeadLetterCount.__dataclass_fields__)
    key = [_COUNTS.c[name] for name in names[:4]]
    query = select(*(_COUNTS.c[name] for name in names)).order_by(*key).limit(most)
    if step is not None:
        query = query.where(_COUNTS.c.step == step)
    if after is not None:
        query = query.where(tuple_(*key) > after)
    return tuple(DeadLetterCount(*row) for row in connection.execute(query))


def most_frequent(connection: Connection, most: int) -> tuple[DeadLetterCount, ...]:
    """At most so many counts, the most letters first."""
    names = tuple(DeadLetterCount.__dataclass_fields__)
    query = select(*(_COUNTS.c[name] for name in names))
    return tuple(
        DeadLetterCount(*row)
        for row in connection.execute(query.order_by(_COUNTS.c.n.desc(), *_COUNTS.primary_key).limit(most))
    )


def newest(connection: Connection, step: str, since: datetime, most: int) -> tuple[DeadLetterCount, ...]:
    """At most so many counts of one step that had a letter since then, the newest first.

    One whose letters have no time is among them, at the end, for a day or two after it was written.
    """
    names = tuple(DeadLetterCount.__dataclass_fields__)
    last = _COUNTS.c.last_seen
    recent = or_(last >= since, and_(last.is_(None), _COUNTS.c.written >= today() - 1))
    query = select(*(_COUNTS.c[name] for name in names)).where(_COUNTS.c.step == step, recent)
    newest_first = (last.is_(None), last.desc(), _COUNTS.c.n.desc(), *_COUNTS.primary_key)
    return tuple(DeadLetterCount(*row) for row in connection.execute(query.order_by(*newest_first).limit(most)))


def _add_of_source(connection: Connection, source: tuple[str, str, str, int], by_offset: dict[int, DeadLetter]) -> None:
    where = tuple_(*(_LETTERS.c[name] for name in _SOURCE)) == source
    offset = _LETTERS.c.offset
    held, lowest = connection.execute(select(func.count(), func.min(offset)).where(where)).one()
    known = set(connection.execute(select(offset).where(where, offset.in_(list(by_offset)))).scalars())
    floor = lowest if held >= REMEMBERED else -1
    new = {place: letter for place, letter in by_offset.items() if place not in known and place > floor}
    if not new:
        return
    key = dict(zip(_SOURCE, source, strict=True))
    connection.execute(insert(_LETTERS), [{**key, "offset": place} for place in sorted(new)])
    by_reason: dict[str, list[DeadLetter]] = {}
    for letter in new.values():
        by_reason.setdefault(key_of(letter.reason), []).append(letter)
    for reason, some in sorted(by_reason.items()):
        _count(
            connection, {"step": key["step"], "cluster": key["cluster"], "topic": key["topic"], "reason": reason}, some
        )
    cut = connection.execute(
        select(offset).where(where).order_by(offset.desc()).offset(REMEMBERED).limit(1)
    ).scalar_one_or_none()
    if cut is not None:
        connection.execute(delete(_LETTERS).where(where, offset <= cut))


def _count(connection: Connection, key: dict[str, Any], letters: Sequence[DeadLetter]) -> None:
    where = [_COUNTS.c[name] == value for name, value in key.items()]
    found = connection.execute(select(_COUNTS).where(*where)).one_or_none()
    before = (found.first_seen, found.last_seen) if found else ()
    times = [time for time in (*before, *(letter.first_seen for letter in letters)) if time is not None]
    n = len(letters) + (found.n if found else 0)
    upsert(
        connection,
        _COUNTS,
        [
            {
                **key,
                "n": n,
                "first_seen": min(times, default=None),
                "last_seen": max(times, default=None),
                "written": today(),
            }
        ],
    )
