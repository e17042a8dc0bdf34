"""The keys and sessions as they were a moment ago: one look a second, however many ask."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime
from typing import Final

from services.api.problems import LOG, Problem
from services.store import api_keys
from services.store.api_keys import Ring
from services.store.engine import Database, is_unavailable

FRESH_SECONDS: Final = 1.0
"""How long a key that was revoked may still be used, and a first key may still be overlooked."""
STALE_SECONDS: Final = 300.0
"""How long what was last seen counts while the database is away: exchanges still arrive, nobody new is let in."""
_SHORT_SECONDS: Final = 0.25
_LONG_SECONDS: Final = 10.0


class Rings:
    """Reads all keys and sessions, one look at a time, in a thread of its own."""

    def __init__(
        self, database: Database, clock: Callable[[], datetime], tick: Callable[[], float] = time.monotonic
    ) -> None:
        """`clock` tells the time, `tick` how old a look is."""
        self._database, self._clock, self._tick = database, clock, tick
        # Its own: pages that wait for a database that hangs must not keep exchanges from being let in.
        self._thread = ThreadPoolExecutor(1, "keys")
        self._seen: tuple[float, Ring] | None = None
        self._looking: Future[Exception | None] | None = None

    async def get(self, again: bool = False) -> Ring:
        """What there was within the last second, or with `again`, for who was not found in that, at this moment.

        Raises:
            Problem: 503 if the database does not answer, and what was last seen is too old.
        """
        wanted = self._tick() - (0.0 if again else FRESH_SECONDS)
        while self._seen is None or self._seen[0] < wanted:
            if not await self._looked():
                break
        if self._seen is None or self._tick() - self._seen[0] > STALE_SECONDS:
            raise Problem.later("the database does not answer, so that nobody can be let in; try again")
        return self._seen[1]

    async def _looked(self) -> bool:
        """Whether a look came to its end in time; one that is under way is waited for by all who want it."""
        if self._looking is None or self._looking.done():
            self._looking = self._thread.submit(self._look)
        patience = _LONG_SECONDS if self._seen is None else _SHORT_SECONDS
        looked = asyncio.wrap_future(self._looking)
        await asyncio.wait({looked}, timeout=patience)
        if not looked.done():
            return False
        error = looked.result()
        if error is not None and not is_unavailable(error):
            raise error
        return error is None

    def _look(self) -> Exception | None:
        begin = self._tick()
        try:
            with self._database.read() as connection:
                self._seen = (begin, api_keys.ring(connection, self._clock()))
        except Exception as error:
            LOG.warning("the keys cannot be read: %s", type(error).__name__)
            return error
        return None
