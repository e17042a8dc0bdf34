"""What people decided, baselines and silences: each answer of one state of the database."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection, func, select

from schemas.change import Change
from schemas.decision import Decision
from schemas.incident import Incident
from schemas.reading import Reading
from services.store import decided, decisions, listing, pinned, rollups, routes, states
from services.store.decided import Decided, Filter
from services.store.engine import Database
from services.store.listing import Place, Wanted
from services.store.readings import learning_of
from services.store.rollups import Point
from services.store.tables import Route, table
from services.store.visible import EVERYTHING, visible

MOST_SILENCES: Final = 1_000
_MOST_ACCEPTED: Final = 1_000
_ROUTES = table(Route)

After = tuple[datetime, str] | None


@dataclass(frozen=True, slots=True)
class Baseline:
    """A baseline that was pinned.

    Attributes:
        change: that it was pinned: when, of whom, and with which rates and budget.
        is_current: whether its route is held against it. decided: who accepted it; None when it was learned first.
        size: of its artefact in bytes, None when it is not stored here.
    """

    change: Change
    is_current: bool
    decided: Decided | None
    size: int | None


@dataclass(frozen=True, slots=True)
class Standing:
    """A route: its baseline, what it is learning, what silences it."""

    route: str
    baseline: Baseline | None
    learning: Reading | None
    silences: tuple[Decided, ...]


@dataclass(frozen=True, slots=True)
class Ledger:
    """The read side of decisions, baselines and silences."""

    database: Database

    def decisions(self, wanted: Filter, after: After, most: int) -> tuple[Decided, ...]:
        """At most so many decisions, newest first, that follow this time and id."""
        with self.database.read() as connection:
            return decided.page(connection, wanted, after, most)

    def baselines(self, globs: Sequence[str], after: After, most: int) -> tuple[Baseline, ...]:
        """At most so many baselines, pinned last first, that follow this time and id."""
        with self.database.read() as connection:
            return _baselines(connection, pinned.page(connection, globs, after, most))

    def baseline(self, id: str) -> Baseline | None:
        """One baseline."""
        with self.database.read() as connection:
            change = pinned.get(connection, id)
            return None if change is None else _baselines(connection, [change])[0]

    def standings(
        self, globs: Sequence[str], after: str, most: int, within: Sequence[str] = EVERYTHING
    ) -> tuple[Standing, ...]:
        """At most so many routes by name, of those that fit a glob of either, that follow the one of this name."""
        route = _ROUTES.c.route
        query = select(route).where(visible(route, globs), visible(route, within), route > after)
        with self.database.read() as connection:
            names = connection.execute(query.order_by(_ROUTES.c.route).limit(most)).scalars().all()
            return _standings(connection, names)

    def seen(self, route: str) -> tuple[Decision | None, str | None, bool]:
        """The newest decision that is kept in the outbox, the pinned baseline, and whether an incident is open."""
        with self.database.read() as connection:
            newest = decisions.of_route(connection, route)[-1:]
            change = pinned.current(connection, [route]).get(route)
            is_open = listing.count(connection, Wanted((route,), ("open", "acknowledged", "snoozed"))) > 0
            return (newest[0] if newest else None), (None if change is None else change.baseline), is_open

    def state(self, step: str, route: str) -> bytes | None:
        """The running state of a step."""
        with self.database.read() as connection:
            found = states.load(connection, step, route)
            return None if found is None else found[1]

    def incidents(self, wanted: Wanted, after: Place | None, most: int) -> tuple[tuple[Incident, ...], int]:
        """At most so many incidents that follow that place, and how many there are in all."""
        with self.database.read() as connection:
            return listing.page(connection, wanted, after, most), listing.count(connection, wanted)

    def clock(self, route: str) -> datetime | None:
        """The time of the route's newest exchange."""
        with self.database.read() as connection:
            return routes.clock(connection, route)

    def course(
        self, route: str, window: tuple[datetime, datetime], step: timedelta, slice: str, signal: str
    ) -> tuple[Point, ...]:
        """One signal of one slice over the window, a point a step."""
        with self.database.read() as connection:
            return rollups.points(connection, route, window, step, slice=slice, signal=signal)

    def routes(self, globs: Sequence[str]) -> int:
        """How many routes there are."""
        query = select(func.count()).select_from(_ROUTES).where(visible(_ROUTES.c.route, globs))
        with self.database.read() as connection:
            return int(connection.execute(query).scalar_one())


def _standings(connection: Connection, names: Sequence[str]) -> tuple[Standing, ...]:
    if not names:
        return ()
    current = pinned.current(connection, names)
    baselines = {one.change.route: one for one in _baselines(connection, list(current.values()))}
    learning = learning_of(connection, names)
    silences = decided.page(connection, Filter(tuple(names), kinds=("silence",)), None, MOST_SILENCES)
    return tuple(
        Standing(
            name,
            baselines.get(name),
            learning.get(name),
            tuple(one for one in silences if one.decision.route == name),
        )
        for name in names
    )


def _baselines(connection: Connection, changes: Sequence[Change]) -> tuple[Baseline, ...]:
    names = sorted({change.route for change in changes})
    if not names:
        return ()
    current = pinned.current(connection, names)
    accepted = decided.page(connection, Filter(tuple(names), kinds=("accept_baseline",)), None, _MOST_ACCEPTED)
    sizes = pinned.sizes(connection, [change.baseline for change in changes if change.baseline is not None])
    return tuple(
        Baseline(
            change,
            current[change.route].id == change.id,
            _accepted(change, accepted),
            sizes.get(change.baseline or ""),
        )
        for change in changes
    )


def _accepted(change: Change, accepted: Sequence[Decided]) -> Decided | None:
    """The newest acceptance that it can follow; the first baseline of a route follows none."""
    if change.from_identity is None:
        return None
    before = (one for one in accepted if one.decision.route == change.route and one.decision.ts <= change.ts)
    return next(before, None)
