"""Carries decisions from the database to their topic: at least once, in order per route, however many replicas run."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Any, Final

from schemas.topics import DECISIONS
from services.api.problems import LOG
from services.store import decisions
from services.store.decisions import Waiting
from services.store.engine import Database

EVERY: Final = 1.0
LEASE: Final = timedelta(seconds=30)
SEND_TAKES: Final = timedelta(seconds=12)
"""Longer than one send may take: nothing is sent whose lease could end meanwhile."""
KEPT: Final = timedelta(days=7)

Send = Callable[[str, bytes | None, bytes], Awaitable[Any]]


class Relay:
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
        every: float = EVERY,
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

    async def _of_route(self, some: list[Waiting], until: datetime) -> int:
        """Those of one route, in order, until one fails."""
        sent: list[Waiting] = []
        try:
            for one in some:
                if self._clock() + SEND_TAKES > until:
                    break
                await self._send(DECISIONS.name, one.route.encode(), one.payload)
                sent.append(one)
        finally:
            await asyncio.shield(asyncio.to_thread(self._note, sent))
        return len(sent)

    def _claim(self) -> tuple[tuple[Waiting, ...], datetime]:
        now = self._clock()
        until = now + LEASE
        with self._database.read() as connection:
            if not decisions.waiting(connection):
                return (), until
        work = lambda connection: decisions.claim(connection, self._owner, now, until)  # noqa: E731
        return self._database.transact(work), until

    def _note(self, sent: list[Waiting]) -> None:
        if not sent:
            return
        now = self._clock()
        with self._database.write() as connection:
            decisions.publish(connection, sent, now)
            decisions.prune(connection, now - KEPT)

    def _give_up(self) -> None:
        try:
            with self._database.write() as connection:
                decisions.release(connection, self._owner)
        except Exception as error:  # the claims end by themselves
            LOG.warning("claims stay until their time: %s", type(error).__name__)
