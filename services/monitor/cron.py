"""Five cron fields: what they mean, and whether that is a time that ever comes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

_MONTHS: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS: Final = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_LONGEST_MONTH: Final = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_FIELDS: Final[tuple[tuple[str, int, int, dict[str, int]], ...]] = (
    ("minute", 0, 59, {}),
    ("hour", 0, 23, {}),
    ("day of month", 1, 31, {}),
    ("month", 1, 12, {name: i + 1 for i, name in enumerate(_MONTHS)}),
    ("day of week", 0, 7, {name: i for i, name in enumerate(_DAYS)}),
)


_INTERVAL: Final = re.compile(r"@every (\d{1,5})([mhd])", re.ASCII)
_UNITS: Final = {"m": "minutes", "h": "hours", "d": "days"}
_LONGEST: Final = timedelta(days=366)


@dataclass(frozen=True, slots=True)
class CronTimes:
    """The values that fit, one sorted tuple a field. `weekdays` count from Sunday = 0.

    `either`: days and weekdays are both restricted, so that one of them is enough. `fixed`: neither minutes nor hours
    are starred, so that an hour that the clock shows twice counts once, as in cron(8).
    """

    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: tuple[int, ...]
    months: tuple[int, ...]
    weekdays: tuple[int, ...]
    either: bool
    fixed: bool


def times(expression: str) -> CronTimes:
    """What an expression means, as in crontab(5).

    >>> times("0 6 * * 1-7/3").weekdays
    (0, 1, 4)

    Raises:
        ValueError: names the field that is wrong.
    """
    parts = checked(expression).split()
    sets = [_expanded(part, *field) for part, field in zip(parts, _FIELDS, strict=True)]
    minutes, hours, days, months, weekdays = (tuple(sorted(one)) for one in (*sets[:4], {day % 7 for day in sets[4]}))
    either = not parts[2].startswith("*") and not parts[4].startswith("*")
    fixed = not parts[0].startswith("*") and not parts[1].startswith("*")
    return CronTimes(minutes, hours, days, months, weekdays, either, fixed)


def interval(expression: str) -> timedelta | None:
    """How much elapses between two fire times of `@every 6h`; None for five fields.

    >>> interval("@every 90m"), interval("0 6 * * 1")
    (datetime.timedelta(seconds=5400), None)

    Raises:
        ValueError: if it is neither.
    """
    if not expression.startswith("@"):
        return None
    found = _INTERVAL.fullmatch(expression)
    every = timedelta(**{_UNITS[found[2]]: int(found[1])}) if found else timedelta(0)
    if not timedelta(minutes=1) <= every <= _LONGEST:
        raise ValueError("must be five fields, or @every with a number and m, h or d, such as @every 6h")
    return every


def checked(expression: str) -> str:
    """`expression` itself, five fields or `@every 6h`. Days of the week count from Sunday = 0 (or 7), as in crontab(5).

    >>> checked("0 6 * * 1")
    '0 6 * * 1'

    Raises:
        ValueError: names the field that is wrong.
    """
    if interval(expression) is not None:
        return expression
    parts = expression.split()
    if len(parts) != len(_FIELDS):
        raise ValueError(
            f'cron needs 5 fields (minute hour day month weekday), for example "0 6 * * 1", not {len(parts)}'
        )
    sets = [
        _expanded(part, name, low, high, names) for part, (name, low, high, names) in zip(parts, _FIELDS, strict=True)
    ]
    days, months = sets[2], sets[3]
    if parts[4] == "*" and all(min(days) > _LONGEST_MONTH[month - 1] for month in months):
        raise ValueError("this day of the month never comes in these months")
    return expression


def _expanded(part: str, name: str, low: int, high: int, names: dict[str, int]) -> set[int]:
    values: set[int] = set()
    for item in part.lower().split(","):
        span, _, step = item.partition("/")
        if "/" in item and not (_is_number(step) and int(step) > 0):
            raise ValueError(f"cron {name}: the step after / must be a whole number above 0")
        first, last = _span(span, name, low, high, names)
        if "/" in item and "-" not in span and span != "*":
            last = high
        values.update(range(first, last + 1, int(step) if step else 1))
    return values


def _span(span: str, name: str, low: int, high: int, names: dict[str, int]) -> tuple[int, int]:
    if span == "*":
        return low, high
    ends = [_number(end, names) for end in span.split("-")]
    if len(ends) > 2 or any(end is None or not low <= end <= high for end in ends):
        raise ValueError(f"cron {name}: must be *, or numbers from {low} to {high}, lists, ranges or steps of them")
    first, last = ends[0] or 0, ends[-1] or 0
    if first > last:
        raise ValueError(f"cron {name}: a range must go up")
    return first, last


def _number(text: str, names: dict[str, int]) -> int | None:
    if text in names:
        return names[text]
    return int(text) if _is_number(text) else None


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 4
