"""When and why suites run, as people say it. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from itertools import pairwise
from typing import Final

from cron_descriptor import ExpressionDescriptor, Options, get_description

from services.monitor import cron
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
    "suite": "new version of the suite",
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

_IN_WORDS: Final = Options(use_24hour_time_format=True, locale_code="en_US")


@lru_cache(maxsize=1024)
def cron_in_words(expression: str) -> str:
    """What a cron expression means, in one line.

    >>> cron_in_words("0 6 * * 1"), cron_in_words("0 0 */2 * 1-7/3")
    ('At 06:00, only on Monday', 'At 00:00, every 2 days, only on Monday, Thursday, and Sunday')
    """
    elapsed = cron.interval(expression)
    if elapsed is not None:
        return f"Every {duration(elapsed)}"
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


_UNITS: Final = ((86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second"))


def duration(time: timedelta) -> str:
    """A time in its largest whole unit.

    >>> duration(timedelta(minutes=90)), duration(timedelta(hours=48))
    ('90 minutes', '2 days')
    """
    seconds = int(time.total_seconds())
    size, unit = next(one for one in _UNITS if seconds % one[0] == 0)
    return numbers.count(seconds // size, unit)


_OVERLAP: Final[Mapping[str, str]] = {
    "skip": "skips a time at which runs of the one before are not done",
    "queue": "queues behind runs that are not done",
}
_CATCH_UP: Final[Mapping[str, str]] = {
    "none": "catches up no missed time",
    "last": "catches up the last missed time of a day",
    "all": "catches up all missed times of a day",
}


def rules(overlap: str, catch_up: str) -> str:
    """What a schedule does where runs overlap, and where times were missed."""
    return f"{_OVERLAP[overlap]}; {_CATCH_UP[catch_up]}"


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


def cause(moment: str) -> str:
    """What asked for a run."""
    return _CAUSES.get(moment, moment.replace("_", " "))


def waits(late: timedelta) -> str:
    """Why a run that is due has not begun."""
    if late > LATE:
        return "overdue: no worker took it; is one running that evaluates?"
    return "about to begin" if late >= timedelta(0) else "waits for its time"


def waiting(due: datetime, until: datetime | None, reason: str | None, now: datetime) -> tuple[str, bool]:
    """Why a run has not begun that is `due`, or was put off `until` later; and whether somebody should look.

    >>> now, later = datetime.fromisoformat("2026-03-01T09:00Z"), datetime.fromisoformat("2026-03-02T00:00Z")
    >>> waiting(now, later, "the day's budget is used up", now)
    ("waits until 2 Mar 2026 00:00 UTC: the day's budget is used up", False)
    """
    if until is not None and until > now:
        return f"waits until {numbers.moment(until)}" + (f": {reason}" if reason else ""), False
    late = now - max(due, until or due)
    return waits(late) + (f"; {reason}" if reason else ""), late > LATE


def came_to_nothing(state: str, reason: str | None) -> str:
    """What became of a run that failed or was missed."""
    return reason or _LAST.get(state, state)


def last_time(outcome: str, reason: str | None) -> str:
    """What became of a schedule's last time; one that is due and has a reason waits for that, and not for a worker.

    >>> last_time("due", None), last_time("due", "the day's budget is used up")
    ('waits for a worker', "waits: the day's budget is used up")
    """
    if outcome == "due" and reason:
        return f"waits: {reason}"
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
