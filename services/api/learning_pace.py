"""How fast a route learns its first baseline, and when that ends: the fleet and the page of a route say the same. Pure.

Counted as the baseline is made (`services.detect.baseline`): answered exchanges of one identity that are embedded, at
most `per_hour` of a clock hour, until there are `size`, or `min_size` after `max_days`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from services.monitor import RoutePolicy
from services.store.learning import LearningTraffic, first_hour
from services.wording import numbers, routes

_HOUR: Final = timedelta(hours=1)
_STALE: Final = timedelta(hours=1)
_SHORTEST: Final = timedelta(minutes=1)
_FEWEST: Final = 10
"""Of fewer exchanges no rate is told."""
_UNTOLD: Final = 49
"""So many may have been learned since it was last told: that is done every 50."""
_HELD: Final = 0.95
"""`per_hour` slows learning down where less than this share of what could be learned counts."""


@dataclass(frozen=True, slots=True)
class LearningPace:
    """How fast it goes.

    Attributes:
        rate: exchanges an hour that could be learned. counted: those of them that count.
        limit: `per_hour`, where that keeps the others from counting.
        hours: until the first baseline is complete, at that rate; ends: when that is.
        early: whether `max_days` are over before `size` is reached.
    """

    rate: float
    counted: float
    limit: int | None
    hours: float
    ends: datetime
    early: bool


def pace_of(
    learned: int, traffic: LearningTraffic | None, clock: datetime | None, policy: RoutePolicy, now: datetime
) -> LearningPace | None:
    """The pace of the last 24 hours, or since the route began; None where nothing is known of it.

    `learned` is how many exchanges its baseline was last told to have, `clock` when the last one arrived.
    """
    if traffic is None or clock is None or is_over(clock, now):
        return None
    first = policy.baseline.first
    learnable = [n * policy.embed_share for n in traffic.hours]
    if sum(learnable) < _FEWEST:
        return None
    covered = _covered(traffic, clock, now)
    elapsed = sum(covered)
    counted = sum(min(n, first.per_hour * part) for n, part in zip(learnable, covered, strict=False)) / elapsed
    if not counted:
        return None
    rate = sum(learnable) / elapsed
    done = learned + min(max(now - traffic.times.told, timedelta(0)) / _HOUR * counted, _UNTOLD)
    hours, early = max(first.size - done, 0.0) / counted, False
    if traffic.times.began is not None:
        left = (traffic.times.began + timedelta(days=first.max_days) - now) / _HOUR
        enough = max(first.min_size - done, 0.0) / counted
        early = max(left, enough, 0.0) < hours
        hours = min(hours, max(left, enough, 0.0))
    limit = first.per_hour if counted < rate * _HELD else None
    return LearningPace(rate, counted, limit, hours, now + timedelta(hours=hours), early)


def is_over(clock: datetime, now: datetime) -> bool:
    """Whether nothing came for so long that nobody knows how fast it goes on."""
    return now - clock > _STALE


def _covered(traffic: LearningTraffic, clock: datetime, now: datetime) -> Sequence[float]:
    """How much of each clock hour has gone by since the route began, in hours; the last are those after the clock's."""
    begins = first_hour(clock)
    place = (traffic.times.since - begins) // _HOUR
    start = min(max(begins, traffic.times.since), clock)
    if any(traffic.hours[: max(place, 0)]):  # it had traffic before what is kept of its learning
        start = begins
    until = max(now, clock, start + _SHORTEST)
    edges = [begins + hour * _HOUR for hour in range((until - begins) // _HOUR + 1)]
    return [max((min(until, edge + _HOUR) - max(start, edge)) / _HOUR, 0.0) for edge in edges]


def learning_line(learned: int, held_back: str | None, pace: LearningPace | None, policy: RoutePolicy) -> str:
    """How far it has learned and how long it will still take, or why no baseline is pinned although it has."""
    if held_back is not None:
        return numbers.sentence_case(held_back)
    size = policy.baseline.first.size
    to_go, limit = (None, None) if pace is None else (pace.hours, pace.limit)
    return routes.learning(min(learned, size), size, to_go, limit)


def learning_notes(pace: LearningPace, policy: RoutePolicy) -> tuple[str, ...]:
    """Why learning takes so long, when it ends, and what would be sooner."""
    first = policy.baseline.first
    told = routes.learning_pace(pace.rate, pace.counted, pace.limit, pace.ends, early=pace.early)
    sooner = first == policy.baseline and first.min_size < first.size and pace.hours > 1
    return (told, routes.trial_offer(first.min_size)) if sooner else (told,)
