"""Changes and comparisons of all routes, read from the journal a page at a time."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, and_, or_, select, true

from schemas.change import Change
from schemas.decision import Decision
from schemas.evaluation import Comparison
from services.store.dialect import json_text
from services.store.journal import KINDS
from services.store.tables import JournalRow, Route, table
from services.store.visible import EVERYTHING, visible

ANNOUNCED: Final = "announced"
_JOURNAL = table(JournalRow)
_ROUTES = table(Route)
Place = tuple[datetime, str]


def page(
    connection: Connection,
    globs: Sequence[str],
    kinds: Collection[str] | None,
    after: Place | None,
    most: int,
) -> tuple[Change | Decision, ...]:
    """At most so many changes of these kinds, newest first, that follow the one with this time and id.

    A change that was announced is the decision that says so. What was erased is left out.
    """
    said = json_text(connection, _JOURNAL.c.payload, "kind")
    change, announced = _JOURNAL.c.kind == "change", and_(_JOURNAL.c.kind == "decision", said == "announce")
    if kinds is not None:
        change = and_(change, said.in_(sorted(kinds)))
    wanted = or_(change, announced) if kinds is None or ANNOUNCED in kinds else change
    found = _page(connection, globs, ("change", "decision"), wanted, after, most)
    return tuple(fact for fact in found if isinstance(fact, Change | Decision))


def comparisons(connection: Connection, globs: Sequence[str], after: Place | None, most: int) -> tuple[Comparison, ...]:
    """At most so many comparisons, newest first, that follow the one with this time and id."""
    found = _page(connection, globs, ("comparison",), true(), after, most)
    return tuple(fact for fact in found if isinstance(fact, Comparison))


def comparison(connection: Connection, id: str) -> Comparison | None:
    """One comparison."""
    one = _JOURNAL.c
    query = select(one.payload).where(_of(EVERYTHING), one.kind == "comparison", one.fact == id)
    payload = connection.execute(query).scalars().first()
    return None if payload is None else Comparison.decode(payload.encode())


def outcomes(connection: Connection, globs: Sequence[str], ended: Collection[datetime]) -> dict[str, Comparison]:
    """Id of a later run -> its comparison, of runs that ended at these times: a comparison bears that time."""
    one = _JOURNAL.c
    query = select(one.payload).where(_of(globs), one.kind == "comparison", one.ts.in_(sorted(ended)))
    found = (Comparison.decode(text.encode()) for text in connection.execute(query).scalars() if text is not None)
    return {fact.after_run: fact for fact in found if fact.after_run is not None}


def _page(
    connection: Connection,
    globs: Sequence[str],
    kinds: Collection[str],
    wanted: ColumnElement[bool],
    after: Place | None,
    most: int,
) -> list[Any]:
    one = _JOURNAL.c
    query = select(one.kind, one.payload).where(_of(globs), one.kind.in_(kinds), wanted, one.payload.is_not(None))
    if after is not None:
        query = query.where(or_(one.ts < after[0], and_(one.ts == after[0], one.fact < after[1])))
    rows = connection.execute(query.order_by(one.ts.desc(), one.fact.desc()).limit(most)).all()
    return [KINDS[row.kind].decode(row.payload.encode()) for row in rows]


def _of(globs: Sequence[str]) -> ColumnElement[bool]:
    """Of these routes, each by its name, so that the index by route and kind is used."""
    return _JOURNAL.c.route.in_(select(_ROUTES.c.route).where(visible(_ROUTES.c.route, globs)))
