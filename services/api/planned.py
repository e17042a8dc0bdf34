"""Schedules with what became of their last fire time, and when they fire next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sqlalchemy import Connection

from services.evaluate.schedule import cause_of, next_fire
from services.store import asked, schedules
from services.store.asked import Asked
from services.store.schedules import Fired, Planned

Outcome = Literal["not yet", "missed", "due", "running", "done", "failed"]
_WORST_FIRST: tuple[Outcome, ...] = ("running", "due", "failed", "done")


@dataclass(frozen=True, slots=True)
class Plan:
    """One schedule.

    Attributes:
        next: its next fire time; None when it is switched off or never comes.
        last: the last fire time that was taken. outcome: what became of it. reason: why nothing, or nothing good.
        runs: what was run for it, one for each suite.
    """

    schedule: Planned
    next: datetime | None
    last: datetime | None
    outcome: Outcome
    reason: str | None
    runs: tuple[Asked, ...]


def plans(
    connection: Connection, globs: Sequence[str], after: tuple[str, str], most: int, now: datetime
) -> tuple[Plan, ...]:
    """At most so many schedules of the globs' routes, by route and name, that follow the one of that key."""
    found = schedules.page(connection, globs, after, most)
    fires = schedules.last_fires(connection, (one.route for one in found))
    causes = {key: cause_of(one, fires[key].fire_time) for one in found if (key := (one.route, one.name)) in fires}
    asked_runs = asked.of_causes(connection, sorted(causes.values()))
    return tuple(
        _plan(one, now, fires.get(key), asked_runs.get(causes.get(key, ""), ()))
        for one in found
        if (key := (one.route, one.name))
    )


def _plan(one: Planned, now: datetime, fired: Fired | None, runs: tuple[Asked, ...]) -> Plan:
    following = next_fire(one, now)
    if fired is None:
        return Plan(one, following, None, "not yet", None, ())
    if fired.missed is not None:
        return Plan(one, following, fired.fire_time, "missed", fired.missed, ())
    worst = min(runs, key=lambda run: _WORST_FIRST.index(_outcome(run)), default=None)
    if worst is None:
        return Plan(one, following, fired.fire_time, "done", "no suite was to be run", ())
    return Plan(one, following, fired.fire_time, _outcome(worst), worst.reason, runs)


def _outcome(run: Asked) -> Outcome:
    assert run.state != "missed"
    return run.state
