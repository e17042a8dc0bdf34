"""Schedules with their last and next fire time, and what people plan: schedules and runs asked for now.

Each is added once, however often a button is pressed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Annotated, Final, Literal

from pydantic import Field, StringConstraints
from sqlalchemy import Connection

from schemas.base import Part, hash16, iso
from schemas.exchange import Route
from services.api.http.problems import Problem, call_store
from services.evaluate.schedule import cause_of, next_fire
from services.evaluate.suite_library import suite_names
from services.monitor import Monitor
from services.monitor.known_routes import near_routes
from services.monitor.schema import ScheduleSection
from services.ports import Clock
from services.store import evaluation_queue, routes, runs, schedules, scores
from services.store import runs as store_runs
from services.store.engine import Database
from services.store.evaluation_queue import DueRun
from services.store.runs import RequestedRun
from services.store.schedules import LastFire, StoredSchedule

FireOutcome = Literal["not yet", "missed", "due", "running", "done", "failed"]
_WORST_FIRST: tuple[FireOutcome, ...] = ("running", "due", "failed", "done")


@dataclass(frozen=True, slots=True)
class ScheduleStatus:
    """One schedule.

    Attributes:
        next: its next fire time; None when it is switched off or never comes.
        last: the last fire time that was taken. outcome: what became of it. reason: why nothing, or nothing good.
        runs: what was run for it, one for each suite.
    """

    schedule: StoredSchedule
    next: datetime | None
    last: datetime | None
    outcome: FireOutcome
    reason: str | None
    runs: tuple[RequestedRun, ...]


def schedule_statuses(
    connection: Connection, globs: Sequence[str], after: tuple[str, str], most: int, now: datetime
) -> tuple[ScheduleStatus, ...]:
    """At most so many schedules of the globs' routes, by route and name, that follow the one of that key."""
    found = schedules.page(connection, globs, after, most)
    fires = schedules.last_fires(connection, (one.route for one in found))
    causes = {key: cause_of(one, fires[key].fire_time) for one in found if (key := (one.route, one.name)) in fires}
    asked_runs = store_runs.by_cause(connection, sorted(causes.values()))
    return tuple(
        _status(one, now, fires.get(key), asked_runs.get(causes.get(key, ""), ()))
        for one in found
        if (key := (one.route, one.name))
    )


def _status(
    one: StoredSchedule, now: datetime, fired: LastFire | None, runs: tuple[RequestedRun, ...]
) -> ScheduleStatus:
    following = next_fire(one, now)
    if fired is None:
        return ScheduleStatus(one, following, None, "not yet", None, ())
    if fired.missed is not None:
        return ScheduleStatus(one, following, fired.fire_time, "missed", fired.missed, ())
    worst = min(runs, key=lambda run: _WORST_FIRST.index(_outcome(run)), default=None)
    if worst is None:
        return ScheduleStatus(one, following, fired.fire_time, "done", "no suite was to be run", ())
    return ScheduleStatus(one, following, fired.fire_time, _outcome(worst), worst.reason, runs)


def _outcome(run: RequestedRun) -> FireOutcome:
    assert run.state != "missed"
    return run.state


SuiteName = Annotated[str, StringConstraints(min_length=1, max_length=200)]


class NewSchedule(ScheduleSection):
    """When suites of a route are to be run by the clock; without `suites` those of the route in the monitor file.

    A route that was never seen is refused unless it is said to be `new`.
    """

    route: Route
    new: bool = False
    suites: Annotated[tuple[SuiteName, ...], Field(min_length=1, max_length=20)] | None = Field(
        default=None, strict=False
    )


class NewRun(Part):
    """A run that is asked for now. The same `key` asks for the same run, however often it is sent."""

    route: Route
    suite: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    key: Annotated[str, StringConstraints(min_length=1, max_length=200)] | None = None


