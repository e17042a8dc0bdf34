"""The evaluate step's consumer: what changes and announcements ask for is written down, and acknowledged.

Nothing is run here: a row per (change, suite, target, delay) waits in the database for an executor.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from datetime import timedelta
from functools import partial

from schemas.base import Record
from schemas.change import Change
from schemas.decision import Decision
from schemas.identity import identity_of
from services.monitor import RoutePolicy
from services.store import evaluations
from services.store.engine import Database
from services.store.evaluations import Due, Moment
from services.stream.message import Handled, Message, letters, read
from services.stream.stateful import Tools


class Evaluate:
    """Writes what is due. The same change, delivered again, asks for nothing new."""

    name = "evaluate"
    batch = 128
    every = 0.0

    def __init__(self, policy: Callable[[str], RoutePolicy], tools: Tools) -> None:
        """`policy` gives a route's suites, target and delays."""
        self._policy = policy
        self._database: Database = tools.database
        self._threads = tools.threads
        self._cluster: Callable[[], Awaitable[str]] = tools.cluster

    async def handle(self, messages: Sequence[Message]) -> Handled:
        """Write down what a batch asks for."""
        records, unread = await self._threads.cpu.run(partial(read, messages))
        rows = [row for record in records for row in due(self._policy, record)]
        if rows:
            await self._threads.database.run(partial(self._schedule, rows))
        return Handled(await letters(unread, self.name, self._cluster))

    async def snapshot(self) -> None:
        """Everything is in the database already."""

    def forget(self) -> None:
        """Nothing is kept."""

    def _schedule(self, rows: Sequence[Due]) -> None:
        self._database.transact(lambda connection: evaluations.schedule(connection, rows))


def due(policy: Callable[[str], RoutePolicy], record: Record) -> Iterator[Due]:
    """The runs that a change or an announcement asks for, of a route with a target.

    A pinned baseline is run at once, a change or an announced one after each delay of the route.
    """
    if isinstance(record, Change):
        moment: Moment = "pinned" if record.kind == "pinned" else "change"
        identity: str | None = record.to_identity
    elif isinstance(record, Decision) and record.kind == "announce":
        moment, identity = "announced", None if record.model is None else identity_of(record.model)
    else:
        return
    wanted = policy(record.route)
    if wanted.target is None:
        return
    target = f"{wanted.target.model} at {wanted.target.url}"
    for suite in wanted.suites:
        for delay in (timedelta(0),) if moment == "pinned" else wanted.after_change:
            seconds = int(delay.total_seconds())
            yield Due(record.route, record.id, moment, identity, suite, target, seconds, record.ts + delay)
