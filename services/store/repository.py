"""What people and listings read of the database, each answer of one consistent state."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from sqlalchemy import Connection

from schemas.incident import Incident
from schemas.reading import Reading
from schemas.sample import Sample
from services.store import (
    dead,
    dossier,
    evaluations,
    fleet,
    fleet_details,
    incidents,
    journal,
    marks,
    readings,
    rollups,
    routes,
    samples,
    standing,
)
from services.store.dead import Dead
from services.store.dossier import Dossier
from services.store.engine import Database, open_database
from services.store.evaluations import Evaluation
from services.store.fleet import Counts, Wanted
from services.store.fleet_details import Entry
from services.store.journal import Fact
from services.store.rollups import Rate
from services.store.standing import Standing
from services.store.visible import EVERYTHING

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

    def fleet(self, wanted: Wanted, offset: int, most: int) -> tuple[Counts, Counts, tuple[Entry, ...]]:
        """How all routes of the globs stand, how the wanted ones do, and so many of those from place `offset`."""
        with self.database.read() as connection:
            found = fleet_details.entries(connection, fleet.worst_first(connection, wanted, offset, most))
            everything = fleet.counts(connection, Wanted(wanted.globs))
            return everything, fleet.counts(connection, wanted), found

    def route_page(self, wanted: Wanted, after: str | None, most: int) -> tuple[Entry, ...]:
        """At most so many routes in the order of their names, which follow the one named `after`."""
        with self.database.read() as connection:
            return fleet_details.entries(connection, fleet.by_name(connection, wanted, after, most))

    def route(self, name: str) -> Entry | None:
        """How one route stands, or None."""
        with self.database.read() as connection:
            found = fleet.one(connection, name)
            return None if found is None else fleet_details.entries(connection, [found])[0]

    def marks(self) -> dict[str, str]:
        """Route -> a text that is another one once something of the route changed; dead letters are under ""."""
        with self.database.read() as connection:
            return marks.marks(connection)

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
            return incidents.page(connection, route, states, after, most, globs)

    def dossier(self, id: str) -> Dossier | None:
        """One incident with all that its page shows, or None."""
        with self.database.read() as connection:
            return dossier.read(connection, id)

    def rates(
        self, route: str, since: datetime | None = None, until: datetime | None = None, slice: str | None = ""
    ) -> tuple[Rate, ...]:
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

    def evaluations(self, route: str | None = None) -> tuple[Evaluation, ...]:
        """The runs of suites of one route or of all, in the order in which they are due."""
        with self.database.read() as connection:
            return evaluations.find(connection, route)

    def dead(self) -> tuple[Dead, ...]:
        """Dead letters counted by step, topic and reason."""
        with self.database.read() as connection:
            return dead.counts(connection)

    def dead_page(self, step: str | None, after: tuple[str, ...] | None, most: int) -> tuple[Dead, ...]:
        """At most so many of these counts, of one step or of all, that follow the key `after`."""
        with self.database.read() as connection:
            return dead.page(connection, step, after, most)

    def standing(self, now: datetime) -> Standing:
        """What waits and what failed, at `now` by the clock on the wall."""
        with self.database.read() as connection:
            return standing.read(connection, now)
