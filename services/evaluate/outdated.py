"""Runs that were to show a route's baseline, and that an update has outdated: they are made once more.

Answers that other scorers judged, and items that a suite asks no more, are held against nothing: without a run of its
own every later one would be inconclusive until the next baseline. It is made while the model may be taken for the one
of the baseline: no incident is open, and the baseline's identity answers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Connection

from schemas.base import hash16
from services.evaluate.persistence import stored_run
from services.evaluate.result import RunResult
from services.evaluate.suite import Suite
from services.store import baselines, incidents, runs, scores
from services.store.evaluation_queue import DueRun, Moment

MOST: Final = 10
"""Runs that are looked at together: each is read whole."""


@dataclass(frozen=True, slots=True)
class BaselineRun:
    """The run that shows a route's baseline now, and what would ask for another one."""

    run: RunResult
    moment: Moment
    cause: str
    target: str

    def again(self, suite: Suite | None, scorers: Mapping[str, str], now: datetime) -> DueRun | None:
        """The same run by the suite and the scorers of today; None when it can be compared as it is.

        `suite` is None where it cannot have changed. It is asked for once for each suite and each set of scorers.
        """
        asked = {item.sha256 for item in self.run.asked}
        shared = suite is None or not asked.isdisjoint(item.sha256 for item in suite.items)
        if shared and dict(self.run.scorers) == dict(scorers):
            return None
        name, identity = self.run.suite.name, self.run.identity
        number = int(hash16([None if suite is None else suite.sha256, dict(scorers)])[:7], 16)
        return DueRun(self.run.route, self.cause, self.moment, identity, name, self.target, number, now)


def baseline_runs(
    connection: Connection, wanted: Iterable[tuple[str, str, str]], now: datetime
) -> tuple[BaselineRun, ...]:
    """At most so many of (route, suite, target) that have such a run, and may be asked again now."""
    every = list(wanted)
    names = sorted({route for route, _, _ in every})
    moved, pins = incidents.unresolved(connection, names), baselines.current_pinnings(connection, names)
    found: list[BaselineRun] = []
    for route, suite, target in every:
        id = None if route in moved else runs.reference_run(connection, route, suite, now)
        run = None if id is None else stored_run(connection, id)
        if run is None or scores.latest_identity(connection, route) != run.identity:
            continue
        pinned = pins.get(route)
        if pinned is None:
            found.append(BaselineRun(run, "first_seen", hash16([route, "first_seen"]), target))
        elif pinned.to_identity == run.identity:
            found.append(BaselineRun(run, "pinned", pinned.id, target))
        if len(found) == MOST:
            break
    return tuple(found)
