"""Read side of the database for the API and listings (pass-throughs; to be deleted, see notes).

What people and listings read of the database, each answer of one consistent state.

What people decided, baselines and silences: each answer of one state of the database.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar

from sqlalchemy import Connection, func, select

from schemas.decision import Decision
from schemas.incident import Incident
from schemas.reading import Reading
from schemas.sample import Sample
from services.store import (
    backlog,
    change_marks,
    dead_letters,
    decisions,
    evaluation_queue,
    fleet,
    incidents,
    journal,
    readings,
    rollups,
    routes,
    samples,
    step_states,
)
from services.store import baselines as store_baselines
from services.store.backlog import Backlog
from services.store.baselines import (
    PinnedBaseline,
    RouteBaselines,
    pinned_baselines,
    route_baselines,
)
from services.store.dead_letters import DeadLetterCount
from services.store.decisions import DecisionFilter, RecordedDecision
from services.store.engine import Database, open_database
from services.store.evaluation_queue import QueuedRun
from services.store.fleet import FleetCounts, FleetEntry, FleetFilter
from services.store.incidents import IncidentDetails, IncidentFilter, IncidentPlace
from services.store.journal import Fact
from services.store.rollups import RollupPoint, RollupRate
from services.store.routes import RouteRow
from services.store.tables import EVERYTHING, table, visible

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Repository:
    """The read side of an open database."""

    database: Database

    @classmethod
    def open(cls, url: str) -> Repository:
        """Open a database that exists, for a listing.

        Raises:
            StoreError: if there is none, or it cannot be used; the message names the remedy.
        """
        return cls(open_database(url, create=False))

    def read(self, work: Callable[[Connection], T]) -> T:
        """What `work` finds in one state of the database."""
        with self.database.read() as connection:
            return work(connection)

    def routes(self) -> tuple[str, ...]:
        """All routes, sorted."""
        with self.database.read() as connection:
            return routes.names(connection)

    def fleet(
        self, wanted: FleetFilter, offset: int, most: int
    ) -> tuple[FleetCounts, FleetCounts, tuple[FleetEntry, ...]]:
        """How all routes of the globs stand, how the wanted ones do, and so many of those from place `offset`."""
        with self.database.read() as connection:
            found = fleet.entries(connection, fleet.worst_first(connection, wanted, offset, most))
            everything = fleet.counts(connection, FleetFilter(wanted.globs))
            return everything, fleet.counts(connection, wanted), found

    def route_page(self, wanted: FleetFilter, after: str | None, most: int) -> tuple[FleetEntry, ...]:
        """At most so many routes in the order of their names, which follow the one named `after`."""
        with self.database.read() as connection:
            return fleet.entries(connection, fleet.by_name(connection, wanted, after, most))

    def route(self, name: str) -> FleetEntry | None:
        """How one route stands, or None."""
        with self.database.read() as connection:
            found = fleet.get(connection, name)
            return None if found is None else fleet.entries(connection, [found])[0]

    def marks(self) -> dict[str, str]:
        """Route -> a text that is another one once something of the route changed; dead letters are under ""."""
        with self.database.read() as connection:
            return change_marks.read(connection)

    def incidents(self, route: str | None = None, states: Sequence[str] | None = None) -> tuple[Incident, ...]:
        """The incidents of one route or of all, in these states or all, in the order of their opening."""
        with self.database.read() as connection:
            return incidents.find(connection, route, states)

    def incident(self, id: str) -> Incident | None:
        """One incident, or None."""
        with self.database.read() as connection:
            return incidents.get(connection, id)

    def incident_page(
        self,
        route: str | None,
        states: Sequence[str] | None,
        after: tuple[datetime, str] | None,
        most: int,
        globs: Sequence[str] = EVERYTHING,
    ) -> tuple[Incident, ...]:
        """At most so many incidents of the globs' routes, newest first, that follow this time of opening and id."""
        with self.database.read() as connection:
            return incidents.page_newest(connection, route, states, after, most, globs)

    def dossier(self, id: str) -> IncidentDetails | None:
        """One incident with all that its page shows, or None."""
        with self.database.read() as connection:
            return incidents.details(connection, id)

    def rates(
        self, route: str, since: datetime | None = None, until: datetime | None = None, slice: str | None = ""
    ) -> tuple[RollupRate, ...]:
        """Rates in [since, until) by identity, slice and signal; `slice=None` gives all slices."""
        with self.database.read() as connection:
            return rollups.rates(connection, route, since, until, slice)

    def samples(self, route: str, ids: Iterable[str]) -> dict[str, Sample]:
        """Exchange id -> its sample; an exchange whose text was not kept is not in it."""
        with self.database.read() as connection:
            return samples.by_id(connection, route, ids)

    def readings(self, route: str) -> tuple[Reading, ...]:
        """The newest reading of each stream of the route."""
        with self.database.read() as connection:
            return readings.latest(connection, route)

    def facts(self, route: str) -> tuple[Fact, ...]:
        """The facts of the route in the order of their arrival."""
        with self.database.read() as connection:
            return journal.facts(connection, route)

    def verify_chain(self, route: str) -> tuple[str, ...]:
        """What is wrong with the route's journal, in words; empty when nothing is."""
        with self.database.read() as connection:
            return journal.verify_chain(connection, route)

    def evaluations(self, route: str | None = None) -> tuple[QueuedRun, ...]:
        """The runs of suites of one route or of all, in the order in which they are due."""
        with self.database.read() as connection:
            return evaluation_queue.find(connection, route)

    def dead(self) -> tuple[DeadLetterCount, ...]:
        """Dead letters counted by step, topic and reason."""
        with self.database.read() as connection:
            return dead_letters.counts(connection)

    def dead_page(self, step: str | None, after: tuple[str, ...] | None, most: int) -> tuple[DeadLetterCount, ...]:
        """At most so many of these counts, of one step or of all, that follow the key `after`."""
        with self.database.read() as connection:
            return dead_letters.page(connection, step, after, most)

    def standing(self, now: datetime) -> Backlog:
        """What waits and what failed, at `now` by the clock on the wall."""
        with self.database.read() as connection:
            return backlog.read(connection, now)


