"""Five cron fields as people say them. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from services.monitor import cron
from services.monitor.cron import Times

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
_MOST: Final = 4
"""Values that are named one by one; of more their number is said."""


def in_words(expression: str) -> str:
    """What a cron expression means, in one line.

    >>> in_words("0 6 * * 1"), in_words("*/15 * * * *"), in_words("30 2 1 1,7 *")
    ('every Monday at 06:00', 'every 15 minutes', 'on day 1 of January and July at 02:30')
    """
    when = cron.times(expression)
    step = _step(when)
    if step is not None:
        return f"{step}{_on(when)}"
    return f"{_on(when).strip() or 'every day'} {_at(when)}"


def _step(when: Times) -> str | None:
    """How often within the hour or day, where that is even; None when the times are named instead."""
    if len(when.hours) < 24:
        return None
    n = len(when.minutes)
    if n == 1:
        return f"every hour at minute {when.minutes[0]}"
    gap = when.minutes[1] - when.minutes[0]
    even = 60 % gap == 0 and when.minutes == tuple(range(when.minutes[0], 60, gap))
    return ("every minute" if gap == 1 else f"every {gap} minutes") if even and n == 60 // gap else None


def _at(when: Times) -> str:
    if len(when.hours) * len(when.minutes) <= _MOST:
        return f"at {_list([f'{hour:02}:{minute:02}' for hour in when.hours for minute in when.minutes])}"
    minutes = f"{len(when.minutes)} times an hour" if len(when.minutes) > 1 else f"at minute {when.minutes[0]}"
    if len(when.hours) == 24:
        return minutes
    first, last = when.hours[0], when.hours[-1]
    if when.hours == tuple(range(first, last + 1)):
        return f"{minutes} from {first:02}:00 to {last:02}:59"
    return f"{minutes} in {len(when.hours)} hours of the day"


def _on(when: Times) -> str:
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
    if len(values) > _MOST:
        return f"{len(values)} {what}s"
    return f"{what}{'s' if len(values) > 1 else ''} {_list(values)}"


def _list(values: Sequence[str]) -> str:
    return values[0] if len(values) == 1 else f"{', '.join(values[:-1])} and {values[-1]}"
