"""Times, numbers, kinds and cron expressions as the pages say them. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import pairwise
from typing import Final

from cron_descriptor import ExpressionDescriptor, Options, get_description

from schemas.decision import DecisionKind
from schemas.evaluation import Outcome
from schemas.incident import EntryKind, Incident, Verdict
from schemas.reading import Unit
from services.monitor import cron

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


_IN_WORDS: Final = Options(use_24hour_time_format=True, locale_code="en_US")


@lru_cache(maxsize=1024)
def cron_in_words(expression: str) -> str:
    """What a cron expression means, in one line.

    >>> cron_in_words("0 6 * * 1"), cron_in_words("0 0 */2 * 1-7/3")
    ('At 06:00, only on Monday', 'At 00:00, every 2 days, only on Monday, Thursday, and Sunday')
    """
    when = cron.times(expression)
    time = f"{_steps(when.minutes, 0, 59)} {_steps(when.hours, 0, 23)}"
    days, months = _steps(when.days, 1, 31), _span(when.months, 1, 12)
    named = sorted(day or 7 for day in when.weekdays)
    weekdays = _span(named, 1, 7)
    if when.either:  # of a range of weekdays cron-descriptor does not say "or"
        every = "*" in (days, weekdays)
        days, weekdays = ("*", "*") if every else (days, ",".join(map(str, named)))
        return str(get_description(f"{time} {days} {months} {weekdays}", _IN_WORDS))
    # Both must fit, where cron-descriptor says "or": the weekdays are added to the words of the rest.
    rest = get_description(f"{time} {days} {months} *", _IN_WORDS)
    return f"{rest}{ExpressionDescriptor(f'* * * * {weekdays}', _IN_WORDS).get_day_of_week_description()}"


def _steps(values: Sequence[int], low: int, high: int) -> str:
    """A field of cron with these values, in its shortest form."""
    gap = values[1] - values[0] if len(values) > 2 else 0
    if gap < 2 or any(b - a != gap for a, b in pairwise(values)):
        return _span(values, low, high)
    start = "*" if values[0] == low else f"{values[0]}"
    return f"{start}/{gap}" if values[-1] + gap > high else f"{values[0]}-{values[-1]}/{gap}"


def _span(values: Sequence[int], low: int, high: int) -> str:
    """The same without steps: all, a range, or one by one."""
    first, last = values[0], values[-1]
    if len(values) > 2 and last - first == len(values) - 1:
        return "*" if (first, last) == (low, high) else f"{first}-{last}"
    return ",".join(map(str, values))
