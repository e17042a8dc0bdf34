"""What happened on a route in a span of time, for the axis of a chart; at most so many of each kind, the newest."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Final

from sqlalchemy import Connection, select

from schemas.incident import Incident
from services.store.chain import ERASURE
from services.store.journal import KINDS, Fact
from services.store.tables import IncidentRow, JournalRow, table

MOST: Final = 100
_FIRST: Final = datetime(2000, 1, 1, tzinfo=UTC)
_LAST: Final = datetime(2100, 1, 1, tzinfo=UTC)
_JOURNAL = table(JournalRow)
_INCIDENTS = table(IncidentRow)


def facts(
    connection: Connection,
    route: str,
    kinds: Sequence[str],
    since: datetime | None,
    until: datetime | None,
    most: int = MOST,
) -> tuple[Fact, ...]:
    """Facts of these kinds in [since, until), in order; of an erased one what was put in its place."""
    since, until = since or _FIRST, until or _LAST
    one = _JOURNAL.c
    query = select(one.kind, one.payload).where(one.route == route, one.kind.in_(kinds), one.payload.is_not(None))
    within = query.where(one.ts >= since, one.ts < until).order_by(one.seq.desc()).limit(most)
    found = [KINDS[kind].decode(payload.encode()) for kind, payload in connection.execute(within)]
    found += [fact for fact in _replaced(connection, route, kinds, most) if since <= fact.ts < until]
    return tuple(sorted(found, key=lambda fact: fact.ts))


def incidents(
    connection: Connection, route: str, since: datetime, until: datetime, most: int = MOST
) -> tuple[Incident, ...]:
    """Incidents that were open at some time in [since, until), newest first."""
    one = _INCIDENTS.c
    query = select(one.payload).where(one.route == route, one.opened_at < until)
    newest = query.order_by(one.opened_at.desc(), one.id.desc()).limit(most)
    found = (Incident.decode(payload.encode()) for payload in connection.execute(newest).scalars())
    return tuple(one for one in found if one.resolved_at is None or one.resolved_at >= since)


def _replaced(connection: Connection, route: str, kinds: Sequence[str], most: int) -> Iterator[Fact]:
    one = _JOURNAL.c
    query = select(one.payload).where(one.route == route, one.kind == ERASURE, one.payload.is_not(None))
    for stored in connection.execute(query.order_by(one.seq.desc()).limit(most)).scalars():
        kind, _, payload = stored.partition("\n")
        if kind in kinds:
            yield KINDS[kind].decode(payload.encode())
