"""The progress watchdog: lag is there and nothing moves: unhealthy, then exit 70.

faust stops some streams silently (an agent that died, a consumer thread that hangs); only the lack of progress
shows it. An idle worker has no lag, a slow one gets something done within its batch, a step that waits for a
dependency says so: none is stuck.
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
UNREADY_AFTER: Final = 6.0
RECREATED: Final = (
    "{topic} was deleted and made anew, and what is published to it is not read: run "
    "`keelwatch topics adopt {topic}`, then start the worker again"
)
_REWOUND_LOOKS: Final = 2
_LONGEST_LOOK: Final = 10.0
_PATIENCE: Final = 5.0

Liveness = Literal["well", "doubtful", "dead"]
"""`doubtful` turns /livez false before the process ends, so that probes see why."""


class Progress:
    """Counts what the steps of a process get done within a batch: an exchange scored, a route stepped, a record sent.

    Any thread may tick. A tick that another thread overwrites is no loss: only whether the count changes matters.
    """

    def __init__(self) -> None:
        self.count = 0

    def tick(self) -> None:
        """A piece of work is done."""
        self.count += 1


@dataclass(frozen=True, slots=True)
class PartitionPosition:
    """One assigned partition.

    Attributes:
        committed: the next record's offset as of the last commit; None while nothing was ever committed.
        end: one past the last record.
        pending: there is something to do: records unacknowledged or not yet fetched. An end that only a
            transaction's marker moved is none.
        excused: the step waits for a dependency, which has a limit of its own.
        busy: the step has a batch in hand. behind: it has none, and another step that the same consumer feeds has:
            one whose queue is full keeps all others from being fed.
        fault: what is wrong with the partition itself, in one line.
    """

    committed: int | None
    end: int
    pending: bool
    excused: bool = False
    busy: bool = False
    behind: bool = False
    fault: str | None = None

    @property
    def lag(self) -> int:
        """Records behind, 0 when nothing is pending."""
        return max(self.end - (self.committed or 0), 0) if self.pending else 0


@dataclass(frozen=True, slots=True)
class Observation:
    """What the shell saw. While `joining` the partitions mean nothing; `reachable` is the broker.

    `progress` is the count of what was done within batches.
    """

    partitions: Mapping[Place, PartitionPosition] = field(default_factory=dict)
    joining: bool = False
    reachable: bool = True
    progress: int = 0


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
    progress: int = 0

    @property
    def stalled(self) -> float:
        """Seconds for which the worst partition has not moved."""
        return max((mark.seconds for mark in self.marks.values()), default=0.0)


def observe(watch: WatchdogState, seen: Observation, now: float) -> tuple[WatchdogState, Liveness]:
    """One look. A pause of the process itself (a suspended machine) counts as one look's time, not as a stall.

    Slow is not stuck: whatever gets done within a batch ends the count of its step. While another step that shares
    the consumer has a batch in hand the count stops, and so it does during a rebalance, which does not reset it: a
    stream that stands still between frequent rebalances is dead.
    """
    passed = 0.0 if watch.looked is None else min(max(now - watch.looked, 0.0), _LONGEST_LOOK)
    if seen.joining:
        after = WatchdogState(now, watch.marks, watch.joining + passed if seen.reachable else 0.0, seen.progress)
    else:
        moved = seen.progress != watch.progress
        marks = {
            place: _progress(watch.marks.get(place), one, passed, moved=moved)
            for place, one in seen.partitions.items()
            if one.pending and not one.excused
        }
        after = WatchdogState(now, marks, progress=seen.progress)
    return after, _liveness(after)


def stall_reason(watch: WatchdogState) -> str | None:
    """What is wrong, in one line; None when nothing is."""
    if _liveness(watch) == "well":
        return None
    if watch.joining >= JOINING_DEAD_AFTER - (DEAD_AFTER - DOUBTFUL_AFTER):
        return f"joining the group for {watch.joining:.0f} s though the broker can be reached"
    return _stands_still(watch)


def consumption_fault(watch: WatchdogState, seen: Observation) -> str | None:
    """What is accepted and not consumed, in one line: that is told long before the process is ended for it."""
    if seen.joining:
        return None  # another check tells of that
    faults = sorted(one.fault for one in seen.partitions.values() if one.fault is not None)
    if faults:
        return faults[0]
    return _stands_still(watch) if watch.stalled >= UNREADY_AFTER else None


def _stands_still(watch: WatchdogState) -> str:
    (topic, partition), mark = max(watch.marks.items(), key=lambda item: item[1].seconds)
    at = "the start" if mark.committed is None else mark.committed
    return f"{topic}[{partition}] has lag and has stood at {at} for {mark.seconds:.0f} s"


def _progress(
    before: PartitionProgress | None, one: PartitionPosition, passed: float, *, moved: bool
) -> PartitionProgress:
    if before is None or before.committed != one.committed or (one.busy and moved):
        return PartitionProgress(one.committed, 0.0)
    return PartitionProgress(one.committed, before.seconds + (0.0 if one.behind else passed))


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
        busy: topics whose step has a batch in hand now. progress: counts what is done within batches.
    """

    def __init__(
        self,
        apps: Callable[[], Collection[Any]],
        waiting: Callable[[], Collection[str]] = tuple,
        ends: Callable[[Collection[Any]], Awaitable[Mapping[Any, int]]] | None = None,
        reachable: Callable[[], bool] = lambda: True,
        busy: Callable[[], Collection[str]] = tuple,
        progress: Progress | None = None,
    ) -> None:
        self._apps, self._waiting, self._ends, self._reachable = apps, waiting, ends, reachable
        self._busy, self._progress = busy, progress or Progress()
        self._rewound: dict[tuple[int, int, Any], int] = {}

    async def read(self) -> Observation:
        """Positions of all apps; `joining` while one has no generation yet or rebalances, or the broker is away.

        Without a broker nothing can move: each step's own limit counts then, and where a consumer stands is not asked.
        """
        apps, reachable = self._apps(), self._reachable()
        if not reachable or not apps or any(joining(app) for app in apps):
            return Observation(joining=True, reachable=reachable, progress=self._progress.count)
        found: dict[Place, PartitionPosition] = {}
        for app in apps:
            found.update(await self._of_app(app))
        return Observation(found, progress=self._progress.count)

    async def _of_app(self, app: Any) -> dict[Place, PartitionPosition]:
        consumer = app.consumer
        assigned = consumer.assignment()
        ends: Mapping[Any, int] = {}
        if self._ends is not None and assigned:
            with suppress(Exception):  # the broker is away: the marks of the consumer remain
                async with asyncio.timeout(_PATIENCE / 2):
                    ends = await self._ends(assigned)
        unacknowledged = {message.tp for message in tuple(consumer.unacked)}
        waiting = self._waiting()
        busy = set(self._busy())
        any_busy = any(tp.topic in busy for tp in assigned)
        found = {}
        for tp in assigned:
            end = max(ends.get(tp, 0), consumer.highwater(tp) or 0)
            committed = consumer._committed_offset.get(tp)
            behind = end > (committed or 0)
            position = await _position(consumer, tp)
            pending = behind and (tp in unacknowledged or position is None or position < end)
            fault = self._recreated(consumer, tp, position, ends.get(tp), app.consumer_generation_id)
            own = tp.topic in busy
            found[(tp.topic, tp.partition)] = PartitionPosition(
                committed, end, pending, tp.topic in waiting, own, any_busy and not own, fault
            )
        return found

    def _recreated(self, consumer: Any, tp: Any, position: int | None, end: int | None, generation: int) -> str | None:
        """Why nothing of the partition is taken: its offsets begin anew, and faust drops those that it has seen.

        Twice running, since a group that is dealt anew is placed back for a moment. From then on it stays so until
        the group is dealt anew: new records that have caught up with the old offsets do not bring back the first.
        """
        mark, read = (id(consumer), generation, tp), consumer._read_offset.get(tp)
        seen = self._rewound.get(mark, 0)
        behind = read is not None and any(place is not None and place < read for place in (position, end))
        if seen < _REWOUND_LOOKS:
            seen = seen + 1 if behind else 0
            self._rewound = {
                old: n
                for old, n in {**self._rewound, mark: seen}.items()
                if (n and old[1] == generation) or old[0] != mark[0]
            }
        return RECREATED.format(topic=tp.topic) if seen >= _REWOUND_LOOKS else None


