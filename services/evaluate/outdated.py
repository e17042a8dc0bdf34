"""Runs that an update has outdated: those that were to show a route's baseline, and those of a suite's last version.

A new version of a suite, by a release or in its folder, is a threat that its routes were never asked about: a run is
due, and is held against the one before it on the items that both versions ask.

Of a baseline's run: answers that other scorers judged, and items that a suite asks no more, are held against nothing.
Without a run of its own every later one would be inconclusive until the next baseline. It is made while the model may
be taken for the one of the baseline: no incident is open, and the baseline's identity answers. Where the scorers alone
are others, its stored answers are scored anew, and nothing is asked: also once the model is gone.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection

from schemas.base import hash16
from schemas.evaluation import OWN_TRAFFIC
from services.errors import InputError
from services.evaluate.own_questions import AskLater
from services.evaluate.persistence import stored_run
from services.evaluate.result import RunResult
from services.evaluate.suite import Suite
from services.store import baselines, evaluation_queue, incidents, runs, scores
from services.store.evaluation_queue import ClaimedRun, DueRun, Moment
from services.wording import runs as reasons

MOST: Final = 10
"""Runs that are looked at together: each is read whole."""
NEW_VERSION: Final = "suite"
"""Moment of a run for a new version of its suite."""
_SHOWING: Final[tuple[Moment, ...]] = ("first_seen", "pinned")
_WAITS: Final = timedelta(minutes=5)
_LONGEST_WAIT: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class BaselineRun:
    """The run that shows a route's baseline now, and what would ask for another one.

    Attributes:
        moved: the model that answers now may be another: nothing can be asked in the baseline's name.
    """

    run: RunResult
    moment: Moment
    cause: str
    target: str
    moved: bool = False

    def again(self, suite: Suite | None, scorers: Mapping[str, str], now: datetime) -> DueRun | None:
        """The same run by the suite and the scorers of today; None when it can be compared as it is.

        `suite` is None where it cannot have changed. It is asked for once for each suite and each set of scorers.
        """
        asked = {item.sha256 for item in self.run.asked}
        shared = suite is None or not asked.isdisjoint(item.sha256 for item in suite.items)
        if shared and dict(self.run.scorers) == dict(scorers):
            return None
        if self.moved and suite is not None and suite.sha256 != self.run.suite.sha256:
            return None
        name, identity = self.run.suite.name, self.run.identity
        number = _again(None if suite is None else suite.sha256, scorers)
        return DueRun(self.run.route, self.cause, self.moment, identity, name, self.target, number, now)


def baseline_runs(
    connection: Connection, wanted: Iterable[tuple[str, str, str]], known: Collection[str], now: datetime
) -> tuple[BaselineRun, ...]:
    """At most so many of (route, suite, target) that have such a run, those of routes with an incident last.

    Of those whose model may be another it leaves out which ones are `known`, by their ids, and the own questions of a
    route with an incident: they are refused then, and asked for once.
    """
    every = list(wanted)
    names = sorted({route for route, _, _ in every})
    troubled, pins = incidents.unresolved(connection, names), baselines.current_pinnings(connection, names)
    found: list[BaselineRun] = []
    for route, suite, target in sorted(every, key=lambda one: one[0] in troubled):
        if len(found) == MOST:
            break
        id = runs.reference_run(connection, route, suite, now)
        stored = None if id is None else runs.get(connection, id)
        pinned = pins.get(route)
        if id is None or stored is None or (pinned is not None and pinned.to_identity != stored.identity):
            continue
        moved = route in troubled or scores.latest_identity(connection, route) != stored.identity
        if moved and (id in known or (route in troubled and suite == OWN_TRAFFIC)):
            continue
        run = stored_run(connection, id)
        if run is None:
            continue
        if pinned is None:
            found.append(BaselineRun(run, "first_seen", hash16([route, "first_seen"]), target, moved))
        else:
            found.append(BaselineRun(run, "pinned", pinned.id, target, moved))
    return tuple(found)


def scored_otherwise(
    connection: Connection, what: DueRun, suite: Suite, scorers: Mapping[str, str], now: datetime
) -> tuple[RunResult, bool] | None:
    """The baseline's run, where it is made again since other scorers judge today; and whether nothing may be asked.

    None for every other run. Its answers are to the questions of today's suite, which need not be asked again.
    """
    own = suite.name == OWN_TRAFFIC
    if what.moment not in _SHOWING or what.delay != _again(None if own else suite.sha256, scorers):
        return None
    id = runs.reference_run(connection, what.route, what.suite, now)
    run = None if id in (None, what.id) else stored_run(connection, str(id))
    if run is None or run.suite.sha256 != suite.sha256:
        return None
    troubled = bool(incidents.unresolved(connection, [what.route]))
    return run, troubled or scores.latest_identity(connection, what.route) != run.identity


def _again(suite: str | None, scorers: Mapping[str, str]) -> int:
    """In place of a delay: the run of a baseline that is made again for this suite and these scorers."""
    return int(hash16([suite, dict(scorers)])[:7], 16)


def new_versions(
    connection: Connection, wanted: Iterable[tuple[str, str, str]], versions: Mapping[str, str], now: datetime
) -> list[DueRun]:
    """Of (route, suite, target) the runs whose suite is one that none of their complete runs asked.

    `versions` are hashes of the suites of today, by name; a suite that cannot be read is left out. Asked for once a day
    for each version, however many replicas look, and not while another run of the suite is under way: it may be of
    this version. A replica that still has a former version asks for nothing: the route was asked that one.
    """
    every = [one for one in wanted if one[1] in versions]
    last = runs.last_versions(connection, sorted({route for route, _, _ in every})) if every else {}
    moved = [one for one in every if last.get(one[:2], versions[one[1]]) != versions[one[1]]]
    asked = runs.asked_versions(connection, sorted({route for route, _, _ in moved}))
    moved = [one for one in moved if (*one[:2], versions[one[1]]) not in asked]
    busy = evaluation_queue.under_way(connection, now) if moved else set()
    return [
        _of_version(connection, route, suite, target, versions[suite], now)
        for route, suite, target in moved
        if (route, suite) not in busy
    ]


def _of_version(connection: Connection, route: str, suite: str, target: str, sha256: str, now: datetime) -> DueRun:
    cause = hash16([NEW_VERSION, route, suite, sha256, now.date().isoformat()])
    identity = scores.latest_identity(connection, route)
    return DueRun(route, cause, NEW_VERSION, identity, suite, target, _number(sha256), now)


def check_version(claimed: ClaimedRun, suite: Suite, now: datetime) -> None:
    """That this process has the version of the suite that a run was asked for: in an upgrade another one may have it.

    Raises:
        AskLater: if it has not. InputError: if nobody had it for an hour.
    """
    if claimed.what.moment != NEW_VERSION or claimed.what.delay == _number(suite.sha256):
        return
    if now - claimed.created > _LONGEST_WAIT:
        raise InputError(reasons.VERSION_GONE)
    raise AskLater(reasons.OTHER_VERSION, now + _WAITS)


def _number(sha256: str) -> int:
    """In place of a delay: it makes runs of different versions different ones."""
    return int(sha256[:7], 16)
