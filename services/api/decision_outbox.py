"""What people decide: checked against what it is about as that is, and written once.

From the database it goes to its topic at least once, in order per route, however many replicas run.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Any, Final

from sqlalchemy import Connection

from schemas.decision import Decision, silences_of
from schemas.incident import Incident
from schemas.topics import DECISIONS
from services.api.decision_conflicts import (
    ENDS,
    DecisionContext,
    conflict_of,
    incident_changes_since,
    route_changes_since,
)
from services.api.http.problems import LOG, call_store
from services.api.route_snapshot import muted_alerts
from services.ports import Clock
from services.store import baselines, decisions, incidents, journal, readings, routes, silences
from services.store.decisions import KEEP_PUBLISHED, StaleDecision, UnpublishedDecision
from services.store.engine import Database

NO_INCIDENT: Final = "there is no such incident; GET /v1/incidents lists them"
_TICK: Final = timedelta(milliseconds=1)


class DecisionWriter:
    """Takes decisions, from whatever people press: pages, the API, Slack."""

    def __init__(self, database: Database, wake: Callable[[], object], clock: Clock | None = None) -> None:
        """`wake` is called after each that was written: it is to be published."""
        self._database, self._wake = database, wake
        self.clock: Clock = clock or (lambda: datetime.now(UTC))

    async def decide(self, decision: Decision, seen: str | None = None) -> str:
        """Write the decision, and have it published; its id. One that was written already is the same one.

        `seen` is what the page showed that it was pressed on (`seen_of`, `route_seen_of`); None asks no such thing.

        Raises:
            StaleDecision: if it would change nothing, or something else happened since: the reason in words.
            Problem: 503 if the database does not answer.
        """
        await self.decide_all([decision], seen)
        return decision.id

    async def decide_all(self, several: Sequence[Decision], seen: str | None = None) -> None:
        """Write what one press decides, all of it or nothing; what would change nothing is left out.

        Raises:
            StaleDecision: if none of it would change anything. Problem: as `decide` does.
        """
        await call_store(lambda: self._database.transact(lambda connection: self._write_all(connection, several, seen)))
        self._wake()

    def _write_all(self, connection: Connection, several: Sequence[Decision], seen: str | None) -> None:
        routes.lock(connection, {one.route for one in several})
        refused = []
        for one in several:
            try:
                self._write(connection, one, seen)
            except StaleDecision as stale:
                refused.append(stale)
        if refused and len(refused) == len(several):
            raise refused[0]

    def _write(self, connection: Connection, decision: Decision, seen: str | None) -> None:
        if decisions.is_known(connection, decision.id):
            return
        known = _context_of(connection, decision, self.clock())
        reason = conflict_of(decision, known)
        if reason is None and seen is not None:
            reason = _changes_since(connection, seen, decision.route, known)
        if reason is not None:
            raise StaleDecision(reason)
        decisions.add(connection, decision, self.clock())


def _context_of(connection: Connection, decision: Decision, now: datetime) -> DecisionContext:
    named = None if decision.incident is None else incidents.get(connection, decision.incident)
    if decision.incident is not None and named is None:
        raise StaleDecision(NO_INCIDENT)
    earlier = decisions.of_route(connection, decision.route, {decision.kind, *ENDS})
    if named is None:
        applied = journal.known_ids(connection, decision.route, earlier)
    else:
        applied = frozenset(entry.ref for entry in named.timeline if entry.ref is not None)
    is_open = named is not None or incidents.has_unresolved(connection, decision.route)
    baseline = baselines.current_pinnings(connection, [decision.route]).get(decision.route)
    held = silences.of_route(connection, decision.route, now)
    held = silences_of(silences.on_the_way(connection, (decision.route,)), held)
    held = tuple(one for one in held if one.holds(now))  # by the clock on the wall, also where the route's runs ahead
    waits = bool(readings.held_back(connection, (decision.route,)))
    pinned = None if baseline is None else baseline.baseline
    mutes = muted_alerts(connection, decision.route, now) if decision.kind == "unmute" else ()
    return DecisionContext(named, is_open, earlier, applied, pinned, held, waits, mutes)


def _changes_since(connection: Connection, seen: str, route: str, known: DecisionContext) -> str | None:
    if known.named is None:
        return route_changes_since(seen, next(reversed(decisions.of_route(connection, route)), None), known.baseline)
    decided = decisions.of_incident(connection, known.named.id)
    return incident_changes_since(seen, known.named, [one for one in decided if one.id not in known.applied])


def decision_time(named: Incident | None, now: datetime) -> datetime:
    """When a decision was taken: `now`, and not before what it is about (a route's clock may run ahead)."""
    return now if named is None or now > named.updated_at else named.updated_at + _TICK


LOOK_EVERY_SECONDS: Final = 1.0
LEASE: Final = timedelta(seconds=30)
SEND_TAKES: Final = timedelta(seconds=12)
"""Longer than one send may take: nothing is sent whose lease could end meanwhile."""

Send = Callable[[str, bytes | None, bytes], Awaitable[Any]]


class DecisionPublisher:
    """Publishes what is written. A route's decisions are one replica's at a time, by a lease on their rows.

    One that was sent, but not noted as such, is sent again: consumers know a decision by its id.
    """

    def __init__(
        self,
        database: Database,
        send: Send,
        *,
        owner: str | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        every: float = LOOK_EVERY_SECONDS,
    ) -> None:
        """`owner`: a name that no other replica has. `every`: seconds between looks when nobody wakes it."""
        self._database, self._send = database, send
        self._owner = owner or uuid.uuid4().hex
        self._clock, self._every = clock, every
        self._woken = asyncio.Event()
        self._failing: str | None = None

    def wake(self) -> None:
        """There is something to publish: look now."""
        self._woken.set()

    async def check(self) -> str | None:
        """Not well while decisions cannot be published."""
        return self._failing

    async def run(self) -> None:
        """Publish until cancelled; claims are given up at the end."""
        try:
            while True:
                await self._attempt()
                try:
                    async with asyncio.timeout(self._every):
                        await self._woken.wait()
                except TimeoutError:
                    pass
                self._woken.clear()
        finally:
            await asyncio.shield(asyncio.to_thread(self._give_up))

    async def once(self) -> int:
        """Publish what waits, once; how many the broker has acknowledged.

        Raises:
            Exception: of the send that failed first, or of the database; what was acknowledged before is noted.
        """
        claimed, until = await asyncio.to_thread(self._claim)
        failures: list[Exception] = []
        done = 0
        for _, some in groupby(claimed, key=lambda one: one.route):
            try:
                done += await self._of_route(list(some), until)
            except Exception as error:  # the next route may fare better
                failures.append(error)
        if failures:
            raise failures[0]
        return done

    async def _attempt(self) -> None:
        try:
            await self.once()
            self._failing = None
        except Exception as error:
            self._failing = f"decisions cannot be published: {type(error).__name__}"
            LOG.warning("decisions wait: %s", type(error).__name__)

    async def _of_route(self, some: list[UnpublishedDecision], until: datetime) -> int:
        """Those of one route, in order, until one fails."""
        sent: list[UnpublishedDecision] = []
        try:
            for one in some:
                if self._clock() + SEND_TAKES > until:
                    break
                await self._send(DECISIONS.name, one.route.encode(), one.payload)
                sent.append(one)
        finally:
            await asyncio.shield(asyncio.to_thread(self._note, sent))
        return len(sent)

    def _claim(self) -> tuple[tuple[UnpublishedDecision, ...], datetime]:
        now = self._clock()
        until = now + LEASE
        with self._database.read() as connection:
            if not decisions.any_unpublished(connection):
                return (), until
        work = lambda connection: decisions.claim(connection, self._owner, now, until)  # noqa: E731
        return self._database.transact(work), until

    def _note(self, sent: list[UnpublishedDecision]) -> None:
        if not sent:
            return
        now = self._clock()
        with self._database.write() as connection:
            decisions.publish(connection, sent, now)
            decisions.prune(connection, now - KEEP_PUBLISHED)

    def _give_up(self) -> None:
        try:
            with self._database.write() as connection:
                decisions.release(connection, self._owner)
        except Exception as error:  # the claims end by themselves
            LOG.warning("claims stay until their time: %s", type(error).__name__)
