"""The tables as SQLModel classes. Times are UTC; JSON is text, so that both databases keep it byte for byte."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final, cast

from sqlalchemy import BigInteger, DateTime, Dialect, Index, LargeBinary, MetaData, Table, Text, TypeDecorator, text
from sqlalchemy.orm import registry
from sqlmodel import Field, SQLModel, UniqueConstraint

NAMES: Final = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


class UtcDateTime(TypeDecorator[datetime]):
    """An aware time, stored and read in UTC; SQLite, which knows no zones, keeps the UTC wall time."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """To UTC; a time without a zone is a fault of ours."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a time without a zone cannot be stored")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Aware, in UTC, whatever the database's session zone is."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Base(SQLModel, registry=registry(metadata=MetaData(naming_convention=NAMES))):
    """Parent of all tables; its metadata is what the migrations must agree with."""


def table(model: type[Base]) -> Table:
    """The SQLAlchemy table of a model, for bulk work in SQLAlchemy core."""
    return cast(Table, cast(Any, model).__table__)


class Route(Base, table=True):
    """What is known of a route as a whole: its clock (greatest unflagged time) and the head of its journal."""

    __tablename__ = "routes"
    route: str = Field(primary_key=True)
    clock: datetime | None = Field(default=None, sa_type=cast(Any, UtcDateTime))
    journal_seq: int = Field(default=0, sa_type=BigInteger)
    journal_hash: str = ""


class Scorer(Base, table=True):
    """What produced score rows: engine, precision and signal versions, by the hash of their JSON."""

    __tablename__ = "scorers"
    id: str = Field(primary_key=True)
    payload: str = Field(sa_type=Text)


class Identity(Base, table=True):
    """What stands behind an effective identity of a route: its model as JSON, without volatile fields."""

    __tablename__ = "identities"
    route: str = Field(primary_key=True)
    identity: str = Field(primary_key=True)
    model: str = Field(sa_type=Text)


