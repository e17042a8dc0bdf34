"""When the stream is blind, by our own clock: no data, nothing scored while input waits, a flood of dead letters. Pure.

What people hear of it are readings of the family `blind`, which open and resolve incidents as any other's do.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from schemas.exchange import STREAM_ROUTE
from schemas.position import Position
from schemas.reading import Evidence, Reading, ReadingStatus, reading_id
from services.ports import PartitionSight
from services.specs import BLIND
from services.store.arrivals import SCORE, Arrival, PartitionWatch

NO_DATA, NOT_SCORED, FLOOD = "no_data", "nothing_scored", "dead_letters"
RECORD = "record"


@dataclass(frozen=True, slots=True)
class BlindLimits:
    """When it is judged that nothing is seen.

    Attributes:
        silent, gaps: a route is silent after so long, and after so many of its longest usual gaps.
        stalled: for how long nothing may be scored while input waits.
        flood, of: so many dead letters among the last so many records of a partition are a flood.
        calm, recent: fewer than so many among the last so many end it.
        pause: looks further apart than this were not one watch: nobody knows what was between.
    """

    silent: timedelta = timedelta(hours=24)
    gaps: float = 10.0
    stalled: timedelta = timedelta(minutes=10)
    flood: int = 50
    of: int = 1_000
    calm: int = 5
    recent: int = 100
    pause: timedelta = timedelta(minutes=3)


@dataclass(frozen=True, slots=True)
class BlindWord:
    """That the stream is blind in one way, or no more: `source` is where it was seen, `index` its place in time."""

    route: str
    subject: str
    status: ReadingStatus
    reason: str
    source: Position
    index: int
    slice: str | None = None


def watched(before: PartitionWatch | None, seen: PartitionSight, now: datetime, limits: BlindLimits) -> PartitionWatch:
    """The watch of a partition after one more look."""
    clear = seen.committed >= seen.end
    place = (seen.step, seen.topic, seen.partition)
    if before is None or not timedelta() <= now - before.looked <= limits.pause:
        return PartitionWatch(*place, now, now, seen.committed, seen.end, now, now if clear else None)
    # What had arrived by the last look is acknowledged: all up to then is read, whatever came since.
    cleared = now if clear else before.looked if seen.committed >= before.end else before.cleared
    moved = now if clear or seen.committed != before.committed else before.moved
    return replace(
        before, looked=now, committed=seen.committed, end=seen.end, moved=moved, cleared=cleared or before.cleared
    )


def silent_for(one: Arrival, watches: Mapping[tuple[str, str, int], PartitionWatch]) -> timedelta | None:
    """For how long nothing arrived that would have been seen; None when that cannot be judged.

    What waits may be of the route: only what was read to its end, and recorded, says that there was nothing.
    """
    scored = watches.get((SCORE, one.topic, one.partition))
    recorded = [watch for watch in watches.values() if watch.step == RECORD]
    some = [scored, *recorded]
    known = [watch.cleared for watch in some if watch is not None and watch.cleared is not None]
    if scored is None or len(known) < len(some):
        return None
    since = max(one.arrived, *(watch.since for watch in (scored, *recorded)))
    return min(known) - since


def is_silent(one: Arrival, quiet: timedelta | None, limits: BlindLimits) -> bool:
    """Whether a route that was quiet for so long should have been heard of."""
    return quiet is not None and quiet >= max(limits.silent, limits.gaps * timedelta(seconds=one.usual))


def stalled(watches: Iterable[PartitionWatch], now: datetime, limits: BlindLimits) -> PartitionWatch | None:
    """The partition of which nothing was scored for longest, if it is for too long."""
    late = [
        one for one in watches if one.step == SCORE and one.committed < one.end and now - one.moved >= limits.stalled
    ]
    return min(late, key=lambda one: (one.moved, one.key), default=None)


def route_word(
    one: Arrival, quiet: timedelta | None, firing: datetime | None, limits: BlindLimits
) -> ReadingStatus | None:
    """`firing` when the route has fallen silent, `quiet` when it was heard of since it had; None says nothing new."""
    if firing is None:
        return "firing" if is_silent(one, quiet, limits) else None
    return "quiet" if one.arrived > firing else None


def flood_word(dead: Sequence[int], committed: int, firing: bool, limits: BlindLimits) -> ReadingStatus | None:
    """The same of a partition, by the offsets of its dead letters among the last records."""
    if not firing:
        return "firing" if len(dead) >= limits.flood else None
    return "quiet" if sum(offset >= committed - limits.recent for offset in dead) < limits.calm else None


def reading_of(word: BlindWord, now: datetime) -> Reading:
    """The reading that says it."""
    return Reading(
        id=reading_id(word.route, None, BLIND.name, word.subject, word.slice, None, None, word.index, word.status),
        route=word.route,
        detector=BLIND.name,
        signal=word.subject,
        slice=word.slice,
        status=word.status,
        evidence=Evidence(),
        event_index=word.index,
        ts=now,
        source=word.source,
        reason=word.reason,
    )


def minute_of(now: datetime) -> int:
    """The place in time of what has no exchange: two processes that see the same say it once."""
    return int(now.timestamp() // 60)


def stream_word(
    status: ReadingStatus, subject: str, one: PartitionWatch, reason: str, now: datetime, cluster: str
) -> BlindWord:
    """A word on the stream as a whole, seen at a partition."""
    source = Position(cluster=cluster, topic=one.topic, partition=one.partition, offset=max(one.committed - 1, 0))
    slice_ = f"topic={one.topic}" if subject == FLOOD else None
    return BlindWord(STREAM_ROUTE, subject, status, reason, source, minute_of(now), slice_)
