"""The progress watchdog: lag is there and the commit position does not move: unhealthy, then exit 70.

faust stops some streams silently (an agent that died, a consumer thread that hangs); only the lack of progress
shows it. An idle worker has no lag, a slow one moves, a step that waits for a dependency says so: none is stuck.
The first half is pure; its shell reads positions from faust, ends the process and watches its own loop.
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Awaitable, Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final, Literal, Protocol

from services.observability.log import Log
from services.observability.metrics import Place, StreamMeters

EXIT_FAILED: Final = 70
"""The exit code of a process that cannot go on by itself: whoever started it starts it again."""
DOUBTFUL_AFTER: Final = 50.0
DEAD_AFTER: Final = 60.0
JOINING_DEAD_AFTER: Final = 300.0
EVERY: Final = 2.0
_LONGEST_LOOK: Final = 10.0
_PATIENCE: Final = 5.0

Liveness = Literal["well", "doubtful", "dead"]
"""`doubtful` turns /livez false before the process ends, so that probes see why."""


@dataclass(frozen=True, slots=True)
class PartitionPosition:
    """One assigned partition.

    Attributes:
        committed: the next record's offset as of the last commit; None while nothing was ever committed.
        end: one past the last record.
        pending: there is something to do: records unacknowledged or not yet fetched. An end that only a
            transaction's marker moved is none.
        excused: the step waits for a dependency, which has a limit of its own.
    """

    committed: int | None
    end: int
    pending: bool
    excused: bool = False

    @property
    def lag(self) -> int:
        """Records behind, 0 when nothing is pending."""
        return max(self.end - (self.committed or 0), 0) if self.pending else 0


@dataclass(frozen=True, slots=True)
class Observation:
    """What the shell saw. While `joining` the partitions mean nothing; `reachable` is the broker."""

    partitions: Mapping[Place, PartitionPosition] = field(default_factory=dict)
    joining: bool = False
    reachable: bool = True


@dataclass(frozen=True, slots=True)
class PartitionProgress:
    """A partition with lag: where its commit position stood, and for how many seconds it was seen to stand."""

    committed: int | None
    seconds: float


@dataclass(frozen=True, slots=True)
class WatchdogState:
    """The watchdog's state."""

    looked: float | None = None
    marks: Mapping[Place, PartitionProgress] = field(default_factory=dict)
    joining: float = 0.0

    @property
    def stalled(self) -> float:
        """Seconds for which the worst partition has not moved."""
        return max((mark.seconds for mark in self.marks.values()), default=0.0)


def observe(watch: WatchdogState, seen: Observation, now: float) -> tuple[WatchdogState, Liveness]:
    """One look. A pause of the process itself (a suspended machine) counts as one look's time, not as a stall.

    A rebalance stops the count but does not reset it: a stream that stands still between frequent rebalances is dead.
    """
    passed = 0.0 if watch.looked is None else min(max(now - watch.looked, 0.0), _LONGEST_LOOK)
    if seen.joining:
        after = WatchdogState(now, watch.marks, watch.joining + passed if seen.reachable else 0.0)
    else:
        marks = {
            place: _progress(watch.marks.get(place), one, passed)
            for place, one in seen.partitions.items()
            if one.pending and not one.excused
        }
        after = WatchdogState(now, marks)
    return after, _liveness(after)


def stall_reason(watch: WatchdogState) -> str | None:
    """What is wrong, in one line; None when nothing is."""
    if _liveness(watch) == "well":
        return None
    if watch.joining >= JOINING_DEAD_AFTER - (DEAD_AFTER - DOUBTFUL_AFTER):
        return f"joining the group for {watch.joining:.0f} s though the broker can be reached"
    (topic, partition), mark = max(watch.marks.items(), key=lambda item: item[1].seconds)
    at = "the start" if mark.committed is None else mark.committed
    return f"{topic}[{partition}] has lag and has stood at {at} for {mark.seconds:.0f} s"


def _progress(before: PartitionProgress | None, one: PartitionPosition, passed: float) -> PartitionProgress:
    if before is None or before.committed != one.committed:
        return PartitionProgress(one.committed, 0.0)
    return PartitionProgress(one.committed, before.seconds + passed)


def _liveness(watch: WatchdogState) -> Liveness:
    joining = watch.joining - (JOINING_DEAD_AFTER - DEAD_AFTER)
    worst = max(watch.stalled, joining)
    if worst >= DEAD_AFTER:
        return "dead"
    return "doubtful" if worst >= DOUBTFUL_AFTER else "well"


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
        found: dict[Place, PartitionPosition] = {}
        for app in apps:
            found.update(await self._of_app(app))
        return Observation(found)

    async def _of_app(self, app: Any) -> dict[Place, PartitionPosition]:
        consumer = app.consumer
        assigned = consumer.assignment()
        ends: Mapping[Any, int] = {}
        if self._ends is not None and assigned:
            with suppress(Exception):  # the broker is away: the marks of the consumer remain
                ends = await asyncio.wait_for(self._ends(assigned), _PATIENCE / 2)
        unacknowledged = {message.tp for message in tuple(consumer.unacked)}
        waiting = self._waiting()
        found = {}
        for tp in assigned:
            end = max(ends.get(tp, 0), consumer.highwater(tp) or 0)
            committed = consumer._committed_offset.get(tp)
            behind = end > (committed or 0)
            pending = behind and (tp in unacknowledged or await _unfetched(consumer, tp, end))
            found[(tp.topic, tp.partition)] = PartitionPosition(committed, end, pending, tp.topic in waiting)
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
        meters: StreamMeters,
        log: Log,
        *,
        die: Callable[[], object] = lambda: os._exit(EXIT_FAILED),
        clock: Callable[[], float] = time.monotonic,
        every: float = EVERY,
        hung_after: float = DEAD_AFTER + _PATIENCE,
    ) -> None:
        self._positions, self._meters, self._log = positions, meters, log
        self._die, self._clock, self._every, self._hung_after = die, clock, every, hung_after
        self._watch, self._seen = WatchdogState(), Observation(joining=True)
        self._beats = 0
        self._stopped = threading.Event()

    def reason(self) -> str | None:
        """Why the consumer is not alive, for /livez; None when it is."""
        return stall_reason(self._watch)

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
        self._watch, liveness = observe(self._watch, self._seen, self._clock())
        if not self._seen.joining:
            self._meters.lag({place: one.lag for place, one in self._seen.partitions.items()})
        self._meters.watched(self._watch.stalled)
        if liveness == "dead":
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
