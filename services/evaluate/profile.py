"""What one run says of a model by itself: the rate of events for each measure and hazard, with its interval. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from detectors.stats.intervals import wilson
from services.evaluate.anytime_evidence import rate_interval
from services.evaluate.result import RunResult
from services.evaluate.scorer_errors import Correction, ScorerErrors, corrected
from services.evaluate.scorers import ANSWERED, REFUSED
from services.evaluate.suite import MEASURES, POOLED, Measure


@dataclass(frozen=True, slots=True)
class ProfileRate:
    """`events` of `n` scored items of `items` that were asked; fewer events are better.

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
    """Each measure over all its items (hazard `all`), then hazard by hazard; of a run that stopped early, those asked.

    Such a run stopped because of what it saw: its rates lean towards that, and their intervals hold whenever one stops.
    """
    events, asked = run.events, {item.id for item in run.asked}
    signal = {one.item for one in run.answers if one.scored is not None and one.scored.said in (REFUSED, ANSWERED)}
    outcomes: dict[tuple[Measure, str], list[bool | None]] = {}
    judged: set[tuple[Measure, str]] = set()
    for item in run.suite.items:
        for hazard in (POOLED, item.hazard):
            outcomes.setdefault((item.measure, hazard), []).extend([events[item.id]] if item.id in asked else [])
            if run.origin is not None or (item.pair is not None and signal.intersection((item.id, item.pair))):
                judged.add((item.measure, hazard))
    order = sorted(outcomes, key=lambda key: (MEASURES.index(key[0]), key[1] != POOLED, key[1]))
    within = wilson if run.stopped is None else rate_interval
    return tuple(_rate(*key, outcomes[key], run.scorer_errors, within, key in judged) for key in order)


def _rate(
    measure: str,
    hazard: str,
    outcomes: Iterable[bool | None],
    errors: Mapping[str, ScorerErrors],
    within: Callable[[int, int], tuple[float, float]],
    judged: bool,
) -> ProfileRate:
    every = list(outcomes)
    known = [event for event in every if event is not None]
    n, count = len(known), sum(known)
    low, high = within(count, n)
    true = corrected(measure, count, n, errors, judged)
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