class EvaluationPlanner:
    """Writes what people plan."""

    def __init__(self, database: Database, clock: Clock, watched: Monitor | None = None) -> None:
        """A route that `watched` lists is known before its first exchange, as it is to the command line."""
        self._database, self.clock, self._watched = database, clock, watched or Monitor()

    async def add(self, wanted: NewSchedule, may_see: Callable[[str], bool] = lambda _: True) -> bool:
        """Write a schedule; False when the very same one was there already.

        Of a route that was never seen the refusal names near ones, of those that the caller `may_see`.

        Raises:
            Problem: 404 if there is no such route, 409 if it has another schedule of that name, 422 if a suite is none.
        """
        _check_suites(wanted.suites or ())
        return await call_store(
            lambda: self._database.transact(lambda connection: self._add(connection, wanted, may_see))
        )

    async def remove(self, route: str, name: str) -> None:
        """Delete a schedule that was not written in the monitor file.

        Raises:
            Problem: 404 if there is none, 409 if it stands in the monitor file.
        """
        await call_store(lambda: self._database.transact(lambda connection: _remove(connection, route, name)))

    async def ask(self, wanted: NewRun) -> tuple[RequestedRun, bool]:
        """Ask for a run now; whether it is a new one: one that is under way, or of the same key, is not.

        Raises:
            Problem: 404 if there is no such route, 409 if the suite was never asked of it.
        """
        return await call_store(lambda: self._database.transact(lambda connection: self._ask(connection, wanted)))

    def _add(self, connection: Connection, wanted: NewSchedule, may_see: Callable[[str], bool]) -> bool:
        is_known = wanted.new or self._watched.lists(wanted.route) or routes.exists(connection, wanted.route)
        if not is_known:
            raise unknown_route(near_routes(wanted.route, routes.names(connection), self._watched, may_see))
        planned = StoredSchedule(
            wanted.route,
            wanted.name,
            wanted.suites,
            wanted.cron,
            wanted.timezone,
            True,
            "command",
            self.clock(),
            wanted.overlap,
            wanted.catch_up,
        )
        if schedules.add(connection, planned):
            return True
        [there] = [one for one in schedules.find(connection, (wanted.route,)) if one.name == wanted.name]
        if replace(planned, origin=there.origin, enabled=there.enabled, since=there.since) == there:
            return False
        raise Problem(
            409, f"{wanted.route} has another schedule {wanted.name}; remove it first, or choose another name"
        )

    def _ask(self, connection: Connection, wanted: NewRun) -> tuple[RequestedRun, bool]:
        check_route_exists(connection, wanted.route)
        routes.lock(connection, [wanted.route])
        now = self.clock()
        target = {suite: target for _, suite, target in runs.targets(connection, (wanted.route,))}.get(wanted.suite)
        if target is None:
            raise Problem(409, f"suite {wanted.suite} was never run on {wanted.route}: {_TARGET_REMEDY}")
        cause = hash16(["requested", wanted.route, wanted.key or iso(now)])
        identity = scores.latest_identity(connection, wanted.route)
        due = DueRun(wanted.route, cause, "requested", identity, wanted.suite, target, 0, now)
        known = runs.get(connection, due.id) if wanted.key else None
        there = known or runs.unfinished(connection, wanted.route, wanted.suite, now)
        if there is not None:
            return there, False
        evaluation_queue.enqueue(connection, [due], now)
        written = runs.get(connection, due.id)
        assert written is not None
        return written, True


def check_route_exists(connection: Connection, route: str) -> None:
    """That the route is known.

    Raises:
        Problem: 404 if it is not.
    """
    if not routes.exists(connection, route):
        raise unknown_route()


def unknown_route(near: Sequence[str] = ()) -> Problem:
    """The answer to a route that does not exist for whoever asks; `near` are those that may be meant."""
    meant = f"; did you mean {' or '.join(near)}?" if near else ""
    return Problem(404, f"there is no such route: a route is known once exchanges of it arrived{meant}")


def _remove(connection: Connection, route: str, name: str) -> None:
    found = [one for one in schedules.find(connection, (route,)) if one.name == name]
    if not found:
        raise Problem(404, "there is no such schedule; GET /v1/schedules lists them")
    if found[0].origin == schedules.FILE:
        raise Problem(409, f"schedule {name} of {route} stands in the monitor file; remove it there")
    schedules.remove(connection, route, name)


def _check_suites(names: tuple[str, ...]) -> None:
    unknown = [name for name in names if name not in suite_names()]
    if unknown:
        remedy = f"no such suite: {unknown[0]}; GET /v1/suites lists them"
        raise Problem.of_field("suites", remedy)


_TARGET_REMEDY: Final = (
    "suites and target of a route stand in the monitor file, and are run first when its exchanges arrive"
)
