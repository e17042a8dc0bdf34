"""Handlers with a state per route, detect's and alert's: stepped in one thread, saved in one transaction.

A state is saved by compare-and-swap, so that two processes never both go on from the same one.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Generic, Protocol, TypeVar

from sqlalchemy import Connection

from schemas.base import Record
from services.alert.state import AlertState
from services.detect import serialization
from services.detect.serialization import Detectors
from services.detect.state import DetectState
from services.failpoints import reach
from services.offload import Offload
from services.store import baselines, step_states
from services.store.codec import pack, unpack
from services.store.engine import Database
from services.stream.messages import (
    Handled,
    OutgoingRecord,
    TopicMessage,
    Unread,
    dead_letters_of,
    decode_messages,
    outgoing,
)

DETECT: Final = "detect"
ALERT: Final = "alert"
_ROUTES_IN_MEMORY: Final = 1024

S = TypeVar("S")


@dataclass(frozen=True, slots=True)
class RouteState(Generic[S]):
    """A route's state: as it is, as it was saved last (None: never), and that version."""

    now: S
    saved: S | None = None
    version: int = 0


class StateStore(Protocol[S]):
    """Loads and saves the states of one step, within a transaction of the caller."""

    def load(self, connection: Any, route: str) -> RouteState[S]:
        """The state of a route; of a route that was never saved, its start."""

    def save(self, connection: Any, route: str, kept: RouteState[S]) -> int:
        """Save it by compare-and-swap; its new version.

        Raises:
            Conflict: if another process saved in between.
        """


Advance = Callable[[str, S, Sequence[Record]], tuple[S, Sequence[Record]]]
"""(route, state, its records in order) -> (state, what is sent)."""


Repeated = Callable[[S, S, Sequence[Record]], int]
"""(state before, state after, the records in between) -> how much of them had been taken in before."""


@dataclass(frozen=True, slots=True)
class Threads:
    """Where blocking work goes: one thread for CPU, one for the database."""

    cpu: Offload
    database: Offload


@dataclass(frozen=True, slots=True)
class HandlerResources:
    """What a step with a state works with. `cluster` asks the broker for its id."""

    database: Database
    threads: Threads
    cluster: Callable[[], Awaitable[str]]


