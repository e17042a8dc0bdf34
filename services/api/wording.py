"""Times, numbers, kinds and cron expressions as the pages say them. Pure.

Times, numbers and kinds as the pages say them.

Five cron fields as people say them. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from schemas.decision import DecisionKind
from schemas.evaluation import Outcome
from schemas.incident import EntryKind, Incident, Verdict
from schemas.reading import Unit
from services.monitor import cron
from services.monitor.cron import CronTimes

VERDICTS: Final[Mapping[Verdict, str]] = {
    "model": "The model changed",
    "users": "The users changed, not the model",
    "both": "The model and the users changed",
    "ruler": "Our measurement changed, not the model",
    "unknown": "Nobody can tell yet what changed",
}
OUTCOMES: Final[Mapping[Outcome, str]] = {
    "regressed": "Regressed: the model is less safe than the baseline's",
    "improved": "Improved against the baseline's model",
    "unchanged": "Unchanged against the baseline's model",
    "inconclusive": "Inconclusive: it does not say that the model is safe",
}
ENTRIES: Final[Mapping[EntryKind, str]] = {
    "opened": "opened",
    "alert_fired": "moved",
    "alert_resolved": "moved back",
    "escalated": "escalated",
    "verdict_revised": "verdict revised",
    "change": "change",
    "evaluation": "evaluation",
    "decision": "decided",
    "acknowledged": "acknowledged",
    "snoozed": "snoozed",
    "woken": "woken",
    "resolved": "resolved",
    "reopened": "reopened",
}
DECISIONS: Final[Mapping[DecisionKind, tuple[str, str]]] = {
    "acknowledge": ("Acknowledge", "I am looking at it"),
    "snooze": ("Snooze", "look again after the time below"),
    "roll_back": ("Rolling back", "the old model returns; stays open until the effect is gone"),
    "accept_baseline": ("Accept as new baseline", "the change is intended; measure from here on"),
    "false_alarm": ("False alarm", "nothing is wrong; mute what fired"),
    "silence": ("Silence route", "tell nobody for the time below"),
    "resolve": ("Resolve", "it was handled"),
}
"""Kinds that an incident's page offers, in order: the button, and what it means."""

_UNITS: Final[Mapping[Unit, str]] = {"pp": "%", "sd": " sd", "ratio": "x"}
_CHANGES: Final[Mapping[Unit, str]] = {"pp": " points", "sd": " sd", "ratio": "x"}
_STEPS: Final = ((timedelta(days=2), "days"), (timedelta(hours=2), "hours"), (timedelta(minutes=2), "minutes"))


def level(value: float, unit: Unit) -> str:
    """A value with its unit, for example `15.8%`."""
    return f"{value:.1f}{_UNITS[unit]}" if unit == "pp" else f"{value:.2f}{_UNITS[unit]}"


def change(low: float, high: float, unit: Unit) -> str:
    """The interval of a change, for example `-16.1 to -11.7 points`."""
    digits = 1 if unit == "pp" else 2
    return f"{low:+.{digits}f} to {high:+.{digits}f}{_CHANGES[unit]}"


def headline(incident: Incident) -> str:
    """The incident's headline as a sentence; a route keeps its spelling."""
    told = incident.headline or "something moved"
    return told if told.startswith(incident.route) else told[0].upper() + told[1:]


def at(ts: datetime) -> str:
    """A time for people, for example `2026-03-03 15:26 UTC`."""
    return f"{ts.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def ago(ts: datetime, now: datetime) -> str:
    """How long ago that was, in the largest unit of which there are two."""
    gone = now - ts
    for least, name in _STEPS:
        if gone >= least:
            return f"{gone // (least / 2)} {name} ago"
    return "just now" if gone >= timedelta(0) else "ahead of our clock"


def plural(n: int) -> str:
    """The ending of a noun of which there are `n`."""
    return "" if n == 1 else "s"


_DAYS: Final = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")
_MONTHS: Final = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)
_WORKDAYS: Final = (1, 2, 3, 4, 5)
_MOST_NAMED: Final = 4
"""Values that are named one by one; of more their number is said."""


def cron_in_words(expression: str) -> str:
    """What a cron expression means, in one line.

    >>> cron_in_words("0 6 * * 1"), cron_in_words("*/15 * * * *"), cron_in_words("30 2 1 1,7 *")
    ('every Monday at 06:00', 'every 15 minutes', 'on day 1 of January and July at 02:30')
    """
    when = cron.times(expression)
    step = _step(when)
    if step is not None:
        return f"{step}{_on(when)}"
    return f"{_on(when).strip() or 'every day'} {_at(when)}"


def _step(when: CronTimes) -> str | None:
    """How often within the hour or day, where that is even; None when the times are named instead."""
    if len(when.hours) < 24:
        return None
    n = len(when.minutes)
    if n == 1:
        return f"every hour at minute {when.minutes[0]}"
    gap = when.minutes[1] - when.minutes[0]
    even = 60 % gap == 0 and when.minutes == tuple(range(when.minutes[0], 60, gap))
    return ("every minute" if gap == 1 else f"every {gap} minutes") if even and n == 60 // gap else None


def _at(when: CronTimes) -> str:
    if len(when.hours) * len(when.minutes) <= _MOST_NAMED:
        return f"at {_list([f'{hour:02}:{minute:02}' for hour in when.hours for minute in when.minutes])}"
    minutes = f"{len(when.minutes)} times an hour" if len(when.minutes) > 1 else f"at minute {when.minutes[0]}"
    if len(when.hours) == 24:
        return minutes
    first, last = when.hours[0], when.hours[-1]
    if when.hours == tuple(range(first, last + 1)):
        return f"{minutes} from {first:02}:00 to {last:02}:59"
    return f"{minutes} in {len(when.hours)} hours of the day"


def _on(when: CronTimes) -> str:
    """Days, with a space before; nothing when it is every day."""
    days = len(when.days) < 31 and f"on {_many('day', [str(day) for day in when.days])}"
    weekdays = len(when.weekdays) < 7 and _weekdays(when.weekdays)
    months = "" if len(when.months) == 12 else _list([_MONTHS[month - 1] for month in when.months])
    if days and weekdays:
        both = f"{days} of the month {'or' if when.either else 'if it is'} {weekdays}"
        return f" {both}{f', in {months}' if months else ''}"
    if days:
        return f" {days} of {months or 'the month'}"
    found = weekdays or ("every day" if months else "")
    return f" {found}{f' in {months}' if months else ''}" if found else ""


def _weekdays(days: Sequence[int]) -> str:
    if tuple(days) == _WORKDAYS:
        return "Monday to Friday"
    return f"every {_list([_DAYS[day] for day in sorted(days, key=lambda day: day or 7)])}"


def _many(what: str, values: Sequence[str]) -> str:
    if len(values) > _MOST_NAMED:
        return f"{len(values)} {what}s"
    return f"{what}{'s' if len(values) > 1 else ''} {_list(values)}"


def _list(values: Sequence[str]) -> str:
    return values[0] if len(values) == 1 else f"{', '.join(values[:-1])} and {values[-1]}"