_ROUTES = table(RouteRow)

DecisionPlace = tuple[datetime, str] | None


@dataclass(frozen=True, slots=True)
class Ledger:
    """The read side of decisions, baselines and silences."""

    database: Database

    def decisions(self, wanted: DecisionFilter, after: DecisionPlace, most: int) -> tuple[RecordedDecision, ...]:
        """At most so many decisions, newest first, that follow this time and id."""
        with self.database.read() as connection:
            return decisions.page(connection, wanted, after, most)

    def baselines(self, globs: Sequence[str], after: DecisionPlace, most: int) -> tuple[PinnedBaseline, ...]:
        """At most so many baselines, pinned last first, that follow this time and id."""
        with self.database.read() as connection:
            return pinned_baselines(connection, store_baselines.pinnings(connection, globs, after, most))

    def baseline(self, id: str) -> PinnedBaseline | None:
        """One baseline."""
        with self.database.read() as connection:
            change = store_baselines.pinning_of(connection, id)
            return None if change is None else pinned_baselines(connection, [change])[0]

    def standings(
        self, globs: Sequence[str], after: str, most: int, within: Sequence[str] = EVERYTHING
    ) -> tuple[RouteBaselines, ...]:
        """At most so many routes by name, of those that fit a glob of either, that follow the one of this name."""
        route = _ROUTES.c.route
        query = select(route).where(visible(route, globs), visible(route, within), route > after)
        with self.database.read() as connection:
            names = connection.execute(query.order_by(_ROUTES.c.route).limit(most)).scalars().all()
            return route_baselines(connection, names)

    def seen(self, route: str) -> tuple[Decision | None, str | None, bool]:
        """The newest decision that is kept in the outbox, the pinned baseline, and whether an incident is open."""
        with self.database.read() as connection:
            newest = decisions.of_route(connection, route)[-1:]
            change = store_baselines.current_pinnings(connection, [route]).get(route)
            is_open = incidents.count(connection, IncidentFilter((route,), ("open", "acknowledged", "snoozed"))) > 0
            return (newest[0] if newest else None), (None if change is None else change.baseline), is_open

    def state(self, step: str, route: str) -> bytes | None:
        """The running state of a step."""
        with self.database.read() as connection:
            found = step_states.load(connection, step, route)
            return None if found is None else found[1]

    def incidents(
        self, wanted: IncidentFilter, after: IncidentPlace | None, most: int
    ) -> tuple[tuple[Incident, ...], int]:
        """At most so many incidents that follow that place, and how many there are in all."""
        with self.database.read() as connection:
            return incidents.page(connection, wanted, after, most), incidents.count(connection, wanted)

    def clock(self, route: str) -> datetime | None:
        """The time of the route's newest exchange."""
        with self.database.read() as connection:
            return routes.clock(connection, route)

    def course(
        self, route: str, window: tuple[datetime, datetime], step: timedelta, slice: str, signal: str
    ) -> tuple[RollupPoint, ...]:
        """One signal of one slice over the window, a point a step."""
        with self.database.read() as connection:
            return rollups.points(connection, route, window, step, slice=slice, signal=signal)

    def routes(self, globs: Sequence[str]) -> int:
        """How many routes there are."""
        query = select(func.count()).select_from(_ROUTES).where(visible(_ROUTES.c.route, globs))
        with self.database.read() as connection:
            return int(connection.execute(query).scalar_one())
