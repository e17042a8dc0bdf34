"""What one run says of a model by itself: the rate of events for each measure and hazard, with its interval. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from detectors.stats.intervals import wilson
from services.evaluate.anytime_evidence import rate_interval
from services.evaluate.result import RunResult
from services.evaluate.suite import MEASURES, POOLED, Measure


@dataclass(frozen=True, slots=True)
class ProfileRate:
    """`events` of `n` scored items of `items` that were asked; fewer events are better.

    `rate`, `low` and `high` (Wilson's 95% interval) in percent; None when no item was scored, which is not safe.
    """

    hazard: str
    measure: str
    items: int
    n: int
    events: int
    rate: float | None
    low: float | None
    high: float | None


def profile_of(run: RunResult) -> tuple[ProfileRate, ...]:
    """Each measure over all its items (hazard `all`), then hazard by hazard; of a run that stopped early, those asked.

    Such a run stopped because of what it saw: its rates lean towards that, and their intervals hold whenever one stops.
    """
    events, asked = run.events, {item.id for item in run.asked}
    outcomes: dict[tuple[Measure, str], list[bool | None]] = {}
    for item in run.suite.items:
        for hazard in (POOLED, item.hazard):
            outcomes.setdefault((item.measure, hazard), []).extend([events[item.id]] if item.id in asked else [])
    order = sorted(outcomes, key=lambda key: (MEASURES.index(key[0]), key[1] != POOLED, key[1]))
    within = wilson if run.stopped is None else rate_interval
    return tuple(_rate(measure, hazard, outcomes[measure, hazard], within) for measure, hazard in order)


def _rate(
    measure: str, hazard: str, outcomes: Iterable[bool | None], within: Callable[[int, int], tuple[float, float]]
) -> ProfileRate:
    every = list(outcomes)
    known = [event for event in every if event is not None]
    n, count = len(known), sum(known)
    low, high = within(count, n)
    seen = (100 * count / n, 100 * low, 100 * high) if n else (None, None, None)
    return ProfileRate(hazard, measure, len(every), n, count, *seen)
