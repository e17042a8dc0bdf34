"""A route's own exchanges as the ground of experiments: its baseline at zero evidence, and the rows that are clean."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from detectors.protocol import Detector
from schemas.incident import Incident
from services.alert.state import AlertState
from services.detect.core import step as detect_step
from services.detect.state import Acquaintance, DetectionPlan, DetectState
from services.errors import InputError
from services.flow import RouteFlow
from services.monitor import RoutePolicy
from services.replay.scored_rows import learnable, majority, renumbered
from services.score.blocks import ScoredRow, blocks_of
from services.wording import replays as words

DAY: Final = 86_400.0
LEAST: Final = 100
"""Clean exchanges without which nothing is drawn: the same few again and again are no traffic."""


@dataclass(frozen=True, slots=True)
class OwnTraffic:
    """A route with a baseline, and the exchanges of its model that nothing is known to be wrong with.

    Attributes:
        flow: detect and alert with the baseline, before any exchange after it.
        rows: clean ones, in order; left_out: how many of the baseline's model were not, since they are of incidents.
        per_day: exchanges a day of late, None where they carry no time of their own.
    """

    plan: DetectionPlan
    flow: RouteFlow
    rows: tuple[ScoredRow, ...]
    left_out: int
    per_day: float | None

    @property
    def route(self) -> str:
        """Its name."""
        return self.flow.detect.route


def of_database(
    detectors: tuple[Detector[Any, Any], ...],
    policy: RoutePolicy,
    state: DetectState,
    rows: Sequence[ScoredRow],
    incidents: Iterable[Incident],
) -> OwnTraffic:
    """The route as it stands, by the baseline that detect holds it against.

    Clean are the exchanges of the baseline's model since the baseline's own, without those of `incidents` that opened
    since it was pinned: pass the ones that nobody called a false alarm.

    Raises:
        InputError: if the route has no baseline yet, or too few clean exchanges are stored.
    """
    pinned = state.pinned
    if pinned is None:
        raise InputError(words.no_baseline(state.route, state.learned, policy.baseline.size))
    mine = [row for row in learnable(rows) if row.identity == pinned.identity]
    at = pinned.ts
    before = [row for row in mine if row.ts.timestamp() <= at][-pinned.n :]
    after = [row for row in mine if row.ts.timestamp() > at]
    spans = [
        (one.opened_at, one.resolved_at or max(row.ts for row in rows))
        for one in incidents
        if one.opened_at.timestamp() > at
    ]
    clean = [row for row in after if not any(begin <= row.ts <= end for begin, end in spans)]
    return _traffic(DetectionPlan(detectors, policy), state, [*before, *clean], len(after) - len(clean), rows)


def of_rows(detectors: tuple[Detector[Any, Any], ...], policy: RoutePolicy, rows: Sequence[ScoredRow]) -> OwnTraffic:
    """The route of a file, taken as clean: its baseline is learned of the first exchanges, as the policy says.

    Raises:
        InputError: if the file holds several routes, or too few exchanges for a baseline.
    """
    names = sorted({row.route for row in rows})
    if len(names) > 1:
        raise InputError(words.several_routes(names))
    who = majority(rows)
    mine = [row for row in learnable(rows) if row.identity == who]
    plan = DetectionPlan(detectors, policy)
    return _traffic(plan, learned(plan, mine), mine, 0, rows)


def learned(plan: DetectionPlan, rows: Sequence[ScoredRow]) -> DetectState:
    """The state whose baseline is made of the rows, in their order, by detect's own rules.

    Where they end before `size`, at least `min_size` of them are enough, as they are after `max_days`.

    Raises:
        InputError: if they are too few.
    """
    route, wanted = rows[0].route if rows else "", plan.policy.baseline
    state = _learned(plan, rows, wanted.size)
    if state.pinned is None and state.learned >= wanted.min_size:
        state = _learned(plan, rows, state.learned)
    if state.pinned is None:
        raise InputError(words.too_few(route, state.learned, wanted.min_size, wanted.per_hour))
    return state


def _learned(plan: DetectionPlan, rows: Sequence[ScoredRow], size: int) -> DetectState:
    """What the rows teach: with a baseline as soon as `size` of them count, else without."""
    wanted = replace(plan.policy.baseline, size=size, min_size=min(size, plan.policy.baseline.min_size))
    enough = DetectionPlan(plan.detectors, replace(plan.policy, baseline=wanted))
    state = DetectState.start(rows[0].route if rows else "")
    for block in blocks_of(rows):
        state, _ = detect_step(enough, state, [block])
        if state.pinned is not None:
            break
    return state


def at_zero(state: DetectState) -> DetectState:
    """The state with the baseline and what is known of its models, before any exchange: no evidence, no count."""
    pinned = state.pinned
    assert pinned is not None
    versions = {name: replace(one, since=0, ts=0.0, rival=None, run=0) for name, one in state.versions.items()}
    known = Acquaintance(seen=dict(state.known.seen), models=dict(state.known.models))
    return replace(DetectState.start(state.route), pinned=pinned, versions=versions, known=known)


def drawn(
    rows: Sequence[ScoredRow], n: int, chance: np.random.Generator, ids: str, first: int, per_day: float | None
) -> list[ScoredRow]:
    """So many of the rows with replacement, as exchanges that follow each other at today's traffic."""
    picked = [rows[place] for place in chance.integers(0, len(rows), n)]
    start = max(row.ts for row in rows).timestamp()
    return renumbered(picked, ids, first, start, DAY / (per_day or 1_000.0))


def _traffic(
    plan: DetectionPlan, state: DetectState, clean: Sequence[ScoredRow], left_out: int, rows: Sequence[ScoredRow]
) -> OwnTraffic:
    if len(clean) < LEAST:
        raise InputError(words.too_few_clean(state.route, len(clean), LEAST))
    pinned = state.pinned
    assert pinned is not None
    flow = RouteFlow(at_zero(state), replace(AlertState.start(state.route), baseline=pinned.id))
    return OwnTraffic(plan, flow, tuple(clean), left_out, per_day(rows))


def per_day(rows: Sequence[ScoredRow]) -> float | None:
    """Exchanges a day over the last day of the rows, or as long as they reach; None where one has no time."""
    if any("no_ts" in row.flags for row in rows):
        return None
    times = sorted(row.ts.timestamp() for row in rows)
    since = max(times[-1] - DAY, times[0])
    span = times[-1] - since
    return None if span <= 0 else (sum(ts > since for ts in times)) / span * DAY
