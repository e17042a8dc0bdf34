"""Decisions of people: the outbox that publishes them in order, and lists of pending and applied ones."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, cast

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Index,
    Select,
    Text,
    UniqueConstraint,
    and_,
    delete,
    exists,
    func,
    insert,
    or_,
    select,
    update,
)
from sqlmodel import Field

from schemas.decision import Decision, DecisionKind
from services.store import audit_log, routes
from services.store.journal import JournalRow, told
from services.store.tables import EVERYTHING, Base, TimeCursor, UtcDateTime, older_than, table, visible


class DecisionRow(Base, table=True):
    """One decision, numbered within its route; `published` once the broker has it.

    Whoever publishes the route's decisions is the `owner` of its rows until `lease_until`.
    """

    __tablename__ = "decisions_outbox"
    __table_args__ = (
        UniqueConstraint("id"),
        Index(None, "published", "route"),
        Index(None, "incident"),
    )
    route: str = Field(primary_key=True)
    seq: int = Field(primary_key=True, sa_type=BigInteger)
    id: str
    incident: str | None = None
    payload: str = Field(sa_type=Text)
    created: datetime = Field(sa_type=cast(Any, UtcDateTime))
    owner: str | None = None
    lease_until: datetime | None = Field(default=None, sa_type=cast(Any, UtcDateTime))
    published: datetime | None = Field(default=None, sa_type=cast(Any, UtcDateTime))


CLAIMED_AT_ONCE: Final = 200
KEEP_PUBLISHED: Final = timedelta(days=7)
_DECISIONS = table(DecisionRow)
_WAITS = _DECISIONS.c.published.is_(None)


class StaleDecision(Exception):  # noqa: N818
    """The decision would change nothing: the text says why, for whoever took it."""


@dataclass(frozen=True, slots=True)
class UnpublishedDecision:
    """A decision that is to be published: number `seq` of its route, `payload` as it is sent."""

    route: str
    seq: int
    payload: bytes


def is_known(connection: Connection, id: str) -> bool:
    """Whether the decision was written already."""
    return bool(connection.execute(select(exists().where(_DECISIONS.c.id == id))).scalar())


def add(connection: Connection, decision: Decision, now: datetime) -> None:
    """Write a decision that is not known yet; the transaction has locked its route."""
    last = select(func.coalesce(func.max(_DECISIONS.c.seq), 0)).where(_DECISIONS.c.route == decision.route)
    row = {
        "route": decision.route,
        "seq": int(connection.execute(last).scalar_one()) + 1,
        "id": decision.id,
        "incident": decision.incident,
        "payload": decision.encode().decode(),
        "created": now,
    }
    connection.execute(insert(_DECISIONS), row)
    audit_log.note(connection, "decisions_outbox", [(row["route"], row["seq"])])


def of_incident(connection: Connection, incident: str) -> tuple[Decision, ...]:
    """What was decided on an incident and is still kept here, in order."""
    query = select(_DECISIONS.c.payload, _DECISIONS.c.id).where(_DECISIONS.c.incident == incident)
    return tuple(Decision.stored(*row) for row in connection.execute(query.order_by(_DECISIONS.c.seq)))


def of_route(connection: Connection, route: str, kinds: Collection[DecisionKind] = ()) -> tuple[Decision, ...]:
    """The newest decisions of a route that are still kept here, in order: of these kinds, else all but comments.

    Of one kind there may be any number, as of comments: whoever looks for another one asks for that.
    """
    query = select(_DECISIONS.c.payload, _DECISIONS.c.id).where(_DECISIONS.c.route == route)
    comments: tuple[DecisionKind, ...] = ("comment",)
    asked = _is_of_kind(_DECISIONS.c.payload, kinds or comments)
    query = query.where(asked if kinds else ~asked)
    found = connection.execute(query.order_by(_DECISIONS.c.seq.desc()).limit(CLAIMED_AT_ONCE)).all()
    return tuple(Decision.stored(*row) for row in reversed(found))


def any_unpublished(connection: Connection) -> bool:
    """Whether any decision is to be published."""
    return bool(connection.execute(select(exists().where(_WAITS))).scalar())


def claim(connection: Connection, owner: str, now: datetime, until: datetime) -> tuple[UnpublishedDecision, ...]:
    """The oldest unpublished decisions of every route that no other owner has claimed, for `owner` until then.

    The lock on the routes keeps a decision that is written at this moment from being claimed by somebody else.
    """
    names = connection.execute(select(_DECISIONS.c.route).where(_WAITS).distinct()).scalars().all()
    if not names:
        return ()
    routes.lock(connection, names)
    taken = and_(_WAITS, _DECISIONS.c.owner != owner, _DECISIONS.c.lease_until > now)
    free = set(names) - set(connection.execute(select(_DECISIONS.c.route).where(taken)).scalars())
    columns = (_DECISIONS.c.route, _DECISIONS.c.seq, _DECISIONS.c.payload)
    query = select(*columns).where(_WAITS, _DECISIONS.c.route.in_(sorted(free)))
    rows = connection.execute(query.order_by(_DECISIONS.c.route, _DECISIONS.c.seq).limit(CLAIMED_AT_ONCE)).all()
    found = tuple(UnpublishedDecision(row.route, row.seq, row.payload.encode()) for row in rows)
    if found:
        connection.execute(update(_DECISIONS).where(_these(found)).values(owner=owner, lease_until=until))
    return found


def publish(connection: Connection, done: Sequence[UnpublishedDecision], now: datetime) -> None:
    """Note that the broker has them."""
    if done:
        gone = {"published": now, "owner": None, "lease_until": None}
        connection.execute(update(_DECISIONS).where(_these(done)).values(**gone))


def rename_unpublished(connection: Connection) -> None:
    """After an erasure: what is still to be published has the id that its readers make of it, also where it is named.

    What was published before keeps its own: the journal knows it by that one.
    """
    renamed: dict[str, str] = {}
    query = select(_DECISIONS.c.route, _DECISIONS.c.seq, _DECISIONS.c.id, _DECISIONS.c.payload).where(_WAITS)
    for row in connection.execute(query.order_by(_DECISIONS.c.route, _DECISIONS.c.seq)).all():
        one = Decision.decode(row.payload.encode())
        if one.silence in renamed:
            one = one.model_copy(update={"silence": renamed[one.silence]})
        if one.id == row.id or is_known(connection, one.id):
            continue
        renamed[row.id] = one.id
        key = (row.route, row.seq)
        where = (_DECISIONS.c.route == row.route, _DECISIONS.c.seq == row.seq)
        audit_log.guard(connection, "decisions_outbox", [key])
        values = {"id": one.id, "payload": one.encode().decode()}
        connection.execute(update(_DECISIONS).where(*where).values(**values))
        audit_log.note(connection, "decisions_outbox", [key])
        audit_log.forget_content(connection, "decisions_outbox", [key])


def release(connection: Connection, owner: str) -> None:
    """Give up the claims of an owner that ends, so that another one need not wait for their time."""
    mine = (_DECISIONS.c.owner == owner, _WAITS)
    connection.execute(update(_DECISIONS).where(*mine).values(owner=None, lease_until=None))


def prune(connection: Connection, before: datetime) -> None:
    """Delete what was published before that time: the journal has it."""
    old = _DECISIONS.c.published < before
    gone = [tuple(row) for row in connection.execute(select(_DECISIONS.c.route, _DECISIONS.c.seq).where(old))]
    if gone:
        audit_log.guard(connection, "decisions_outbox", gone)
        connection.execute(delete(_DECISIONS).where(old))
        audit_log.note(connection, "decisions_outbox", gone)


def _these(some: Sequence[UnpublishedDecision]) -> ColumnElement[bool]:
    return or_(*(and_(_DECISIONS.c.route == one.route, _DECISIONS.c.seq == one.seq) for one in some))


_JOURNAL = table(JournalRow)
_MOST_PENDING: Final = 1_000


@dataclass(frozen=True, slots=True)
class DecisionFilter:
    """Which decisions: of routes that fit one of the globs, of this incident, of these kinds, of one id."""

    globs: Sequence[str] = EVERYTHING
    incident: str | None = None
    kinds: tuple[DecisionKind, ...] = ()
    id: str | None = None


@dataclass(frozen=True, slots=True)
class RecordedDecision:
    """One decision, and whether it took effect."""

    decision: Decision
    id: str
    applied: bool

    @property
    def place(self) -> TimeCursor:
        """Where it stands in a list."""
        return self.decision.ts, self.id


def page(
    connection: Connection, wanted: DecisionFilter, after: TimeCursor | None, most: int
) -> tuple[RecordedDecision, ...]:
    """At most so many decisions, newest first, that follow the one with this time and id."""
    found = [*_applied(connection, wanted, after, most), *_pending(connection, wanted, after)]
    return tuple(sorted(found, key=lambda one: one.place, reverse=True)[:most])


def _applied(
    connection: Connection, wanted: DecisionFilter, after: TimeCursor | None, most: int
) -> list[RecordedDecision]:
    ts, fact = _JOURNAL.c.ts, _JOURNAL.c.fact
    keys: Select[Any] = select(_JOURNAL.c.route, _JOURNAL.c.seq)
    keys = keys.where(_JOURNAL.c.kind == "decision", older_than(after, ts, fact))
    keys = _narrowed(keys, _JOURNAL.c.route, told(), wanted).order_by(ts.desc(), fact.desc()).limit(most)
    if wanted.id is not None:
        keys = keys.where(fact == wanted.id)
    some = keys.subquery()
    query = select(fact, told()).join(some, and_(_JOURNAL.c.route == some.c.route, _JOURNAL.c.seq == some.c.seq))
    return [RecordedDecision(Decision.stored(text, id), id, True) for id, text in connection.execute(query)]


def _pending(connection: Connection, wanted: DecisionFilter, after: TimeCursor | None) -> list[RecordedDecision]:
    held = exists().where(
        _JOURNAL.c.route == _DECISIONS.c.route, _JOURNAL.c.kind == "decision", _JOURNAL.c.fact == _DECISIONS.c.id
    )
    query: Select[Any] = select(_DECISIONS.c.id, _DECISIONS.c.payload).where(~held)
    query = _narrowed(query, _DECISIONS.c.route, _DECISIONS.c.payload, wanted)
    if wanted.id is not None:
        query = query.where(_DECISIONS.c.id == wanted.id)
    rows = connection.execute(query.order_by(_DECISIONS.c.created.desc()).limit(_MOST_PENDING)).all()
    found = (RecordedDecision(Decision.stored(row.payload, row.id), row.id, False) for row in rows)
    return [one for one in found if after is None or one.place < after]


def _narrowed(
    query: Select[Any], route: ColumnElement[Any], payload: ColumnElement[Any], wanted: DecisionFilter
) -> Select[Any]:
    """Quotes inside a person's words are escaped in JSON, so that none of them looks like a field."""
    query = query.where(visible(route, wanted.globs), payload.is_not(None))
    if wanted.incident is not None:
        query = query.where(payload.contains(f'"incident":"{wanted.incident}"', autoescape=True))
    if wanted.kinds:
        query = query.where(_is_of_kind(payload, wanted.kinds))
    return query


def _is_of_kind(payload: ColumnElement[Any], kinds: Collection[DecisionKind]) -> ColumnElement[bool]:
    return or_(*(payload.contains(f'"kind":"{kind}"', autoescape=True) for kind in kinds))
