"""The false-page budget of a route beside the false alarms that its own clean exchanges give."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from scipy import stats

from services.alert.state import AlertState
from services.detect.state import DetectionPlan
from services.flow import RouteFlow, advance
from services.replay.own_traffic import OwnTraffic, at_zero, drawn, learned
from services.score.blocks import blocks_of

NOMINAL: Final = 1_000
"""Exchanges between false alarms of all streams together where they are counted: often enough to be counted at all."""
_STEP: Final = 64
_LEAST_PER_DAY: Final = 1_000.0


@dataclass(frozen=True, slots=True)
class CountedAlarms:
    """False alarms among so many clean exchanges, and how many the budget allows there."""

    alarms: int
    exchanges: int
    allowed: float

    @property
    def interval(self) -> tuple[float, float]:
        """Where the true number lies with 95% (Garwood's exact interval of a Poisson count)."""
        low = float(stats.chi2.ppf(0.025, 2 * self.alarms) / 2) if self.alarms else 0.0
        return low, float(stats.chi2.ppf(0.975, 2 * self.alarms + 2) / 2)

    @property
    def share(self) -> tuple[float, float, float]:
        """Of what is allowed: low, measured, high."""
        low, high = self.interval
        return low / self.allowed, self.alarms / self.allowed, high / self.allowed


@dataclass(frozen=True, slots=True)
class BudgetReport:
    """The budget of a route, and what was measured.

    Attributes:
        pages_per_month: what is allowed. streams, arl: among how many tests it is shared out, and the exchanges
            between false alarms that each is held to.
        replayed: the clean exchanges after the baseline as they came, at the budget as it is.
        tightened: the clean exchanges drawn at random again and again, at a budget of one in `NOMINAL` exchanges.
        left_out: exchanges of incidents that nobody called a false alarm.
    """

    route: str
    pages_per_month: float
    streams: int
    arl: float
    per_day: float | None
    replayed: CountedAlarms
    tightened: CountedAlarms
    left_out: int


def measure_budget(
    traffic: OwnTraffic, *, exchanges: int, seed: int, progress: Callable[[int], object] = lambda n: None
) -> BudgetReport:
    """Count the false alarms of the route's clean exchanges: as they came, and drawn with replacement.

    At most budgets a false alarm is rarer than the exchanges that are stored; so they are counted at a tighter one,
    with a baseline that is drawn too. That the share of what is allowed is the same at the route's own is assumed.
    """
    pinned = traffic.flow.detect.pinned
    assert pinned is not None
    replayed = _replayed(traffic)
    tightened = _tightened(traffic, exchanges, seed, progress)
    return BudgetReport(
        traffic.route,
        traffic.plan.policy.false_pages_per_month,
        pinned.streams,
        pinned.arl,
        traffic.per_day,
        replayed,
        tightened,
        traffic.left_out,
    )


def budget_object(found: BudgetReport) -> dict[str, Any]:
    """The report as JSON."""
    return {
        "route": found.route,
        "false_pages_per_month": found.pages_per_month,
        "streams": found.streams,
        "arl": found.arl,
        "per_day": found.per_day,
        "left_out": found.left_out,
        "replayed": _counted(found.replayed),
        "drawn": {**_counted(found.tightened), "one_in": NOMINAL},
    }


def _counted(found: CountedAlarms) -> dict[str, Any]:
    low, share, high = found.share
    return {
        "alarms": found.alarms,
        "exchanges": found.exchanges,
        "allowed": found.allowed,
        "share_of_allowed": {"low": low, "measured": share, "high": high},
    }


def _replayed(traffic: OwnTraffic) -> CountedAlarms:
    """The clean exchanges after the baseline's own, in their order."""
    pinned = traffic.flow.detect.pinned
    assert pinned is not None
    rows = list(traffic.rows[pinned.n :])
    flow, alarms = traffic.flow, 0
    for block in blocks_of(rows):
        flow, output = advance(traffic.plan, flow, block)
        alarms += sum(alert.status == "firing" for alert in output.alerts)
    return CountedAlarms(alarms, len(rows), max(len(rows), 1) / (pinned.arl / max(pinned.streams, 1)))


def _tightened(traffic: OwnTraffic, exchanges: int, seed: int, progress: Callable[[int], object]) -> CountedAlarms:
    """Baseline and stream drawn from the clean rows; after an alarm all evidence begins anew."""
    chance = np.random.default_rng(seed)
    policy = traffic.plan.policy
    pages = 30 * max(traffic.per_day or 0.0, _LEAST_PER_DAY) / NOMINAL
    plan = DetectionPlan(traffic.plan.detectors, replace(policy, false_pages_per_month=pages))
    size = min(policy.baseline.size, len(traffic.rows))
    wide = replace(policy.baseline, size=size, min_size=min(policy.baseline.min_size, size), per_hour=size)
    plan = DetectionPlan(plan.detectors, replace(plan.policy, baseline=wide))
    state = learned(plan, drawn(traffic.rows, 2 * size, chance, "learn", 0, _LEAST_PER_DAY))
    pinned = state.pinned
    assert pinned is not None
    fresh = RouteFlow(at_zero(state), replace(AlertState.start(traffic.route), baseline=pinned.id))
    flow, alarms = fresh, 0
    for first in range(0, exchanges, _STEP):
        rows = drawn(traffic.rows, min(_STEP, exchanges - first), chance, "stream", first, _LEAST_PER_DAY)
        for block in blocks_of(rows):
            flow, output = advance(plan, flow, block)
        fired = sum(alert.status == "firing" for alert in output.alerts)
        alarms += fired
        flow = fresh if fired else flow
        progress(len(rows))
    allowed = exchanges / (pinned.arl / max(pinned.streams, 1))
    return CountedAlarms(alarms, exchanges, allowed)
