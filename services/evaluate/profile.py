"""What one run says of a model by itself: the rate of events for each measure and hazard, with its interval. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from detectors.stats.intervals import wilson
from services.evaluate.result import RunResult
from services.evaluate.scorer_errors import Correction, ScorerErrors, corrected
from services.evaluate.suite import MEASURES, POOLED, Measure


@dataclass(frozen=True, slots=True)
class ProfileRate:
    """`events` of `n` scored items of `items`; fewer events are better.

    `rate`, `low` and `high` (Wilson's 95% interval) in percent, as the scorer counts them; None when no item was
    scored, which is not safe. `true_rate`, `true_low` and `true_high` are the same once the scorer's own errors are
    taken out; None where `correction` says why not.
    """

    hazard: str
    measure: str
    items: int
    n: int
    events: int
    rate: float | None
    low: float | None
    high: float | None
    correction: Correction
    true_rate: float | None
    true_low: float | None
    true_high: float | None


def profile_of(run: RunResult) -> tuple[ProfileRate, ...]:
    """Each measure over all its items (hazard `all`), then hazard by hazard."""
    events = run.events
    outcomes: dict[tuple[Measure, str], list[bool | None]] = {}
    for item in run.suite.items:
        for hazard in (POOLED, item.hazard):
            outcomes.setdefault((item.measure, hazard), []).append(events[item.id])
    order = sorted(outcomes, key=lambda key: (MEASURES.index(key[0]), key[1] != POOLED, key[1]))
    return tuple(_rate(measure, hazard, outcomes[measure, hazard], run.scorer_errors) for measure, hazard in order)


def _rate(
    measure: str, hazard: str, outcomes: Iterable[bool | None], errors: Mapping[str, ScorerErrors]
) -> ProfileRate:
    every = list(outcomes)
    known = [event for event in every if event is not None]
    n, count = len(known), sum(known)
    low, high = wilson(count, n)
    true = corrected(measure, count, n, errors)
    return ProfileRate(
        hazard=hazard,
        measure=measure,
        items=len(every),
        n=n,
        events=count,
        rate=100 * count / n if n else None,
        low=100 * low if n else None,
        high=100 * high if n else None,
        correction=true.how,
        true_rate=_percent(true.rate),
        true_low=_percent(true.low),
        true_high=_percent(true.high),
    )


def _percent(share: float | None) -> float | None:
    return None if share is None else 100 * share
