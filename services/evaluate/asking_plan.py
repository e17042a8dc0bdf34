"""What a route's target will be asked and when, before anything is: for `check-config` and the page of evaluations.

Pure but for reading suites.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import Final
from zoneinfo import ZoneInfo

from services.errors import InputError
from services.evaluate.schedule import fire_times, following_fires, trigger_of
from services.monitor import ReaskPolicy, RoutePolicy, SchedulePolicy, SpendingLimit
from services.wording import asking as words

SHOWN_FIRES: Final = 3
_WINDOWS: Final = (timedelta(days=28), timedelta(days=364))


@dataclass(frozen=True, slots=True)
class PlannedSuite:
    """A suite and the questions of one run of it; `fault` says why it cannot be read here."""

    name: str
    questions: int
    fault: str | None = None


@dataclass(frozen=True, slots=True)
class PlannedFires:
    """A schedule, its next fire times in its own time zone, and how many it has on a day, on average."""

    schedule: SchedulePolicy
    following: tuple[datetime, ...]
    a_day: float


@dataclass(frozen=True, slots=True)
class AskingPlan:
    """All that asks for runs on a route.

    Attributes:
        delays: after a change; each asks for a run of every suite.
        calls_a_day: by the schedules. calls_pinned: at first sight, and for a baseline. calls_changed: at most, after
            a change; a run that is decided earlier takes less.
    """

    suites: tuple[PlannedSuite, ...]
    delays: tuple[timedelta, ...]
    schedules: tuple[PlannedFires, ...]
    reask: ReaskPolicy | None
    budget: SpendingLimit
    calls_a_day: float
    calls_pinned: int
    calls_changed: int


def asking_plan(policy: RoutePolicy, questions: Callable[[str], int], now: datetime) -> AskingPlan | None:
    """The plan of a policy from `now` on, with the number of `questions` of each suite; None without a target."""
    if policy.target is None:
        return None
    asked = tuple(_asked(name, questions) for name in dict.fromkeys(policy.suites))
    each = sum(one.questions for one in asked)
    delays, planned = tuple(sorted(set(policy.after_change))), tuple(_planned(one, now) for one in policy.schedules)
    a_day = each * sum(one.a_day for one in planned)
    own = 0 if policy.reask is None else policy.reask.max_items
    changed = len(delays) * (each + own)
    return AskingPlan(asked, delays, planned, policy.reask, policy.target.budget, a_day, each + own, changed)


def plan_lines(plan: AskingPlan | None) -> Iterator[str]:
    """What will be asked when, and how much that is, in words."""
    if plan is None:
        return
    named = [words.suite_asked(one.name, one.questions, one.fault) for one in plan.suites]
    yield words.asks_suites(named, plan.delays)
    for one in plan.schedules:
        plan_of = one.schedule
        rules = plan_of.overlap, plan_of.catch_up
        yield words.asks_by_clock(plan_of.name, plan_of.cron, plan_of.timezone, one.following, rules)
    if plan.reask is not None:
        yield words.asks_own(plan.reask.max_items, plan.reask.daily_budget, plan.delays)
    if plan.calls_changed:
        yield words.calls(plan.calls_a_day, plan.calls_pinned, plan.calls_changed)
        yield words.budget(plan.budget.requests, plan.budget.tokens, plan.budget.cost)


def _asked(name: str, questions: Callable[[str], int]) -> PlannedSuite:
    try:
        return PlannedSuite(name, questions(name))
    except InputError as error:
        return PlannedSuite(name, 0, str(error))


def _planned(one: SchedulePolicy, now: datetime) -> PlannedFires:
    trigger, zone = trigger_of(one.cron, one.timezone), ZoneInfo(one.timezone)
    following = tuple(fire.astimezone(zone) for fire in islice(following_fires(trigger, now), SHOWN_FIRES))
    return PlannedFires(one, following, _a_day(one, now))


def _a_day(one: SchedulePolicy, now: datetime) -> float:
    """Fire times a day, of the next weeks or, of what is rarer, of the next year."""
    trigger = trigger_of(one.cron, one.timezone)
    for window in _WINDOWS:
        if times := fire_times(trigger, now, now + window):
            span = window if len(times) < 10_000 else times[-1] - now
            return len(times) / (span / timedelta(days=1))
    return 0.0
