"""How a route stands now, derived from the newest readings, the pinned baseline and the clock of the route. Pure.

Lists of routes, the page of a route and the API all ask `status_of`, so that they never answer differently.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

from schemas.reading import Reading, ReadingStatus
from services.specs import LEARNING, family_of
from services.store.parks import ParkedRoute

WatchStatus = Literal["blind", "learning", "watching"]
_ASIDE: Final = frozenset({"event", "anomaly", "level"})
"""What may not be seen of a route that is watched all the same: most routes lack what one of these needs."""
"""How a route is watched. An open incident stands beside it."""
SILENT_AFTER: Final = timedelta(hours=24)
"""A route from which nothing came for so long is not watched."""
_RECREATED: Final = "recreated_topic"


@dataclass(frozen=True, slots=True)
class StreamStatus:
    """The newest reading of one stream, as far as it says how its route stands; `baseline` is what it was held against.

    `exchanges` are those that it rests on.
    """

    detector: str
    signal: str | None
    status: ReadingStatus
    reason: str | None
    baseline: str | None
    ts: datetime
    exchanges: int = 0

    @classmethod
    def of_reading(cls, reading: Reading) -> StreamStatus:
        """What a reading says."""
        found = reading.evidence
        return cls(
            reading.detector, reading.signal, reading.status, reading.reason, found.baseline, reading.ts, found.n
        )


@dataclass(frozen=True, slots=True)
class RouteFacts:
    """What is stored of a route: the time of its last exchange, the baseline that is pinned, its streams.

    `parked` are the steps that fail on it: what they have not taken nobody has looked at.
    Of a watchdog's route, which has no `traffic`, there is nothing to learn and nothing to miss.
    """

    clock: datetime | None
    baseline: str | None
    streams: Sequence[StreamStatus] = ()
    parked: Sequence[ParkedRoute] = ()
    traffic: bool = True


@dataclass(frozen=True, slots=True)
class BlindSpot:
    """A blind spot: `n` streams of a detector of which nothing can be said, and why."""

    detector: str
    signal: str | None
    reason: str | None
    n: int


@dataclass(frozen=True, slots=True)
class RouteStatus:
    """How a route stands.

    Attributes:
        watch: blind where something is not measured or nothing arrives, learning before the first baseline.
        silent: for how long nothing arrived, None while that is less than a day.
        moved: streams that fire. An incident tells of them, unless people decided about it.
        parked: steps that fail on the route, each with what waits for it.
    """

    watch: WatchStatus
    blind_spots: tuple[BlindSpot, ...] = ()
    silent: timedelta | None = None
    moved: tuple[StreamStatus, ...] = ()
    parked: tuple[ParkedRoute, ...] = ()

    @property
    def is_silent_alone(self) -> bool:
        """Whether it is blind for nothing but that nothing arrives."""
        return self.watch == "blind" and not self.parked and all(_kind(spot) in _ASIDE for spot in self.blind_spots)


def status_of(facts: RouteFacts, now: datetime) -> RouteStatus:
    """How the route stands at `now`.

    An event, an anomaly or a level that cannot be seen is a blind spot, and does not make all of the route blind. A
    route that learns and from which nothing comes still learns. One on which a step fails is blind, whatever else is
    known of it.
    """
    spots = [one for one in facts.streams if _is_blind_spot(one, facts)]
    silent = None if facts.clock is None or now - facts.clock < SILENT_AFTER else now - facts.clock
    watch: WatchStatus = "watching"
    if facts.parked or any(_kind(one) not in _ASIDE for one in spots):
        watch = "blind"
    elif not facts.traffic:
        watch = "watching"
    elif facts.baseline is None:
        watch = "learning"
    elif silent is not None:
        watch = "blind"
    moved = (one for one in facts.streams if one.status == "firing" and _kind(one) != "blind")
    current = tuple(one for one in moved if is_current(one, facts))
    return RouteStatus(watch, _counted(spots), silent, current, tuple(facts.parked))


def is_current(stream: StreamStatus, facts: RouteFacts) -> bool:
    """Whether it speaks of now: of the baseline that counts, or of none.

    The progress of learning is no finding, and a topic that was made again is over once exchanges count again.
    """
    return stream.detector != LEARNING and stream.baseline in (None, facts.baseline) and not _is_over(stream, facts)


def learned(streams: Iterable[StreamStatus]) -> int:
    """Exchanges that the first baseline has so far."""
    found = (one.exchanges for one in streams if one.detector == LEARNING and one.status == "learning")
    return max(found, default=0)


def _is_blind_spot(one: StreamStatus, facts: RouteFacts) -> bool:
    if one.status == "blind":
        return _kind(one) == "event" or one.baseline in (None, facts.baseline)
    return one.status == "firing" and _kind(one) == "blind" and not _is_over(one, facts)


def _is_over(one: StreamStatus, facts: RouteFacts) -> bool:
    return one.signal == _RECREATED and facts.clock is not None and one.ts < facts.clock


def _kind(one: StreamStatus | BlindSpot) -> str:
    return family_of(one.detector).kind


def _counted(spots: Iterable[StreamStatus]) -> tuple[BlindSpot, ...]:
    """Streams of one detector and signal with the same reason are one spot, in the order of their names."""
    counted = Counter((one.detector, one.signal, one.reason) for one in spots)
    return tuple(BlindSpot(*key, n) for key, n in sorted(counted.items(), key=lambda item: tuple(map(str, item[0]))))
