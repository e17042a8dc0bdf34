"""What people decide: checked against what it is about as that is, written once, told to the relay."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final

from sqlalchemy import Connection

from schemas.decision import Decision
from schemas.incident import Incident
from services.api.problems import of_store
from services.api.staleness import Known, moved_on, route_moved_on, staleness
from services.store import decisions, incidents, journal, pinned, routes
from services.store.decisions import Stale
from services.store.engine import Database

NO_INCIDENT: Final = "there is no such incident; GET /v1/incidents lists them"
_TICK: Final = timedelta(milliseconds=1)

Clock = Callable[[], datetime]


class Decisions:
    """Takes decisions, from whatever people press: pages, the API, Slack."""

    def __init__(self, database: Database, wake: Callable[[], object], clock: Clock | None = None) -> None:
        """`wake` is called after each that was written: it is to be published."""
        self._database, self._wake = database, wake
        self.clock: Clock = clock or (lambda: datetime.now(UTC))

    async def decide(self, decision: Decision, seen: str | None = None) -> str:
        """Write the decision, and have it published; its id. One that was written already is the same one.

        `seen` is what the page showed that it was pressed on (`seen_of`, `route_seen_of`); None asks no such thing.

        Raises:
            Stale: if it would change nothing, or something else happened since: the reason in words.
            Problem: 503 if the database does not answer.
        """
        await of_store(lambda: self._database.transact(lambda connection: self._write(connection, decision, seen)))
        self._wake()
        return decision.id

    def _write(self, connection: Connection, decision: Decision, seen: str | None) -> None:
        routes.lock(connection, [decision.route])
        if decisions.known(connection, decision.id):
            return
        known = _known(connection, decision)
        reason = staleness(decision, known)
        if reason is None and seen is not None:
            reason = _moved_on(seen, known)
        if reason is not None:
            raise Stale(reason)
        decisions.add(connection, decision, self.clock())


def _known(connection: Connection, decision: Decision) -> Known:
    named = None if decision.incident is None else incidents.get(connection, decision.incident)
    if decision.incident is not None and named is None:
        raise Stale(NO_INCIDENT)
    earlier = decisions.of_route(connection, decision.route)
    if named is None:
        applied = journal.held(connection, decision.route, earlier)
    else:
        applied = frozenset(entry.ref for entry in named.timeline if entry.ref is not None)
    is_open = named is not None or incidents.has_unresolved(connection, decision.route)
    baseline = pinned.current(connection, [decision.route]).get(decision.route)
    return Known(named, is_open, earlier, applied, None if baseline is None else baseline.baseline)


def _moved_on(seen: str, known: Known) -> str | None:
    if known.named is None:
        return route_moved_on(seen, next(reversed(known.earlier), None), known.baseline)
    id = known.named.id
    pending = [one for one in known.earlier if one.incident == id and one.id not in known.applied]
    return moved_on(seen, known.named, pending)


def stamp(named: Incident | None, now: datetime) -> datetime:
    """When a decision was taken: `now`, and not before what it is about (a route's clock may run ahead)."""
    return now if named is None or now > named.updated_at else named.updated_at + _TICK
