"""What people decided: what took effect (in the journal), and what is on its way to it (in the outbox)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Select, and_, exists, or_, select

from schemas.decision import Decision, DecisionKind
from services.store.decisions import DecisionRow
from services.store.tables import JournalRow, table
from services.store.visible import EVERYTHING, visible

_JOURNAL = table(JournalRow)
_OUTBOX = table(DecisionRow)
_MOST_PENDING: Final = 1_000


@dataclass(frozen=True, slots=True)
class Filter:
    """Which decisions: of routes that fit one of the globs, of this incident, of these kinds, of one id."""

    globs: Sequence[str] = EVERYTHING
    incident: str | None = None
    kinds: tuple[DecisionKind, ...] = ()
    id: str | None = None


@dataclass(frozen=True, slots=True)
class Decided:
    """One decision, and whether it took effect."""

    decision: Decision
    id: str
    applied: bool

    @property
    def place(self) -> tuple[datetime, str]:
        """Where it stands in a list."""
        return self.decision.ts, self.id


def page(connection: Connection, wanted: Filter, after: tuple[datetime, str] | None, most: int) -> tuple[Decided, ...]:
    """At most so many decisions, newest first, that follow the one with this time and id."""
    found = [*_applied(connection, wanted, after, most), *_pending(connection, wanted, after)]
    return tuple(sorted(found, key=lambda one: one.place, reverse=True)[:most])


def _applied(connection: Connection, wanted: Filter, after: tuple[datetime, str] | None, most: int) -> list[Decided]:
    ts, fact = _JOURNAL.c.ts, _JOURNAL.c.fact
    keys: Select[Any] = select(_JOURNAL.c.route, _JOURNAL.c.seq).where(_JOURNAL.c.kind == "decision")
    keys = _of(keys, _JOURNAL.c.route, _JOURNAL.c.payload, wanted).order_by(ts.desc(), fact.desc()).limit(most)
    if wanted.id is not None:
        keys = keys.where(fact == wanted.id)
    if after is not None:
        keys = keys.where(or_(ts < after[0], and_(ts == after[0], fact < after[1])))
    some = keys.subquery()
    query = select(fact, _JOURNAL.c.payload).join(
        some, and_(_JOURNAL.c.route == some.c.route, _JOURNAL.c.seq == some.c.seq)
    )
    return [Decided(Decision.decode(row.payload.encode()), row.fact, True) for row in connection.execute(query)]


def _pending(connection: Connection, wanted: Filter, after: tuple[datetime, str] | None) -> list[Decided]:
    held = exists().where(
        _JOURNAL.c.route == _OUTBOX.c.route, _JOURNAL.c.kind == "decision", _JOURNAL.c.fact == _OUTBOX.c.id
    )
    query = _of(select(_OUTBOX.c.id, _OUTBOX.c.payload), _OUTBOX.c.route, _OUTBOX.c.payload, wanted).where(~held)
    if wanted.id is not None:
        query = query.where(_OUTBOX.c.id == wanted.id)
    rows = connection.execute(query.order_by(_OUTBOX.c.created.desc()).limit(_MOST_PENDING)).all()
    found = (Decided(Decision.decode(row.payload.encode()), row.id, False) for row in rows)
    return [one for one in found if after is None or one.place < after]


def _of(query: Select[Any], route: ColumnElement[Any], payload: ColumnElement[Any], wanted: Filter) -> Select[Any]:
    """Quotes inside a person's words are escaped in JSON, so that none of them looks like a field."""
    query = query.where(visible(route, wanted.globs), payload.is_not(None))
    if wanted.incident is not None:
        query = query.where(payload.contains(f'"incident":"{wanted.incident}"', autoescape=True))
    if wanted.kinds:
        query = query.where(or_(*(payload.contains(f'"kind":"{kind}"', autoescape=True) for kind in wanted.kinds)))
    return query
