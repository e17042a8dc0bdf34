"""The progress watchdog: lag is there and nothing moves: unhealthy, then exit 70.

faust stops some streams silently (an agent that died, a consumer thread that hangs); only the lack of progress
shows it. An idle worker has no lag, a slow one gets something done within its batch, a step that waits for a
dependency says so: none is stuck. Each step is judged by what it gets done itself, whatever the others do.
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


Held = tuple[str, int, str]
"""Topic, partition, and the consumer group that reads it here: a process may read one partition for several steps."""


@dataclass(frozen=True, slots=True)
class StepWork:
    """What a step is at.

    Attributes:
        count: changes with everything that it gets done within a batch. busy: it has a batch in hand.
        excused: it waits for a dependency, and says so; that has a limit of its own.
        waits_turn: what it does waits for a thread that others use; then their moves are in its count.
    """

    count: int = 0
    busy: bool = False
    excused: bool = False
    waits_turn: bool = False


_UNKNOWN: Final = {"": StepWork()}


@dataclass(frozen=True, slots=True)
class PartitionPosition:
    """One assigned partition.

    Attributes:
        committed: the next record's offset as of the last commit; None while nothing was ever committed.
        end: one past the last record.
        pending: there is something to do: records unacknowledged or not yet fetched. An end that only a
            transaction's marker moved is none.
        steps: those that have to be done with its records before they are committed; not known: one that is idle.
        behind: it was not fed while a step of other topics of the same consumer has a batch in hand: one whose queue
            is full keeps all others from being fed.
        fault: what is wrong with the partition itself, in one line.
    """

    committed: int | None
    end: int
    pending: bool
    steps: Mapping[str, StepWork] = field(default_factory=dict)
    behind: bool = False
    fault: str | None = None

    @property
    def lag(self) -> int:
        """Records behind, 0 when nothing is pending."""
        return max(self.end - (self.committed or 0), 0) if self.pending else 0


@dataclass(frozen=True, slots=True)
class Observation:
    """What the shell saw. While `joining` the partitions mean nothing; `reachable` is the broker."""

    partitions: Mapping[Held, PartitionPosition] = field(default_factory=dict)
    joining: bool = False
    reachable: bool = True


@dataclass(frozen=True, slots=True)
class PartitionProgress:
    """A partition with lag: where its commit position stood, and each of its steps: its count, and seconds it stood."""

    committed: int | None
    counts: Mapping[str, int]
    stood: Mapping[str, float]

    @property
    def worst(self) -> tuple[float, str]:
        """For how many seconds a step of it was seen to stand, and which."""
        return max(((seconds, step) for step, seconds in self.stood.items()), default=(0.0, ""))


@dataclass(frozen=True, slots=True)
class WatchdogState:
    """The watchdog's state."""

    looked: float | None = None
    marks: Mapping[Held, PartitionProgress] = field(default_factory=dict)
    joining: float = 0.0

    @property
    def stalled(self) -> float:
        """Seconds for which the worst partition has not moved."""
        return max((mark.worst[0] for mark in self.marks.values()), default=0.0)


def observe(watch: WatchdogState, seen: Observation, now: float) -> tuple[WatchdogState, Liveness]:
    """One look. A pause of the process itself (a suspended machine) counts as one look's time, not as a stall.

    Slow is not stuck: whatever a step gets done within a batch ends its count. The count of one that is not fed stops
    while another step that shares the consumer has a batch in hand, and so does every count during a rebalance, which
    does not reset it: a stream that stands still between frequent rebalances is dead.
    """
    passed = 0.0 if watch.looked is None else min(max(now - watch.looked, 0.0), _LONGEST_LOOK)
    if seen.joining:
        after = WatchdogState(now, watch.marks, watch.joining + passed if seen.reachable else 0.0)
    else:
        marks = {
            held: _progress(watch.marks.get(held), one, passed) for held, one in seen.partitions.items() if one.pending
        }
        after = WatchdogState(now, marks)
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
    (topic, partition, _), mark = max(watch.marks.items(), key=lambda item: item[1].worst)
    at = "the start" if mark.committed is None else mark.committed
    seconds, step = mark.worst
    of = f" of step {step}" if step else ""
    return f"{topic}[{partition}]{of} has lag and has stood at {at} for {seconds:.0f} s"


