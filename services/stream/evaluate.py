"""The evaluate step's consumer: what changes and announcements ask for is written down, and acknowledged.

Nothing is run here: a row per (change, suite, target, delay) waits in the database for an executor.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import partial

from schemas.change import Change
from schemas.decision import Decision
from services.evaluate.core import due
from services.monitor import RoutePolicy
from services.store import evaluations
from services.store.engine import Database
from services.store.evaluations import Due
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
        causes = [record for record in records if isinstance(record, Change | Decision)]
        rows = [row for cause in causes for row in due(self._policy(cause.route), cause)]
        if rows:
            await self._threads.database.run(partial(self._schedule, rows))
        return Handled(await letters(unread, self.name, self._cluster))

    async def snapshot(self) -> None:
        """Everything is in the database already."""

    def forget(self) -> None:
        """Nothing is kept."""

    def _schedule(self, rows: Sequence[Due]) -> None:
        self._database.transact(lambda connection: evaluations.schedule(connection, rows))
