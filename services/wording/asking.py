"""What a route's target will be asked and when, in lines for `check-config`. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from services.wording import numbers
from services.wording.schedules import cron_in_words, duration, rules


def suite_asked(name: str, questions: int, fault: str | None) -> str:
    """A suite, and how much it asks: `core (580 questions)`."""
    return f"{name} ({numbers.count(questions, 'question')})" if fault is None else f"{name} (not read: {fault})"


def after(delays: Sequence[timedelta]) -> str:
    """When runs come after a change.

    >>> after([timedelta(0), timedelta(hours=24), timedelta(minutes=90)])
    'at once, after 1 day and after 90 minutes'
    """
    if not delays:
        return "never"
    told = [f"after {duration(delay)}" if delay else "at once" for delay in delays]
    return told[0] if len(told) == 1 else f"{', '.join(told[:-1])} and {told[-1]}"


def asks_suites(suites: Sequence[str], delays: Sequence[timedelta]) -> str:
    """Which suites are asked when, schedules aside."""
    if not suites:
        return "asks no suite: `suites` is empty"
    when = f"when the route is first seen, when a new normal is set, and after a change {after(delays)}"
    return f"asks {', '.join(suites)} {when}"


def asks_by_clock(name: str, cron: str, timezone: str, following: Sequence[datetime], kept: tuple[str, str]) -> str:
    """A schedule, when it comes next, on its own clock, and its rules for overlapping and missed times."""
    times = ", ".join(f"{one:%a} {one.day} {one:%b %Y %H:%M}" for one in following) or "never"
    return f"schedule {name}: {cron_in_words(cron)} ({timezone}); next {times}; {rules(*kept)}"


def asks_own(max_items: int, daily: int, delays: Sequence[timedelta]) -> str:
    """That users' own questions are asked again."""
    when = f"when a new normal is set and after a change {after(delays)}"
    return f"asks at most {max_items:,} of its users' own questions {when}; at most {daily:,} on one day"


def calls(a_day: float, pinned: int, changed: int) -> str:
    """How much that is."""
    by_clock = f"about {_few(a_day)} calls a day by schedules, " if a_day else ""
    return f"{by_clock}{pinned:,} calls for a new normal, at most {changed:,} after a change"


def budget(requests: int | None, tokens: int | None, cost: float | None) -> str:
    """Where a run ends, done or not."""
    limits = [(requests, "requests"), (tokens, "tokens"), (cost, "in money")]
    told = [f"{most:,g} {what}" if what == "in money" else f"{most:,} {what}" for most, what in limits if most]
    return f"each run ends at {' or '.join(told)}" if told else "no budget: a run's end grows with its suite"


def _few(n: float) -> str:
    return f"{n:,.0f}" if n >= 10 else f"{n:.2g}"