def _progress(before: PartitionProgress | None, one: PartitionPosition, passed: float) -> PartitionProgress:
    steps = one.steps or _UNKNOWN
    busy = any(step.busy or step.excused for step in steps.values())
    stood = {}
    for name, step in steps.items():
        seconds = before.stood.get(name, 0.0) if before is not None and before.committed == one.committed else None
        moved = before is not None and before.counts.get(name, step.count) != step.count
        if seconds is None or step.excused or (step.busy and moved):
            stood[name] = 0.0
        elif step.busy or not (busy or one.behind or (step.waits_turn and moved)):
            stood[name] = seconds + passed
        else:  # whoever has a batch in hand, or is ahead of it, is why it does not move
            stood[name] = seconds
    return PartitionProgress(one.committed, {name: step.count for name, step in steps.items()}, stood)


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
        work: consumer group -> topic -> step -> what it is at, of the steps that the group feeds.
        ends: the broker's own word on the ends of partitions, where it can be trusted; a consumer whose fetcher
            hangs knows of no new records. Without it the consumer's highwater marks are taken.
        reachable: whether the broker can be reached, as the health check last saw.
    """

    def __init__(
        self,
        apps: Callable[[], Collection[Any]],
        work: Callable[[str], Mapping[str, Mapping[str, StepWork]]] = lambda _: {},
        ends: Callable[[Collection[Any]], Awaitable[Mapping[Any, int]]] | None = None,
        reachable: Callable[[], bool] = lambda: True,
    ) -> None:
        self._apps, self._work, self._ends, self._reachable = apps, work, ends, reachable
        self._rewound: dict[tuple[int, int, Any], int] = {}

    async def read(self) -> Observation:
        """Positions of all apps; `joining` while one has no generation yet or rebalances, or the broker is away.

        Without a broker nothing can move: each step's own limit counts then, and where a consumer stands is not asked.
        """
        apps, reachable = self._apps(), self._reachable()
        if not reachable or not apps or any(joining(app) for app in apps):
            return Observation(joining=True, reachable=reachable)
        found: dict[Held, PartitionPosition] = {}
        for app in apps:
            found.update(await self._of_app(app))
        return Observation(found)

    async def _of_app(self, app: Any) -> dict[Held, PartitionPosition]:
        consumer = app.consumer
        assigned = consumer.assignment()
        ends: Mapping[Any, int] = {}
        if self._ends is not None and assigned:
            with suppress(Exception):  # the broker is away: the marks of the consumer remain
                async with asyncio.timeout(_PATIENCE / 2):
                    ends = await self._ends(assigned)
        unacknowledged = {message.tp for message in tuple(consumer.unacked)}
        group = str(app.conf.id)
        work = self._work(group)
        any_busy = any(step.busy or step.excused for steps in work.values() for step in steps.values())
        found = {}
        for tp in assigned:
            end = max(ends.get(tp, 0), consumer.highwater(tp) or 0)
            committed = consumer._committed_offset.get(tp)
            behind = end > (committed or 0)
            position = await _position(consumer, tp)
            pending = behind and (tp in unacknowledged or position is None or position < end)
            fault = self._recreated(consumer, tp, position, ends.get(tp), app.consumer_generation_id)
            # What was fed and is not taken waits for nobody else.
            starved = any_busy and tp not in unacknowledged
            found[(tp.topic, tp.partition, group)] = PartitionPosition(
                committed, end, pending, work.get(tp.topic, {}), starved, fault
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


def _lags(seen: Observation) -> dict[Place, int]:
    """Of a partition that is read for several steps the longest."""
    lags: dict[Place, int] = {}
    for (topic, partition, _), one in seen.partitions.items():
        lags[(topic, partition)] = max(one.lag, lags.get((topic, partition), 0))
    return lags


class Watchdog:
    """Looks every two seconds, from a task; a thread ends the process when that task is not run any more.

    Args:
        die: ends the process.
        every: seconds between looks.
        hung_after: seconds after which an event loop that does not run this any more ends the process.
        moves: changes with what the process gets done, also in threads beside the loop.
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
        moves: Callable[[], int] = lambda: 0,
    ) -> None:
        self._positions, self._meters, self._log = positions, meters, log
        self._done = moves
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
            self._meters.lag(_lags(self._seen))
        self._meters.watched(self._watch.stalled)
        if liveness == "dead":
            self._log.critical("stuck: ending the process", reason=self.reason())
            self._die()

    def _moves(self) -> tuple[int, int]:
        """What changes while the loop runs, or a thread beside it gets something done."""
        return self._beats, self._done()

    def _watch_loop(self) -> None:
        """Counts its own ticks without a beat of the loop, so that a suspended process is not taken for a hung one."""
        seen, silent = self._moves(), 0
        while not self._stopped.wait(self._every):
            seen, silent = self._moves(), silent + 1 if seen == self._moves() else 0
            if silent * self._every >= self._hung_after:
                self._log.critical("the event loop is blocked: ending the process")
                self._die()
                return
