"""The watchdog's shell: reads positions from faust, ends the process that does not move, watches its own loop."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Awaitable, Callable, Collection, Mapping
from contextlib import suppress
from typing import Any, Final, Protocol

from services.stream.log import Log
from services.stream.metrics import Meters, Place
from services.stream.watchdog import DEAD_AFTER, EXIT, Observation, Partition, Watch, look, reason

EVERY: Final = 2.0
_PATIENCE: Final = 5.0


class Positions(Protocol):
    """Where a consumer stands."""

    async def read(self) -> Observation:
        """What is seen now; may take at most as long as `Watchdog` waits."""


class FaustPositions:
    """Positions of faust apps, from what their consumers know.

    Args:
        apps: the running apps.
        waiting: topics whose step waits for a dependency now.
        ends: the broker's own word on the ends of partitions, where it can be trusted; a consumer whose fetcher
            hangs knows of no new records. Without it the consumer's highwater marks are taken.
        reachable: whether the broker can be reached, as the health check last saw.
    """

    def __init__(
        self,
        apps: Callable[[], Collection[Any]],
        waiting: Callable[[], Collection[str]] = tuple,
        ends: Callable[[Collection[Any]], Awaitable[Mapping[Any, int]]] | None = None,
        reachable: Callable[[], bool] = lambda: True,
    ) -> None:
        self._apps, self._waiting, self._ends, self._reachable = apps, waiting, ends, reachable

    async def read(self) -> Observation:
        """Positions of all apps; `joining` while one has no generation yet or rebalances, or the broker is away.

        Without a broker nothing can move: each step's own limit counts then, and where a consumer stands is not asked.
        """
        apps, reachable = self._apps(), self._reachable()
        if not reachable or not apps or any(joining(app) for app in apps):
            return Observation(joining=True, reachable=reachable)
        found: dict[Place, Partition] = {}
        for app in apps:
            found.update(await self._of_app(app))
        return Observation(found)

    async def _of_app(self, app: Any) -> dict[Place, Partition]:
        consumer = app.consumer
        assigned = consumer.assignment()
        told: Mapping[Any, int] = {}
        if self._ends is not None and assigned:
            with suppress(Exception):  # the broker is away: the marks of the consumer remain
                told = await asyncio.wait_for(self._ends(assigned), _PATIENCE / 2)
        unacknowledged = {message.tp for message in tuple(consumer.unacked)}
        waiting = self._waiting()
        found = {}
        for tp in assigned:
            end = max(told.get(tp, 0), consumer.highwater(tp) or 0)
            committed = consumer._committed_offset.get(tp)
            behind = end > (committed or 0)
            pending = behind and (tp in unacknowledged or await _unfetched(consumer, tp, end))
            found[(tp.topic, tp.partition)] = Partition(committed, end, pending, tp.topic in waiting)
        return found


def joining(app: Any) -> bool:
    """The app is not a settled member of its group. A member without partitions is one."""
    consumer = getattr(app, "_consumer", None)
    return consumer is None or app.rebalancing or app.consumer_generation_id < 0


async def _unfetched(consumer: Any, tp: Any, end: int) -> bool:
    """Whether records before `end` were not fetched yet. What hangs has not fetched them."""
    try:
        position = await asyncio.wait_for(consumer.position(tp), 1.0)
    except TimeoutError:
        return True
    return position is None or position < end


class Watchdog:
    """Looks every two seconds, from a task; a thread ends the process when that task is not run any more.

    Args:
        die: ends the process.
        every: seconds between looks.
        hung_after: seconds after which an event loop that does not run this any more ends the process.
    """

    def __init__(
        self,
        positions: Positions,
        meters: Meters,
        log: Log,
        *,
        die: Callable[[], object] = lambda: os._exit(EXIT),
        clock: Callable[[], float] = time.monotonic,
        every: float = EVERY,
        hung_after: float = DEAD_AFTER + _PATIENCE,
    ) -> None:
        self._positions, self._meters, self._log = positions, meters, log
        self._die, self._clock, self._every, self._hung_after = die, clock, every, hung_after
        self._watch, self._seen = Watch(), Observation(joining=True)
        self._beats = 0
        self._stopped = threading.Event()

    def reason(self) -> str | None:
        """Why the consumer is not alive, for /livez; None when it is."""
        return reason(self._watch)

    async def run(self) -> None:
        """Look until cancelled."""
        thread = threading.Thread(target=self._watch_loop, name="keelwatch-watchdog", daemon=True)
        thread.start()
        try:
            while True:
                await self.look()
                await asyncio.sleep(self._every)
        finally:
            self._stopped.set()

    async def look(self) -> None:
        """One look; ends the process when it is dead. Positions that cannot be read have not moved."""
        self._beats += 1
        try:
            self._seen = await asyncio.wait_for(self._positions.read(), _PATIENCE)
        except Exception as error:
            self._log.warning("positions cannot be read", error=type(error).__name__)
        self._watch, verdict = look(self._watch, self._seen, self._clock())
        if not self._seen.joining:
            self._meters.lag({place: one.lag for place, one in self._seen.partitions.items()})
        self._meters.watched(self._watch.stalled)
        if verdict == "dead":
            self._log.critical("stuck: ending the process", reason=self.reason())
            self._die()

    def _watch_loop(self) -> None:
        """Counts its own ticks without a beat of the loop, so that a suspended process is not taken for a hung one."""
        beats, silent = self._beats, 0
        while not self._stopped.wait(self._every):
            beats, silent = self._beats, silent + 1 if beats == self._beats else 0
            if silent * self._every >= self._hung_after:
                self._log.critical("the event loop is blocked: ending the process")
                self._die()
                return
