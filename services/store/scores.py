"""Score rows, what produced them, and scored exchanges with their redacted text."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, cast

import msgspec
from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Index,
    LargeBinary,
    Row,
    Select,
    Text,
    and_,
    delete,
    exists,
    insert,
    or_,
    select,
)
from sqlmodel import Field

from schemas.sample import Sample
from schemas.score import WITHOUT_ANSWER, Scorer
from services.store.dialect import insert_new
from services.store.incidents import IncidentRow
from services.store.samples import SampleRow
from services.store.tables import ANY_TIME, LONGEST_KEY, Base, TimeSpan, UtcDateTime, only_where, table, today


class ScorerRow(Base, table=True):
    """What produced score rows: engine, precision and signal versions, by the hash of their JSON."""

    __tablename__ = "scorers"
    id: str = Field(primary_key=True)
    payload: str = Field(sa_type=Text)


SHORT_CONVERSATION: Final = f"length(conversation) <= {LONGEST_KEY}"
"""Conversations are stored as they are called, and PostgreSQL refuses index entries over 2,700 bytes."""


class ScoreRow(Base, table=True):
    """One scored exchange: enough to re-compute evidence. Vectors are little-endian float16; null when not embedded."""

    __tablename__ = "score_rows"
    __table_args__ = (
        Index(None, "route", "identity", "event_index"),
        Index(None, "route", "id"),
        # Those of the search for exchanges: its keys come out of the index alone, in their order.
        Index(None, "ts", "route", "event_index"),
        Index(None, "route", "ts", "event_index"),
        Index(None, "conversation", "ts", "route", "event_index", **only_where(SHORT_CONVERSATION)),
        Index(None, "user", "ts", "route", "event_index", **only_where('"user" IS NOT NULL')),
    )
    route: str = Field(primary_key=True)
    event_index: int = Field(primary_key=True, sa_type=BigInteger)
    identity: str
    fingerprint: str | None = None
    id: str
    ts: datetime = Field(sa_type=cast(Any, UtcDateTime))
    cluster: str
    topic: str
    partition: int
    offset: int = Field(sa_type=BigInteger)
    conversation: str | None = None
    user: str | None = None
    tags: str = Field(sa_type=Text)
    flags: str = Field(sa_type=Text)
    kept: bool
    embedded: bool
    scorer: str = Field(foreign_key="scorers.id")
    prompt_vec: bytes | None = Field(default=None, sa_type=LargeBinary)
    response_vec: bytes | None = Field(default=None, sa_type=LargeBinary)
    style: bytes | None = Field(default=None, sa_type=LargeBinary)
    signals: str = Field(sa_type=Text)


_SCORES, _SCORERS = table(ScoreRow), table(ScorerRow)


def latest_identity(connection: Connection, route: str) -> str | None:
    """Who answered the newest exchange of the route that is stored."""
    query = select(_SCORES.c.identity).where(_SCORES.c.route == route).order_by(_SCORES.c.event_index.desc()).limit(1)
    return connection.execute(query).scalar_one_or_none()


KEPT_ROWS: Final = 5_000
HELD_BEFORE: Final = KEPT_ROWS  # as many as stood in the table when the incident opened
HELD_AFTER: Final = 500  # over so many exchanges an effect is measured
HELD_DAYS: Final = 90  # after the last change of a resolved incident
_INCIDENTS = table(IncidentRow)


def add(connection: Connection, rows: Sequence[dict[str, Any]]) -> None:
    """Insert score rows: dicts of the columns of `ScoreRow`."""
    if rows:
        connection.execute(insert(_SCORES), rows)


def scorers(connection: Connection, ids: Collection[str]) -> dict[str, Scorer]:
    """What produced rows, by its id."""
    query = select(_SCORERS.c.id, _SCORERS.c.payload).where(_SCORERS.c.id.in_(sorted(ids)))
    return {id: Scorer.model_validate_json(payload) for id, payload in connection.execute(query)}


def add_scorers(connection: Connection, scorers: Mapping[str, Scorer]) -> None:
    """Note what produced rows, by id, unless it is known."""
    rows = [{"id": id, "payload": scorer.model_dump_json()} for id, scorer in sorted(scorers.items())]
    insert_new(connection, _SCORERS, rows)


def prune(connection: Connection, route: str, identities: Iterable[str]) -> None:
    """Keep the last 5,000 rows of each of the identities, whatever their age, and those of incidents.

    An incident holds the rows from 5,000 exchanges before its opening to 500 after it until it was resolved for 90
    days. Rows that were pruned before their incident was recorded are gone: that takes scores that run more than 5,000
    exchanges ahead of alerts.
    """
    for identity in sorted(identities):
        of_identity = (_SCORES.c.route == route, _SCORES.c.identity == identity)
        newest = select(_SCORES.c.event_index).where(*of_identity).order_by(_SCORES.c.event_index.desc())
        cut = connection.execute(newest.offset(KEPT_ROWS).limit(1)).scalar_one_or_none()
        if cut is not None:
            connection.execute(
                delete(_SCORES).where(*of_identity, _SCORES.c.event_index <= cut, ~_held(route, today()))
            )


def drop_identity(connection: Connection, route: str, identity: str, day: int) -> None:
    """Delete the rows of an identity that is forgotten, but those that an incident holds on that day."""
    of_identity = (_SCORES.c.route == route, _SCORES.c.identity == identity)
    connection.execute(delete(_SCORES).where(*of_identity, ~_held(route, day)))


def _held(route: str, day: int) -> ColumnElement[bool]:
    opened = _INCIDENTS.c.opened_event_index
    holds = or_(_INCIDENTS.c.state != "resolved", _INCIDENTS.c.written > day - HELD_DAYS)
    return exists().where(
        _INCIDENTS.c.route == route, holds, _SCORES.c.event_index.between(opened - HELD_BEFORE, opened + HELD_AFTER)
    )


def learnable(connection: Connection, route: str, identity: str, until: int) -> list[Mapping[str, Any]]:
    """The rows of an identity up to an event index that may have become its baseline: answered, with vectors."""
    about = ("event_index", "ts", "id", "user", "conversation", "tags", "flags", "scorer")
    measured = ("signals", "prompt_vec", "response_vec", "style")
    query = select(*(_SCORES.c[name] for name in (*about, *measured))).where(
        _SCORES.c.route == route,
        _SCORES.c.identity == identity,
        _SCORES.c.event_index <= until,
        _SCORES.c.embedded,
        *(~_SCORES.c.flags.contains(flag) for flag in sorted(WITHOUT_ANSWER)),
    )
    return [dict(row) for row in connection.execute(query.order_by(_SCORES.c.event_index)).mappings()]


def newest_embedded(connection: Connection, route: str, since: datetime, most: int) -> list[Mapping[str, Any]]:
    """At most so many of the newest embedded rows that are not older than that, newest first."""
    names = ("event_index", "id", "user", "ts", "scorer", "signals", "prompt_vec")
    query = select(*(_SCORES.c[name] for name in names)).where(
        _SCORES.c.route == route, _SCORES.c.embedded, _SCORES.c.ts >= since
    )
    found = connection.execute(query.order_by(_SCORES.c.event_index.desc()).limit(most)).mappings()
    return [dict(row) for row in found]


def newest_index(connection: Connection, route: str) -> int | None:
    """The event index of the newest row of the route."""
    query = select(_SCORES.c.event_index).where(_SCORES.c.route == route).order_by(_SCORES.c.event_index.desc())
    return connection.execute(query.limit(1)).scalar_one_or_none()


def of_route(connection: Connection, route: str) -> list[Mapping[str, Any]]:
    """All rows of a route that are stored, in the order of its exchanges: the columns of `ScoreRow`."""
    query = select(*_SCORES.c).where(_SCORES.c.route == route).order_by(_SCORES.c.event_index)
    return [dict(row) for row in connection.execute(query).mappings()]


_SAMPLES = table(SampleRow)


class StoredSignal(msgspec.Struct, array_like=True, frozen=True):
    """One signal of a score row; `parts`, of tools or guardrails alone, were left out where there are none."""

    value: bool | float | str | None
    probability: float | None
    status: str
    parts: dict[str, bool] = {}


_SIGNALS = msgspec.json.Decoder(dict[str, StoredSignal])


@dataclass(frozen=True, slots=True)
class StoredExchange:
    """One exchange: what was measured, and its redacted text or None where that was not kept.

    Attributes:
        event_index: its number on the route; None when its score row is beyond what is kept.
        signals: name -> what was measured; None likewise.
        kept: whether its text was kept for itself when it came; None likewise.
        scorer: the id of what measured it; None likewise.
    """

    id: str
    route: str
    ts: datetime
    identity: str
    event_index: int | None
    flags: tuple[str, ...]
    signals: Mapping[str, StoredSignal] | None
    sample: Sample | None
    conversation: str | None = None
    user: str | None = None
    kept: bool | None = None
    scorer: str | None = None


@dataclass(frozen=True, slots=True)
class ExchangeFilter:
    """Which exchanges of a route: answered by one identity, in one conversation, of that time.

    `signal` is true of them; `kept`: their text was kept.
    """

    identity: str | None = None
    signal: str | None = None
    conversation: str | None = None
    span: TimeSpan = ANY_TIME
    kept: bool = False


ANY_EXCHANGE: Final = ExchangeFilter()


def exchanges(
    connection: Connection, route: str, before: int | None, most: int, wanted: ExchangeFilter = ANY_EXCHANGE
) -> tuple[StoredExchange, ...]:
    """At most so many exchanges of the route before this event index, newest first."""
    query = (
        _exchange_query(wanted.kept).where(_SCORES.c.route == route).order_by(_SCORES.c.event_index.desc()).limit(most)
    )
    if before is not None:
        query = query.where(_SCORES.c.event_index < before)
    query = query.where(wanted.span.holds(_SCORES.c.ts))
    for column, value in ((_SCORES.c.identity, wanted.identity), (_SCORES.c.conversation, wanted.conversation)):
        if value is not None:
            query = query.where(column == value)
    if wanted.signal is not None:
        query = query.where(_SCORES.c.signals.contains(f'"{wanted.signal}":[true', autoescape=True))
    return tuple(exchange_of_row(row) for row in connection.execute(query))


def exchange(connection: Connection, route: str, id: str) -> StoredExchange | None:
    """One exchange by its id; of one whose score row is gone the text alone."""
    query = (
        _exchange_query(False)
        .where(_SCORES.c.route == route, _SCORES.c.id == id)
        .order_by(_SCORES.c.event_index.desc())
    )
    row = connection.execute(query.limit(1)).one_or_none()
    if row is not None:
        return exchange_of_row(row)
    kept = select(_SAMPLES.c.payload).where(_SAMPLES.c.route == route, _SAMPLES.c.id == id)
    payload = connection.execute(kept).scalar_one_or_none()
    if payload is None:
        return None
    return exchange_of_sample(Sample.decode(payload.encode()))


_TOLD: Final = (
    *("id", "route", "ts", "identity", "event_index", "flags", "signals"),
    *("conversation", "user", "kept", "scorer"),
)


def exchange_columns() -> list[ColumnElement[Any]]:
    """What `exchange_of_row` reads, of score rows and, as `payload`, of samples."""
    return [*(_SCORES.c[name] for name in _TOLD), _SAMPLES.c.payload]


def _exchange_query(kept: bool) -> Select[Any]:
    same = and_(_SAMPLES.c.route == _SCORES.c.route, _SAMPLES.c.id == _SCORES.c.id)
    same = and_(same, _SAMPLES.c.held == "kept") if kept else same
    return select(*exchange_columns()).select_from(_SCORES.join(_SAMPLES, same, isouter=not kept))


def stored_signals(text: str) -> Mapping[str, StoredSignal]:
    """Name -> what was measured, of the column `signals`."""
    return _SIGNALS.decode(text)


def exchange_of_row(row: Row[Any]) -> StoredExchange:
    """An exchange of the columns that `exchange_columns` names."""
    return StoredExchange(
        row.id,
        row.route,
        row.ts,
        row.identity,
        row.event_index,
        tuple(msgspec.json.decode(row.flags)),
        _SIGNALS.decode(row.signals),
        None if row.payload is None else Sample.decode(row.payload.encode()),
        row.conversation,
        row.user,
        row.kept,
        row.scorer,
    )


def exchange_of_sample(sample: Sample) -> StoredExchange:
    """An exchange of which the text alone is stored."""
    about = (sample.id, sample.route, sample.ts, sample.identity)
    return StoredExchange(*about, None, (), None, sample, sample.conversation, sample.user)
