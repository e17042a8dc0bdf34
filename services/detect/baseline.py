"""Which exchanges become a baseline, and the baseline made of them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from detectors.protocol import PART, Baseline, Detector, Rows
from schemas.base import hash16
from schemas.score import STYLE_WIDTH, VECTOR_WIDTH
from services.detect.counterparts import choose_examples
from services.detect.floods import USUAL_PROMPTS, usual_prompts
from services.detect.state import Candidates, DetectionPlan, DetectState, Pinned
from services.detect.topics import TOPIC_MAP, fitted_topics, with_topics
from services.detect.versions import watched_rates
from services.monitor import BaselinePolicy
from services.specs import roles

_HOUR: Final = 3600.0
_DAY: Final = 86_400.0
_MONTH_DAYS: Final = 30
_LEAST_PER_DAY: Final = 1000.0
_SAY_LEARNED: Final = 50


@dataclass(frozen=True, slots=True)
class Collected:
    """What `collect_candidates` took.

    Attributes:
        candidates: identity -> rows so far.
        row: the row that completed a baseline, or None; due: whose it is.
        milestones: (row, n) where the largest set reached 1 row or a multiple of 50.
    """

    candidates: dict[str, Candidates]
    row: int | None
    due: str | None
    milestones: tuple[tuple[int, int], ...]


def collect_candidates(
    candidates: dict[str, Candidates],
    rows: Rows,
    identity: Sequence[str],
    untimed: NDArray[np.bool_],
    policy: BaselinePolicy,
    *,
    until_complete: bool,
) -> Collected:
    """Take rows in order, all of them or until a baseline is complete.

    Only answered rows with vectors count, at most `per_hour` of one clock hour, at most `size` in all.
    """
    new = dict(candidates)
    taken: dict[str, list[int]] = {}
    milestones: list[tuple[int, int]] = []
    row, due = None, None
    for i, who in enumerate(identity):
        before = new.get(who, Candidates())
        if not (rows.answered[i] and rows.embedded[i]):
            continue
        new[who] = _count(before, float(rows.ts[i]), bool(untimed[i]), policy)
        if new[who].n > before.n:
            taken.setdefault(who, []).append(i)
            if _is_milestone(new, who):
                milestones.append((i, new[who].n))
        due = completed_identity(new, float(rows.ts[i]), policy) if until_complete else None
        if due is not None:
            row = i
            break
    for who, places in taken.items():
        chunk = rows.take(np.array(places, dtype=np.int64))
        new[who] = replace(new[who], chunks=(*new[who].chunks, chunk))
    return Collected(new, row, due, tuple(milestones))


def _is_milestone(candidates: dict[str, Candidates], who: str) -> bool:
    n = candidates[who].n
    largest = all(n >= other.n for other in candidates.values())
    return largest and (n == 1 or n % _SAY_LEARNED == 0)


def completed_identity(candidates: dict[str, Candidates], ts: float, policy: BaselinePolicy) -> str | None:
    """The identity whose rows are enough: `size`, or after `max_days` the majority with at least `min_size`."""
    if not candidates:
        return None
    majority = max(candidates, key=lambda who: candidates[who].n)
    most = candidates[majority].n
    began = min(kept.first for kept in candidates.values() if kept.first is not None)
    late = ts - began >= policy.max_days * _DAY
    return majority if most >= policy.size or (late and most >= policy.min_size) else None


def _count(kept: Candidates, ts: float, untimed: bool, policy: BaselinePolicy) -> Candidates:
    hour = int(ts // _HOUR)
    in_hour = kept.hours.get(hour, 0)
    first = ts if kept.first is None else kept.first
    if kept.n >= policy.size or (in_hour >= policy.per_hour and not untimed):
        return replace(kept, first=first)
    return replace(kept, n=kept.n + 1, first=first, hours={**kept.hours, hour: in_hour + 1})


def pin_baseline(
    plan: DetectionPlan,
    state: DetectState,
    identity: str,
    rows: Rows,
    versions: dict[str, str],
    ts: float,
    event_index: int,
    full: int,
) -> Pinned:
    """Make the baseline of an identity's rows: its budget is fixed here, and every detector is fitted.

    `full` is how many exchanges a full baseline has.
    """
    topics = fitted_topics(rows, plan.policy.slices)
    rows = with_topics(rows, topics)
    streams = streams_of(plan, rows)
    arl = arl_of(plan, state, streams, ts, event_index)
    baseline = Baseline(rows, plan.policy.floors, arl, plan.policy.objectives, roles())
    # Sums of linear algebra come out otherwise on another number of threads, and with them axes that are nearly alike:
    # a verdict must not depend on how many cores found it.
    with threadpool_limits(1, user_api="blas"):
        artefacts = {detector.spec.name: detector.fit(baseline) for detector in plan.detectors if detector.learns}
    return Pinned(
        id=hash16([state.route, identity, event_index, rows.ids[0], rows.ids[-1], len(rows), round(arl, 6)]),
        identity=identity,
        model=state.known.models[identity],
        n=len(rows),
        streams=streams,
        arl=arl,
        ts=ts,
        event_index=event_index,
        rates=rates_of(rows, rows.signals),
        artefacts=artefacts | {USUAL_PROMPTS: usual_prompts(rows)} | ({} if topics is None else {TOPIC_MAP: topics}),
        versions=versions,
        trial=plan.policy.baseline.trial and state.pinned is None and len(rows) < full,
        examples=choose_examples(rows, set(watched_rates(plan.policy)), plan.policy.baseline.size),
    )


def streams_of(plan: DetectionPlan, rows: Rows) -> int:
    """K: the streams that can open an incident, of a baseline of these rows."""
    learning = Baseline(rows, plan.policy.floors, float("inf"), plan.policy.objectives, roles())
    return sum(len(detector.streams(learning)) for detector in plan.detectors)


def arl_of(plan: DetectionPlan, state: DetectState, streams: int, ts: float, event_index: int) -> float:
    """Exchanges between false alarms that each of so many streams is held to, at the traffic measured so far."""
    per_day = max(_per_day(state, ts, event_index + 1), _LEAST_PER_DAY)
    return streams * _MONTH_DAYS * per_day / plan.policy.false_pages_per_month


def rates_of(rows: Rows, names: Collection[str]) -> dict[str, float]:
    """Signal -> share of its scored rows for which it was true; of parts there is none, as of slices."""
    scored = {
        name: values[~np.isnan(values)] for name, values in rows.signals.items() if name in names and PART not in name
    }
    return {name: float(values.mean()) for name, values in sorted(scored.items()) if len(values)}


def _per_day(state: DetectState, ts: float, count: int) -> float:
    """Measured exchanges a day; 0 when the lines carry no time of their own."""
    if state.untimed or state.began is None:
        return 0.0
    return count / max(ts - state.began, _HOUR) * _DAY


def untrained_artefact(detector: Detector[Any, Any], plan: DetectionPlan, pinned: Pinned | None) -> Any:
    """The artefact of a detector that learns nothing: it watches from the first exchange on.

    Its streams share the budget of all. Before a baseline is pinned, which fixes how many those are, the ones count
    that are known without one, at the least traffic that a budget is reckoned by.
    """
    if pinned is None:
        arl = streams_of(plan, _EMPTY) * _MONTH_DAYS * _LEAST_PER_DAY / plan.policy.false_pages_per_month
    else:
        arl = max((pinned.arl, *(one.arl for one in pinned.relearned)))
    return detector.fit(Baseline(_EMPTY, plan.policy.floors, arl, plan.policy.objectives, roles()))


_EMPTY: Final = Rows(
    index=np.empty(0, np.int64),
    ts=np.empty(0),
    prompt=np.empty((0, VECTOR_WIDTH), np.float16),
    response=np.empty((0, VECTOR_WIDTH), np.float16),
    style=np.empty((0, STYLE_WIDTH), np.float16),
    embedded=np.empty(0, bool),
    answered=np.empty(0, bool),
    signals={},
    slices={},
    ids=(),
)