class Stateful(Generic[S]):
    """A step with a state per route. Routes that are not dirty leave memory when there are too many."""

    every = 1.0
    batch = 64

    def __init__(
        self,
        name: str,
        advance: Advance[S],
        store: StateStore[S],
        tools: HandlerResources,
        repeated: Repeated[S] = lambda *_: 0,
    ) -> None:
        """`advance` is the pure core of the step; `repeated` tells how much it had taken in before."""
        self._repeated = repeated
        self.name = name
        self._advance = advance
        self._store = store
        self._database = tools.database
        self._threads = tools.threads
        self._cluster = tools.cluster
        self._routes: OrderedDict[str, RouteState[S]] = OrderedDict()

    @property
    def states(self) -> Mapping[str, S]:
        """The routes in memory, for people to look at."""
        return {route: kept.now for route, kept in self._routes.items()}

    async def handle(self, messages: Sequence[TopicMessage]) -> Handled:
        """Step every route of the batch through its records; nothing changes before all of it was sent."""
        cpu, database = self._threads.cpu, self._threads.database
        by_route, unread = await cpu.run(partial(self._decode, messages))
        unknown = [route for route in by_route if route not in self._routes]
        loaded = await database.run(partial(self._load, unknown)) if unknown else {}
        before = {route: self._routes.get(route) or loaded[route] for route in by_route}
        after, sent = await cpu.run(partial(self._step, before, by_route))
        dead = await dead_letters_of(unread, self.name, self._cluster)
        repeated = sum(self._repeated(before[route].now, after[route].now, by_route[route]) for route in after)
        return Handled([*dead, *sent], partial(self._keep, after), repeated)

    async def snapshot(self) -> None:
        """Save all dirty routes in one transaction."""
        dirty = {route: kept for route, kept in self._routes.items() if kept.now is not kept.saved}
        if dirty:
            versions = await self._threads.database.run(partial(self._save, dirty))
            for route, version in versions.items():
                state = dirty[route].now
                self._routes[route] = RouteState(state, state, version)
        while len(self._routes) > _ROUTES_IN_MEMORY:
            self._routes.popitem(last=False)

    def forget(self) -> None:
        """Drop every route: it is loaded again when it is seen next."""
        self._routes.clear()

    def _decode(self, messages: Sequence[TopicMessage]) -> tuple[dict[str, list[Record]], Unread]:
        records, unread = decode_messages(messages)
        by_route: dict[str, list[Record]] = {}
        for record in records:
            by_route.setdefault(_route(record), []).append(record)
        return by_route, unread

    def _load(self, routes: Sequence[str]) -> dict[str, RouteState[S]]:
        with self._database.read() as connection:
            return {route: self._store.load(connection, route) for route in routes}

    def _save(self, dirty: Mapping[str, RouteState[S]]) -> dict[str, int]:
        def work(connection: Any) -> dict[str, int]:
            versions = {route: self._store.save(connection, route, dirty[route]) for route in sorted(dirty)}
            reach("inside-snapshot-transaction", self.name)
            return versions

        return self._database.transact(work)

    def _step(
        self, before: Mapping[str, RouteState[S]], records: Mapping[str, Sequence[Record]]
    ) -> tuple[dict[str, RouteState[S]], list[OutgoingRecord]]:
        after: dict[str, RouteState[S]] = {}
        sent: list[OutgoingRecord] = []
        for route, kept in before.items():
            state, made = self._advance(route, kept.now, records[route])
            after[route] = RouteState(state, kept.saved, kept.version)
            sent += [outgoing(record) for record in made]
        return after, sent

    def _keep(self, after: Mapping[str, RouteState[S]]) -> None:
        for route, kept in after.items():
            self._routes[route] = kept
            self._routes.move_to_end(route)


def _route(record: Record) -> str:
    route = getattr(record, "route", None)
    assert isinstance(route, str)
    return route


class AlertStateStore:
    """A few KB a route, written whole."""

    def load(self, connection: Connection, route: str) -> RouteState[AlertState]:
        """The state of a route; of a route that was never saved, its start."""
        found = step_states.load(connection, ALERT, route)
        if found is None:
            return RouteState(AlertState.start(route))
        state = unpack(AlertState, found[1])
        return RouteState(state, state, found[0])

    def save(self, connection: Connection, route: str, kept: RouteState[AlertState]) -> int:
        """Save it; its new version."""
        return step_states.save(connection, ALERT, route, kept.version, pack(kept.now))


class DetectStateStore:
    """The running state with every snapshot, candidate rows as they come, a baseline's artefact once."""

    def __init__(self, detectors: Detectors) -> None:
        """`detectors` are those whose states and artefacts may be read."""
        self._detectors = detectors

    def load(self, connection: Connection, route: str) -> RouteState[DetectState]:
        """The state of a route; of a route that was never saved, its start."""
        found = step_states.load(connection, DETECT, route)
        if found is None:
            return RouteState(DetectState.start(route))

        def artefact(id: str) -> bytes | None:
            return baselines.load(connection, id)

        rows = baselines.candidates(connection, route)
        state = serialization.restore_state(self._detectors, found[1], rows, artefact)
        return RouteState(state, state, found[0])

    def save(self, connection: Connection, route: str, kept: RouteState[DetectState]) -> int:
        """Save it; its new version. The swap comes first: who loses it must write nothing."""
        version = step_states.save(connection, DETECT, route, kept.version, serialization.pack_running_state(kept.now))
        rows = serialization.candidate_writes(kept.saved, kept.now)
        if rows.afresh:
            baselines.drop_candidates(connection, route)
        for key, data in rows.rows.items():
            baselines.put_candidates(connection, route, key, data)
        pinned, before = kept.now.pinned, None if kept.saved is None else kept.saved.pinned
        if pinned is not None and (before is None or before.id != pinned.id):
            baselines.put(connection, route, pinned.id, serialization.pack_artefacts(pinned))
        return version
