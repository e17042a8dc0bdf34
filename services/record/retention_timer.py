"""Deletes what is kept no longer, by the rules of `services.store.retention`: a little at a time."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Final

from services.offload import WorkThread
from services.ports import Clock
from services.store.engine import Database
from services.store.retention import RULES, RetentionRule, SweepContext
from services.store.route_deletion import ANY_NUMBER, RouteBound

LOG: Final = logging.getLogger("keelwatch.record")
ROWS_AT_ONCE: Final = 500
MOST_TURNS: Final = 200
_EVERY_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class RetentionTimer:
    """One look every minute. Any number of processes may do it; a fault is logged, and tried again by the next look.

    Attributes:
        thread: where the database is asked. bound: how many routes there may be.
        rows: deleted at most in one transaction. turns: of one rule at most in one look.
    """

    database: Database
    thread: WorkThread
    bound: RouteBound = ANY_NUMBER
    clock: Clock = lambda: datetime.now(UTC)
    rows: int = ROWS_AT_ONCE
    turns: int = MOST_TURNS
    every: float = _EVERY_SECONDS

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            await asyncio.sleep(self.every)
            await self.once()

    async def once(self) -> dict[str, int]:
        """Sweep every table once; table -> rows that went."""
        at, gone = SweepContext(self.clock(), self.bound), {}
        for rule in RULES:
            try:
                n = await self._swept(rule, at)
            except Exception:
                LOG.exception("retention: table %s is swept again later", rule.name)
                continue
            if n:
                gone[rule.name] = n
        if gone:
            LOG.info("retention: deleted %s", ", ".join(f"{n:,} of {name}" for name, n in gone.items()))
        return gone

    async def _swept(self, rule: RetentionRule, at: SweepContext) -> int:
        sweep, total = rule.sweep, 0
        if sweep is None:
            return 0
        for _ in range(self.turns):
            n = await self.thread.run(partial(self.database.transact, lambda one: sweep(one, at, self.rows)))
            total += n
            if n == 0:
                break
        return total
