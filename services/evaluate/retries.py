"""Runs that did not finish are made again within their delay: a few times, each later than the one before."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection

from schemas.evaluation import OWN_TRAFFIC
from services.evaluate.result import RunResult
from services.evaluate.schedule import cause_of, next_fire
from services.store import evaluation_queue, schedules
from services.store.evaluation_queue import DueRun, Moment
from services.wording import runs as reasons

BACKOFF: Final = (timedelta(minutes=10), timedelta(minutes=40))
"""How long after an attempt the next one comes."""
_DELAYED: Final[frozenset[Moment]] = frozenset({"change", "announced"})
"""Moments that ask for a run after each delay of `after_change`."""
MOST_ATTEMPTS: Final = len(BACKOFF) + 1


def retry_of(what: DueRun, result: RunResult, now: datetime, following: datetime | None) -> DueRun | None:
    """The next attempt of a run that did not finish; `following` is when the same suite is asked next anyway.

    None for one that is complete, that its budget ended, and of a route's own questions, which have a budget of days.
    """
    attempt = what.attempt or 1
    if result.status == "complete" or what.suite == OWN_TRAFFIC or attempt >= MOST_ATTEMPTS:
        return None
    due = now + BACKOFF[attempt - 1]
    if reasons.is_budget_spent(result.reason) or (following is not None and due >= following):
        return None
    return replace(what, attempt=attempt + 1, due=due)


def ask_again(connection: Connection, what: DueRun, result: RunResult, now: datetime) -> None:
    """Write the next attempt of a run, if there is to be one."""
    if result.status == "complete":
        return
    retry = retry_of(what, result, now, _following(connection, what, now))
    if retry is not None:
        reason = reasons.tried_again(retry.attempt or 1, MOST_ATTEMPTS, result.reason)
        evaluation_queue.enqueue(connection, [retry], now, reason)


def _following(connection: Connection, what: DueRun, now: datetime) -> datetime | None:
    """When the suite is asked next for the same reason: after a longer delay, or at the next fire time."""
    if what.moment in _DELAYED:
        return evaluation_queue.following_due(connection, what)
    if what.moment != "scheduled":
        return None  # its number is no delay: another one of the same cause does not come later
    for planned in schedules.find(connection, (what.route,)):
        if any(cause_of(planned, time) == what.cause for time in schedules.newest_taken(connection, planned, 50)):
            return next_fire(planned, now)
    return None