class ScoreRow(Base, table=True):
    """One scored exchange: enough to re-compute evidence. Vectors are little-endian float16; null when not embedded."""

    __tablename__ = "score_rows"
    __table_args__ = (
        Index(None, "route", "identity", "event_index"),
        Index(None, "route", "id"),
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
    user: str | None = Field(default=None, index=True)
    tags: str = Field(sa_type=Text)
    flags: str = Field(sa_type=Text)
    kept: bool
    embedded: bool
    scorer: str = Field(foreign_key="scorers.id")
    prompt_vec: bytes | None = Field(default=None, sa_type=LargeBinary)
    response_vec: bytes | None = Field(default=None, sa_type=LargeBinary)
    style: bytes | None = Field(default=None, sa_type=LargeBinary)
    signals: str = Field(sa_type=Text)


class SampleRow(Base, table=True):
    """One exchange's redacted text. `day` and `draw` decide which ones a full day keeps."""

    __tablename__ = "samples"
    __table_args__ = (
        Index(None, "route", "day", "draw"),
        Index(None, "route", "ts"),
    )
    route: str = Field(primary_key=True)
    id: str = Field(primary_key=True)
    ts: datetime = Field(sa_type=cast(Any, UtcDateTime))
    day: int
    draw: str
    user: str | None = Field(default=None, index=True)
    conversation: str | None = None
    payload: str = Field(sa_type=Text)


class Rollup(Base, table=True):
    """One minute of one signal: `n` exchanges, `scored` of them, the `sum` of their values (Booleans: how many true).

    `slice` is empty for the whole route, else `dimension=value`; `signal` is empty for the exchanges themselves.
    """

    __tablename__ = "rollups"
    route: str = Field(primary_key=True)
    minute: datetime = Field(primary_key=True, sa_type=cast(Any, UtcDateTime))
    identity: str = Field(primary_key=True)
    slice: str = Field(primary_key=True)
    signal: str = Field(primary_key=True)
    n: int = Field(sa_type=BigInteger)
    scored: int = Field(sa_type=BigInteger)
    sum: float


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


class JournalRow(Base, table=True):
    """One fact in a route's append-only, hash-chained journal. An erased fact has neither payload nor salt."""

    __tablename__ = "journal"
    __table_args__ = (UniqueConstraint("route", "kind", "fact"),)
    route: str = Field(primary_key=True)
    seq: int = Field(primary_key=True, sa_type=BigInteger)
    kind: str
    fact: str
    ts: datetime = Field(sa_type=cast(Any, UtcDateTime))
    payload: str | None = Field(default=None, sa_type=Text)
    salt: bytes | None = Field(default=None, sa_type=LargeBinary)
    commitment: str
    hash: str


class IncidentRow(Base, table=True):
    """One incident, derived from its route's journal: at most one of a route is not resolved.

    `false_alarm` says that somebody called it one.
    """

    __tablename__ = "incidents"
    __table_args__ = (
        Index(
            "uq_incidents_unresolved_route",
            "route",
            unique=True,
            sqlite_where=text("state <> 'resolved'"),
            postgresql_where=text("state <> 'resolved'"),
        ),
        Index(None, "route", "opened_at"),
        Index(None, "opened_at", "id"),
    )
    id: str = Field(primary_key=True)
    route: str
    state: str
    severity: str
    opened_event_index: int = Field(sa_type=BigInteger)
    opened_at: datetime = Field(sa_type=cast(Any, UtcDateTime))
    payload: str = Field(sa_type=Text)
    false_alarm: bool = Field(default=False, sa_column_kwargs={"server_default": text("false")})


class OutboxRow(Base, table=True):
    """One notification on its way: `pending` until a vendor accepted it, then `sent`; `failed` when given up."""

    __tablename__ = "outbox"
    __table_args__ = (Index(None, "state", "next_attempt"), Index(None, "route", "state"))
    id: str = Field(primary_key=True)
    route: str
    incident: str
    kind: str
    payload: str = Field(sa_type=Text)
    state: str = "pending"
    created: datetime = Field(sa_type=cast(Any, UtcDateTime))
    attempts: int = 0
    next_attempt: datetime | None = Field(default=None, sa_type=cast(Any, UtcDateTime))
    sent: datetime | None = Field(default=None, sa_type=cast(Any, UtcDateTime))
    error: str | None = Field(default=None, sa_type=Text)


class DeadRow(Base, table=True):
    """One dead letter without its content: only so that a redelivered one is not counted again."""

    __tablename__ = "dead_letters"
    step: str = Field(primary_key=True)
    cluster: str = Field(primary_key=True)
    topic: str = Field(primary_key=True)
    partition: int = Field(primary_key=True)
    offset: int = Field(primary_key=True, sa_type=BigInteger)


class DeadCount(Base, table=True):
    """How many dead letters one step had of one topic for one reason, and when first and last."""

    __tablename__ = "dead_counts"
    step: str = Field(primary_key=True)
    cluster: str = Field(primary_key=True)
    topic: str = Field(primary_key=True)
    reason: str = Field(primary_key=True)
    n: int = Field(sa_type=BigInteger)
    first_seen: datetime | None = Field(default=None, sa_type=cast(Any, UtcDateTime))
    last_seen: datetime | None = Field(default=None, sa_type=cast(Any, UtcDateTime))


class StateRow(Base, table=True):
    """A step's running state of one route, saved by compare-and-swap on its version."""

    __tablename__ = "states"
    step: str = Field(primary_key=True)
    route: str = Field(primary_key=True)
    version: int = Field(sa_type=BigInteger)
    blob: bytes = Field(sa_type=LargeBinary)


class BaselineRow(Base, table=True):
    """The artefact of a pinned baseline, written once."""

    __tablename__ = "baselines"
    id: str = Field(primary_key=True)
    route: str = Field(index=True)
    blob: bytes = Field(sa_type=LargeBinary)


class CandidateRow(Base, table=True):
    """Rows of one identity that may become a baseline, detect's own, in bytes."""

    __tablename__ = "candidates"
    route: str = Field(primary_key=True)
    key: str = Field(primary_key=True)
    rows: bytes = Field(sa_type=LargeBinary)


class EvaluationRow(Base, table=True):
    """One run of a suite that is due at its time, once per (cause, suite, target, delay).

    `cause` is the id of the change or decision that asks for it; `state` is pending, running, ran (stored, and not
    published), done or failed. Whoever runs it is its `owner` until `lease_until`, and writes its result under the
    `token` that only grows. `created` is when it was written, by the clock on the wall.
    """

    __tablename__ = "evaluations"
    __table_args__ = (Index(None, "state", "due"), Index(None, "route", "due"))
    id: str = Field(primary_key=True)
    route: str
    cause: str
    moment: str
    identity: str | None = None
    suite: str
    target: str = Field(sa_type=Text)
    delay: int = Field(sa_type=BigInteger)
    due: datetime = Field(sa_type=cast(Any, UtcDateTime))
    state: str = "pending"
    owner: str | None = None
    lease_until: datetime | None = Field(default=None, sa_type=cast(Any, UtcDateTime))
    token: int = Field(default=0, sa_type=BigInteger)
    reason: str | None = Field(default=None, sa_type=Text)
    created: datetime | None = Field(default=None, sa_type=cast(Any, UtcDateTime))
