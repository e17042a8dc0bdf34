"""When and why suites run, as people say it. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Final

from services.monitor import cron
from services.monitor.cron import CronTimes
from services.wording import numbers

LATE: Final = timedelta(minutes=5)
"""How long a run may wait for a worker before somebody should look."""
RUNNING: Final = "running"
ANSWERED: Final = "every answer came"
_CAUSES: Final[Mapping[str, str]] = {
    "first_seen": "first sight of the route",
    "pinned": "a new normal was set",
    "change": "change of the model",
    "announced": "announced change",
    "scheduled": "schedule",
    "requested": "asked for by a person",
    "command": "run by hand",
}
_LAST: Final[Mapping[str, str]] = {
    "not yet": "has not run yet",
    "missed": "missed: it did not run",
    "due": "waits for a worker",
    "running": RUNNING,
    "done": "done",
    "failed": "did not finish: no result",
}
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
        return f"at {numbers.listed([f'{hour:02}:{minute:02}' for hour in when.hours for minute in when.minutes])}"
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
    months = "" if len(when.months) == 12 else numbers.listed([_MONTHS[month - 1] for month in when.months])
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
    return f"every {numbers.listed([_DAYS[day] for day in sorted(days, key=lambda day: day or 7)])}"


def _many(what: str, values: Sequence[str]) -> str:
    if len(values) > _MOST_NAMED:
        return f"{len(values)} {what}s"
    return f"{what}{'s' if len(values) > 1 else ''} {numbers.listed(values)}"


def cause(moment: str) -> str:
    """What asked for a run."""
    return _CAUSES.get(moment, moment.replace("_", " "))


def waits(late: timedelta) -> str:
    """Why a run that is due has not begun."""
    if late > LATE:
        return "overdue: no worker took it; is one running that evaluates?"
    return "about to begin" if late >= timedelta(0) else "waits for its time"


def came_to_nothing(state: str, reason: str | None) -> str:
    """What became of a run that failed or was missed."""
    return reason or _LAST.get(state, state)


def last_time(outcome: str, reason: str | None) -> str:
    """What became of a schedule's last time."""
    return _LAST[outcome] + (f" ({reason})" if reason else "")


def heading(regressed: int, overdue: int, failed: int, missed: int, running: int, any_known: bool) -> str:
    """All evaluations in one line, the worst first; that nothing failed is only said where something was asked."""
    counts = ((regressed, "got worse"), (overdue, "overdue"), (failed, "did not finish"), (missed, "missed"))
    told = [f"{n} {what}" for n, what in counts if n]
    if told or running:
        return f"Evaluations: {', '.join(told) or f'{running} running'}"
    return "Evaluations: nothing failed or was missed" if any_known else "No suite was run yet"


def lead(running: int, waiting: int, days: int) -> str:
    """What runs now, and how far back the page looks."""
    runs = f"{numbers.count(running, 'run')} under way" if running else "Nothing runs now"
    return f"{runs}, {waiting:,} waiting. What got worse, did not finish or was missed counts for {days} days."
