"""The span of time that is asked for, by the route's clock, and the steps that it is told in. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Literal

from services.api.http.paging import check_span
from services.api.http.problems import Problem

HOURS: Final = 24
MOST_HOURS: Final = 24 * 366 * 5
MOST_POINTS: Final = 200
StepName = Literal["1m", "5m", "10m", "1h", "4h", "1d", "7d", "30d"]
STEPS: Final[Mapping[StepName, timedelta]] = {
    "1m": timedelta(minutes=1),
    "5m": timedelta(minutes=5),
    "10m": timedelta(minutes=10),
    "1h": timedelta(hours=1),
    "4h": timedelta(hours=4),
    "1d": timedelta(days=1),
    "7d": timedelta(days=7),
    "30d": timedelta(days=30),
}
_READABLE_COUNT: Final = 20
_FEW_POINTS: Final = 24
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class WindowQuery:
    """What was asked for; None is not said. `hours` are the last ones before `until`."""

    since: datetime | None = None
    until: datetime | None = None
    hours: int | None = None


@dataclass(frozen=True, slots=True)
class Window:
    """[since, until), whole minutes."""

    since: datetime
    until: datetime

    def whole(self, step: timedelta) -> Window:
        """The same widened to whole steps since 1970."""
        return Window(_down(self.since, step), _up(self.until, step))


def window_of(asked: WindowQuery, clock: datetime | None) -> Window | None:
    """The window; without `until` it ends with the minute of the route's clock. None for a route without one.

    Raises:
        Problem: 422 names the field.
    """
    check_span(asked.since, asked.until)
    if asked.since is not None and asked.hours is not None:
        raise Problem.of_field("hours", "says the same as since; leave one of them out")
    if asked.until is not None:
        until = _up(asked.until, STEPS["1m"])
    elif clock is not None:
        until = _down(clock, STEPS["1m"]) + STEPS["1m"]
    else:
        return None
    since = until - timedelta(hours=asked.hours or HOURS) if asked.since is None else _down(asked.since, STEPS["1m"])
    if since >= until:
        raise Problem.of_field(
            "since", "must be before until (left out, until is the time of the route's newest exchange)"
        )
    return Window(since, until)


def step_of(window: Window, wanted: StepName | None) -> timedelta:
    """The step that is wanted, else the finest of which the window has at most 200.

    Raises:
        Problem: 422 if the window has more of the step that is wanted.
    """
    fitting = {name: step for name, step in STEPS.items() if (window.until - window.since) / step <= MOST_POINTS}
    if not fitting:
        raise Problem.of_field("since", f"is too long before until: at most {MOST_POINTS} steps of 30 days")
    if wanted is not None and wanted not in fitting:
        raise Problem.of_field(
            "step", f"makes more than {MOST_POINTS} points; take {' or '.join(fitting)}, or a shorter time"
        )
    return fitting[wanted] if wanted is not None else next(iter(fitting.values()))


def readable_step(window: Window, n: int) -> timedelta:
    """The finest step of at most 200 whose points hold 20 of the `n` exchanges on average; at most an hour of a day."""
    span = window.until - window.since
    fitting = [step for step in STEPS.values() if span / step <= MOST_POINTS]
    return next(
        (step for step in fitting if n * step >= _READABLE_COUNT * span or span / step <= _FEW_POINTS), fitting[-1]
    )


def _down(ts: datetime, step: timedelta) -> datetime:
    return (ts - _EPOCH) // step * step + _EPOCH


def _up(ts: datetime, step: timedelta) -> datetime:
    return -(-(ts - _EPOCH) // step) * step + _EPOCH
