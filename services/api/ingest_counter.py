"""What comes in by the API, counted by key and format for the report of sources, and written every few seconds."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from functools import partial
from typing import Final

from services.api.exchange_publisher import ExchangeResult, PreparedExchange
from services.ingest.explain import UNKNOWN
from services.store import ingest_counts
from services.store.engine import Database
from services.store.ingest_counts import KEY, NO_KEY, NO_ROUTE, IngestCounts, Place

LOG: Final = logging.getLogger("keelwatch.api")
EVERY_SECONDS: Final = 10.0


class IngestCounter:
    """Counts what became of calls. They are told of no route: a key may name any number of routes."""

    def __init__(self, database: Database, every: float = EVERY_SECONDS) -> None:
        self._database, self._every = database, every
        self._counts: dict[Place, IngestCounts] = {}

    def note(
        self, sender: str | None, prepared: Sequence[PreparedExchange], results: Sequence[ExchangeResult], form: str
    ) -> None:
        """Count what the key `sender` sent; `form` is the format of what could not be read, where it is known."""
        source = NO_KEY if sender is None else f"{KEY}{sender}"
        for one, result in zip(prepared, results, strict=True):
            told = self._counts.setdefault((NO_ROUTE, source, one.format or form or UNKNOWN), IngestCounts())
            if result.status == "accepted":
                told.exchanges += 1
                told.lacks.update(one.lacks)
                told.not_monitored.update(one.not_monitored)
            elif one.excess is not None:
                told.refuse(one.excess.words.partition(";")[0])
            elif result.status in {"invalid", "forbidden", "refused"}:
                told.refuse(result.detail or result.status)

    async def run(self) -> None:
        """Write what was counted, again and again, and at the end."""
        try:
            while True:
                await asyncio.sleep(self._every)
                await self.flush()
        finally:
            await self.flush()

    async def flush(self) -> None:
        """Write what was counted; what the database does not take is kept for the next time."""
        counts, self._counts = self._counts, {}
        if not counts:
            return
        try:
            await asyncio.to_thread(self._database.transact, partial(ingest_counts.add, counts=counts))
        except Exception as error:  # a report is not worth an exchange
            LOG.warning("what came in was not counted: %s", type(error).__name__)
            for place, told in counts.items():
                self._counts.setdefault(place, IngestCounts()).add(told)