def joining(app: Any) -> bool:
    """The app is not a settled member of its group. A member without partitions is one."""
    consumer = getattr(app, "_consumer", None)
    return consumer is None or app.rebalancing or app.consumer_generation_id < 0


async def _position(consumer: Any, tp: Any) -> int | None:
    """The next record's offset that is to be fetched; None when it is not known, as of a consumer that hangs."""
    try:
        async with asyncio.timeout(1.0):
            position: int | None = await consumer.position(tp)
    except TimeoutError:
        return None
    return position


class Watchdog:
    """Looks every two seconds, from a task; a thread ends the process when that task is not run any more.

    Args:
        die: ends the process.
        every: seconds between looks.
        hung_after: seconds after which an event loop that does not run this any more ends the process.
        progress: counts what is done within batches.
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
        progress: Progress | None = None,
    ) -> None:
        self._positions, self._meters, self._log = positions, meters, log
        self._progress = progress or Progress()
        self._die, self._clock, self._every, self._hung_after = die, clock, every, hung_after
        self._watch, self._seen = WatchdogState(), Observation(joining=True)
        self._beats = 0
        self._stopped = threading.Event()

    def reason(self) -> str | None:
        """Why the consumer is not alive, for /livez; None when it is."""
        return stall_reason(self._watch)

    async def consumes(self) -> str | None:
        """Why something of its own partitions is not consumed, for /readyz; None when all of it is."""
        return consumption_fault(self._watch, self._seen)

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
            async with asyncio.timeout(_PATIENCE):  # not `wait_for`, which forgets now and then that it was cancelled
                self._seen = await self._positions.read()
        except Exception as error:
            self._log.warning("positions cannot be read", error=type(error).__name__)
        self._watch, liveness = observe(self._watch, self._seen, self._clock())
        if not self._seen.joining:
            self._meters.lag({place: one.lag for place, one in self._seen.partitions.items()})
        self._meters.watched(self._watch.stalled)
        if liveness == "dead":
            self._log.critical("stuck: ending the process", reason=self.reason())
            self._die()

    def _moves(self) -> tuple[int, int]:
        """What changes while the loop runs, or a thread beside it gets something done."""
        return self._beats, self._progress.count

    def _watch_loop(self) -> None:
        """Counts its own ticks without a beat of the loop, so that a suspended process is not taken for a hung one."""
        seen, silent = self._moves(), 0
        while not self._stopped.wait(self._every):
            seen, silent = self._moves(), silent + 1 if seen == self._moves() else 0
            if silent * self._every >= self._hung_after:
                self._log.critical("the event loop is blocked: ending the process")
                self._die()
                return
