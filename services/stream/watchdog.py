"""The progress watchdog: lag is there and the commit position does not move -> unhealthy, then exit 70.

faust stops some streams silently (an agent that died, a consumer thread that hangs); only the lack of progress
shows it. An idle worker has no lag, a slow one moves, a step that waits for a dependency says so: none is stuck.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from services.stream.metrics import Place

EXIT: Final = 70
DOUBTFUL_AFTER: Final = 50.0
DEAD_AFTER: Final = 60.0
JOINING_DEAD_AFTER: Final = 300.0
_LONGEST_LOOK: Final = 10.0

Verdict = Literal["well", "doubtful", "dead"]
"""`doubtful` turns /livez false before the process ends, so that probes see why."""


@dataclass(frozen=True, slots=True)
class Partition:
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

    partitions: Mapping[Place, Partition] = field(default_factory=dict)
    joining: bool = False
    reachable: bool = True


@dataclass(frozen=True, slots=True)
class Mark:
    """A partition with lag: where its commit position stood, and for how many seconds it was seen to stand."""

    committed: int | None
    seconds: float


@dataclass(frozen=True, slots=True)
class Watch:
    """The watchdog's state."""

    looked: float | None = None
    marks: Mapping[Place, Mark] = field(default_factory=dict)
    joining: float = 0.0

    @property
    def stalled(self) -> float:
        """Seconds for which the worst partition has not moved."""
        return max((mark.seconds for mark in self.marks.values()), default=0.0)


def look(watch: Watch, seen: Observation, now: float) -> tuple[Watch, Verdict]:
    """One look. A pause of the process itself (a suspended machine) counts as one look's time, not as a stall.

    A rebalance stops the count but does not reset it: a stream that stands still between frequent rebalances is dead.
    """
    passed = 0.0 if watch.looked is None else min(max(now - watch.looked, 0.0), _LONGEST_LOOK)
    if seen.joining:
        after = Watch(now, watch.marks, watch.joining + passed if seen.reachable else 0.0)
    else:
        marks = {
            place: _mark(watch.marks.get(place), one, passed)
            for place, one in seen.partitions.items()
            if one.pending and not one.excused
        }
        after = Watch(now, marks)
    return after, _verdict(after)


def reason(watch: Watch) -> str | None:
    """What is wrong, in one line; None when nothing is."""
    if _verdict(watch) == "well":
        return None
    if watch.joining >= JOINING_DEAD_AFTER - (DEAD_AFTER - DOUBTFUL_AFTER):
        return f"joining the group for {watch.joining:.0f} s though the broker can be reached"
    (topic, partition), mark = max(watch.marks.items(), key=lambda item: item[1].seconds)
    at = "the start" if mark.committed is None else mark.committed
    return f"{topic}[{partition}] has lag and has stood at {at} for {mark.seconds:.0f} s"


def _mark(before: Mark | None, one: Partition, passed: float) -> Mark:
    if before is None or before.committed != one.committed:
        return Mark(one.committed, 0.0)
    return Mark(one.committed, before.seconds + passed)


def _verdict(watch: Watch) -> Verdict:
    joining = watch.joining - (JOINING_DEAD_AFTER - DEAD_AFTER)
    worst = max(watch.stalled, joining)
    if worst >= DEAD_AFTER:
        return "dead"
    return "doubtful" if worst >= DOUBTFUL_AFTER else "well"
