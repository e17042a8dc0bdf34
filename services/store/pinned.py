"""Baselines as the journal tells of them: which was pinned when, of whom, with which rates and budget."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, and_, func, or_, select

from schemas.change import Change
from services.store.tables import BaselineRow, JournalRow, table
from services.store.visible import visible

_JOURNAL = table(JournalRow)
_BASELINES = table(BaselineRow)


def current(connection: Connection, routes: Sequence[str]) -> dict[str, Change]:
    """Route -> the baseline that was pinned last, of those that have one."""
    query = _pinnings().where(_JOURNAL.c.route.in_(routes)).order_by(_JOURNAL.c.ts, _JOURNAL.c.seq)
    return {change.route: change for change in _decoded(connection, query)}


def page(
    connection: Connection, globs: Sequence[str], after: tuple[datetime, str] | None, most: int
) -> tuple[Change, ...]:
    """At most so many pinnings of the globs' routes, newest first, that follow the one with this time and id."""
    ts, fact = _JOURNAL.c.ts, _JOURNAL.c.fact
    query = _pinnings().where(visible(_JOURNAL.c.route, globs)).order_by(ts.desc(), fact.desc()).limit(most)
    if after is not None:
        query = query.where(or_(ts < after[0], and_(ts == after[0], fact < after[1])))
    return _decoded(connection, query)


def get(connection: Connection, id: str) -> Change | None:
    """The pinning of one baseline, by the baseline's id."""
    route = select(_BASELINES.c.route).where(_BASELINES.c.id == id)
    name = connection.execute(route).scalar_one_or_none()
    query = _pinnings().where(_JOURNAL.c.payload.contains(f'"baseline":"{id}"', autoescape=True))
    if name is not None:
        query = query.where(_JOURNAL.c.route == name)
    return next((change for change in _decoded(connection, query) if change.baseline == id), None)


def sizes(connection: Connection, ids: Collection[str]) -> dict[str, int]:
    """Baseline id -> bytes of its artefact, of those that are stored; the artefacts themselves are not read."""
    query = select(_BASELINES.c.id, func.length(_BASELINES.c.blob)).where(_BASELINES.c.id.in_(sorted(ids)))
    return {id: int(size) for id, size in connection.execute(query)}


def _pinnings() -> Select[Any]:
    told = _JOURNAL.c.payload.contains('"kind":"pinned"', autoescape=True)
    return select(_JOURNAL.c.payload).where(_JOURNAL.c.kind == "change", told)


def _decoded(connection: Connection, query: Select[Any]) -> tuple[Change, ...]:
    found = (Change.decode(payload.encode()) for payload in connection.execute(query).scalars())
    return tuple(change for change in found if change.kind == "pinned")
