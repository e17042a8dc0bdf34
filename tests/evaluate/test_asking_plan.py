"""What a route will be asked and when, as `check-config` says it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from services.errors import InputError
from services.evaluate.asking_plan import asking_plan
from services.evaluate.suite_library import questions_asked
from services.monitor import ReaskPolicy, RoutePolicy, SchedulePolicy, Target
from services.wording.asking import after, asks_by_clock

NOW = datetime(2026, 3, 27, 12, tzinfo=UTC)
TARGET = Target("https://x.example/v1", "m")


def questions(name: str) -> int:
    if name == "absent":
        raise InputError("suite absent: there is none")
    return questions_asked("smoke")


def test_calls_follow_from_suites_delays_schedules_and_own_questions() -> None:
    daily = SchedulePolicy("daily", "0 6 * * *", "Europe/Berlin")
    yearly = SchedulePolicy("yearly", "0 6 1 9 *")
    policy = RoutePolicy(
        target=TARGET,
        suites=("smoke", "smoke", "absent"),
        schedules=(daily, yearly),
        after_change=(timedelta(0), timedelta(hours=24), timedelta(0)),
        reask=ReaskPolicy(max_items=30),
    )
    plan = asking_plan(policy, questions, NOW)
    assert plan is not None
    assert [(one.name, one.questions) for one in plan.suites] == [("smoke", 49), ("absent", 0)]
    assert plan.suites[1].fault == "suite absent: there is none"
    assert plan.calls_a_day == pytest.approx(49 * (1 + 1 / 364))
    assert (plan.calls_pinned, plan.calls_changed) == (79, 158)


def test_the_next_three_fire_times_are_on_the_clock_of_the_schedule_also_when_that_is_put_forward() -> None:
    policy = RoutePolicy(target=TARGET, schedules=(SchedulePolicy("daily", "0 6 * * *", "Europe/Berlin"),))
    plan = asking_plan(policy, questions, NOW)
    assert plan is not None
    [planned] = plan.schedules
    assert [one.isoformat() for one in planned.following] == [
        "2026-03-28T06:00:00+01:00",
        "2026-03-29T06:00:00+02:00",
        "2026-03-30T06:00:00+02:00",
    ]
    told = asks_by_clock("daily", "0 6 * * *", "Europe/Berlin", planned.following, ("skip", "none"))
    assert "(Europe/Berlin); next Sat 28 Mar 2026 06:00, Sun 29 Mar 2026 06:00, Mon 30 Mar 2026 06:00; skips" in told


def test_every_minute_is_counted_without_counting_every_minute_of_a_month() -> None:
    policy = RoutePolicy(target=TARGET, schedules=(SchedulePolicy("often", "* * * * *"),))
    plan = asking_plan(policy, questions, NOW)
    assert plan is not None
    assert plan.calls_a_day == pytest.approx(49 * 1440, rel=1e-3)


def test_a_route_without_a_target_is_asked_nothing() -> None:
    assert asking_plan(RoutePolicy(), questions, NOW) is None


def test_delays_in_words() -> None:
    assert after([]) == "never"
    assert after([timedelta(seconds=90)]) == "after 90 seconds"
