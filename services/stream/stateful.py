"""Handlers with a state per route, detect's and alert's: stepped in one thread, saved in one transaction.

A state is saved by compare-and-swap, so that two processes never both go on from the same one.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Final, Generic, Protocol, TypeVar

from sqlalchemy import Connection

from schemas.base import Record
from services.alert.state import AlertState
from services.detect import serialization
from services.detect.serialization import Detectors
from services.detect.state import DetectState
from services.failpoints import reach
from services.offload import WorkThread
from services.store import baselines, parks, step_states
from services.store.codec import pack, unpack
from services.store.engine import Conflict, Database
from services.store.parks import ParkBounds, ParkedRoute, ParkFault, Parking, Waiting
from services.stream.letter_keys import in_clear
from services.stream.messages import (
    Handled,
    OutgoingRecord,
    Seal,
    TopicMessage,
    Unread,
    dead_letters_of,
    decode_items,
    fitting,
)
from services.stream.parked_erasure import not_erased
from services.stream.parking import (
    NO_ROOM,
    RETRIED,
    RETRIED_BYTES,
    Item,
    fault_of,
    is_of_route,
    message_of,
    parked_record,
    release,
    take_again,
    take_in_order,
)
from services.stream.route_memory import MIB, MOST_BYTES, RouteMemory, give_back

DETECT: Final = "detect"
ALERT: Final = "alert"
_STEPPED_BYTES: Final = 16 * MIB
"""States that may go through one batch: each is there twice, before and after, until what it sent is on the broker."""
_UNKNOWN_BYTES: Final = 4 * MIB
"""What a state is taken to weigh while none is known: about what that of a route weighs at the end of its learning."""

S = TypeVar("S")


@dataclass(frozen=True, slots=True)
class RouteState(Generic[S]):
    """A route's state: as it is, as it was saved last (None: never), and that version.

    Attributes:
        park: where its records wait, as the database has it; None when they are taken.
        parking: what is to be written of that with the next snapshot. readable: false where the state cannot be read.
    """

    now: S
    saved: S | None = None
    version: int = 0
    park: ParkedRoute | None = None
    parking: Parking = field(default_factory=Parking)
    readable: bool = True

    @property
    def is_dirty(self) -> bool:
        """Whether a snapshot has something to write of it."""
        return self.now is not self.saved or bool(self.parking)

    @property
    def is_parked(self) -> bool:
        """Whether its records wait until they are tried again."""
        return self.park is not None or self.parking.fault is not None


class StateStore(Protocol[S]):
    """Loads and saves the states of one step, within a transaction of the caller."""

    def start(self, route: str) -> S:
        """The state of a route that was never seen."""

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

    cpu: WorkThread
    database: WorkThread


@dataclass(frozen=True, slots=True)
class HandlerResources:
    """What a step with a state works with. `cluster` asks the broker for its id.

    `tick` says that a piece of work is done, such as a route; `bounds` is how much of a route may wait; `seal` is what
    becomes of dead letters before they are sent.
    """

    database: Database
    threads: Threads
    cluster: Callable[[], Awaitable[str]]
    tick: Callable[[], object] = lambda: None
    bounds: ParkBounds = field(default_factory=ParkBounds)
    seal: Seal = in_clear


@dataclass(frozen=True, slots=True)
class _Turn(Generic[S]):
    """What a route's part of a batch became: its state, what is sent, what is left to the park, dead letters."""

    kept: RouteState[S]
    sent: tuple[OutgoingRecord, ...] = ()
    left: tuple[TopicMessage, ...] = ()
    dead: Unread = field(default_factory=list)
    repeated: int = 0


class Stateful(Generic[S]):
    """A step with a state per route. Routes that are not dirty leave memory when there are too many.

    A route on which it fails is parked: its records go into the database with the next snapshot, in the transaction
    of the states, so that one that is delivered again finds the same route in the same place.
    """

    every = 1.0
    batch = 64

    def __init__(
        self,
        name: str,
        advance: Advance[S],
        store: StateStore[S],
        tools: HandlerResources,
        repeated: Repeated[S] = lambda *_: 0,
        memory: int = MOST_BYTES,
    ) -> None:
        """`advance` is the pure core of the step; `repeated` tells how much it had taken in before.

        `memory` is about how many bytes of states may stay in memory.
        """
        self._repeated = repeated
        self.name = name
        self._advance = advance
        self._store = store
        self._tools = tools
        self._database = tools.database
        self._threads = tools.threads
        self._cluster = tools.cluster
        self._routes: RouteMemory[RouteState[S]] = RouteMemory(memory)
        self._condemned: dict[str, ParkFault] = {}

    @property
    def is_crowded(self) -> bool:
        """Whether so much is in memory that a snapshot is due, after which some of it leaves."""
        return self._routes.is_crowded

    def fits(self, messages: Sequence[TopicMessage]) -> int:
        """As many as are of so many routes as may be taken through a batch, each as heavy as the heaviest in memory."""
        most = max(1, _STEPPED_BYTES // (self._routes.heaviest or _UNKNOWN_BYTES))
        seen: set[bytes | int] = set()
        for n, message in enumerate(messages):
            seen.add(message.key or n)
            if len(seen) > most:
                return n
        return len(messages)

    @property
    def states(self) -> Mapping[str, S]:
        """The routes in memory, for people to look at."""
        return {route: kept.now for route, kept in self._routes.items()}

    async def handle(self, messages: Sequence[TopicMessage]) -> Handled:
        """Step every route of the batch through its records; nothing changes before all of it was sent."""
        cpu, database = self._threads.cpu, self._threads.database
        items, unread = await cpu.run(partial(decode_items, messages))
        by_route = _by_route(await database.run(partial(not_erased, self._database, items)))
        unknown = [route for route in by_route if route not in self._routes]
        loaded = await database.run(partial(self._load, unknown)) if unknown else {}
        before = {route: self._routes.get(route) or loaded[route] for route in by_route}
        turns = await cpu.run(partial(self._step, before, by_route))
        if any(turn.left for turn in turns.values()):
            turns = await database.run(partial(self._find_room, turns))
        return await self._handled(turns, unread)

    async def resume(self) -> Handled | None:
        """Take up again what waits of one route that is to be tried again; None when there is none."""
        cpu, database = self._threads.cpu, self._threads.database
        waiting = await database.run(self._due)
        if waiting is None:
            return None
        route = waiting.park.route
        kept = (await database.run(partial(self._load, [route])))[route]
        turn = await cpu.run(partial(self._again, route, kept, waiting))
        return await self._handled({route: turn}, [])

    async def snapshot(self) -> None:
        """Save all dirty routes in one transaction.

        Raises:
            Conflict: if another process saved in between, or a state cannot be saved: its route is parked next.
        """
        dirty = {route: kept for route, kept in self._routes.items() if kept.is_dirty}
        if dirty:
            saved = await self._threads.database.run(partial(self._save, dirty))
            if self._routes.saved(saved):
                await self._threads.cpu.run(give_back)
            for route in saved:
                self._condemned.pop(route, None)

    def forget(self) -> None:
        """Drop every route: it is loaded again when it is seen next."""
        self._routes.clear()

    async def _handled(self, turns: Mapping[str, _Turn[S]], unread: Unread) -> Handled:
        dead = [*unread, *(letter for turn in turns.values() for letter in turn.dead)]
        letters = await dead_letters_of(dead, self.name, self._cluster, self._tools.seal)
        sent = [record for turn in turns.values() for record in turn.sent]
        after = {route: turn.kept for route, turn in turns.items()}
        return Handled([*letters, *sent], partial(self._keep, after), sum(turn.repeated for turn in turns.values()))

    def _load(self, routes: Sequence[str]) -> dict[str, RouteState[S]]:
        with self._database.read() as connection:
            parked = parks.standing(connection, self.name, routes)
            return {route: self._load_one(connection, route, parked.get(route)) for route in routes}

    def _load_one(self, connection: Connection, route: str, park: ParkedRoute | None) -> RouteState[S]:
        """One that cannot be read is parked like one whose records cannot be taken, and stays as it is stored."""
        try:
            return replace(self._store.load(connection, route), park=park)
        except Exception as error:
            if not is_of_route(error):
                raise
            start, version = self._store.start(route), step_states.version_of(connection, self.name, route)
            self._condemned.setdefault(route, fault_of(self.name, route, error, tries=0))
            return RouteState(start, start, version, park, readable=False)

    def _save(self, dirty: Mapping[str, RouteState[S]]) -> dict[str, RouteState[S]]:
        def work(connection: Any) -> dict[str, RouteState[S]]:
            saved = {route: self._save_one(connection, route, dirty[route]) for route in sorted(dirty)}
            reach("inside-snapshot-transaction", self.name)
            return saved

        try:
            return self._database.transact(work)
        except Exception as error:
            if not is_of_route(error):
                raise
        for route, kept in sorted(dirty.items()):
            try:
                self._database.transact(partial(self._save_one, route=route, kept=kept))
            except Exception as error:
                if not is_of_route(error):
                    raise
                self._condemned[route] = fault_of(self.name, route, error)
        raise Conflict(f"{self.name}: {len(self._condemned)} routes cannot be saved, and are parked")

    def _save_one(self, connection: Connection, route: str, kept: RouteState[S]) -> RouteState[S]:
        """State and park in one transaction; the state's version moves with both, so that they go together."""
        if kept.readable and route not in self._condemned:
            version = self._store.save(connection, route, kept)
        else:  # it stays as it is stored
            version = step_states.touch(connection, self.name, route, kept.version)
        park = kept.park
        if kept.parking:
            parks.write(connection, self.name, route, kept.parking)
            park = parks.standing(connection, self.name, [route]).get(route)
        self._tools.tick()
        return RouteState(kept.now, kept.now, version, park, readable=kept.readable)

    def _step(self, before: Mapping[str, RouteState[S]], items: Mapping[str, Sequence[Item]]) -> dict[str, _Turn[S]]:
        return {route: self._take(route, kept, items[route]) for route, kept in before.items()}

    def _take(self, route: str, kept: RouteState[S], items: Sequence[Item]) -> _Turn[S]:
        """Take the route's records; from the one that fails on they are left to the park, and so are later ones."""
        fault = self._condemned.get(route)
        if fault is not None or kept.is_parked:
            mine = None if kept.is_parked else fault
            parking = replace(kept.parking, fault=kept.parking.fault or mine)
            return _Turn(replace(kept, parking=parking), left=tuple(message for message, _ in items))
        so_far: tuple[S, tuple[OutgoingRecord, ...]] = (kept.now, ())
        taken = take_in_order(self.name, route, so_far, items, partial(self._advanced, route))
        self._tools.tick()
        state, sent = taken.state
        done = [record for _, record in items[: taken.n]]
        after = replace(kept, now=state, parking=replace(kept.parking, fault=taken.fault))
        left = tuple(message for message, _ in items[taken.n :])
        return _Turn(after, sent, left, repeated=self._repeated(kept.now, state, done))

    def _advanced(
        self, route: str, so_far: tuple[S, tuple[OutgoingRecord, ...]], records: Sequence[Record]
    ) -> tuple[S, tuple[OutgoingRecord, ...]]:
        """One record further, with what is sent.

        Raises:
            OversizedRecord: if no topic would take something of that: the route is parked, and nothing else stands.
        """
        state, sent = so_far
        after, made = self._advance(route, state, records)
        return after, (*sent, *map(fitting, made))

    def _find_room(self, turns: Mapping[str, _Turn[S]]) -> dict[str, _Turn[S]]:
        """What is left to a park joins it with the next snapshot; what finds no room there becomes dead letters."""
        with self._database.read() as connection:
            return {route: self._roomed(connection, route, turn) for route, turn in turns.items()}

    def _roomed(self, connection: Connection, route: str, turn: _Turn[S]) -> _Turn[S]:
        if not turn.left:
            return turn
        records = [parked_record(message) for message in turn.left]
        parking = turn.kept.parking
        found = parks.room(connection, self.name, route, records, parking.records, self._tools.bounds)
        joined = replace(parking, records=(*parking.records, *found.fitting), beyond=parking.beyond + len(found.beyond))
        dead = [(message_of(record), NO_ROOM) for record in found.beyond]
        return replace(turn, kept=replace(turn.kept, parking=joined), dead=dead)

    def _due(self) -> Waiting | None:
        with self._database.read() as connection:
            park = parks.due(connection, self.name, release())
            kept = None if park is None else self._routes.get(park.route)
            if park is None or (kept is not None and kept.is_dirty):  # it is saved in a moment
                return None
            return parks.waiting(connection, park, RETRIED, RETRIED_BYTES)

    def _again(self, route: str, kept: RouteState[S], waiting: Waiting) -> _Turn[S]:
        held = self._condemned.pop(route, None)
        if held is not None:  # the state cannot be read, or what became of it cannot be saved
            return _Turn(replace(kept, parking=Parking(fault=held)))
        so_far: tuple[S, tuple[OutgoingRecord, ...]] = (kept.now, ())
        taken = take_again(self.name, so_far, waiting, partial(self._advanced, route))
        state, sent = taken.state
        through = waiting.records[taken.n - 1][0] if taken.n else None
        parking = Parking(fault=taken.fault, through=through)
        return _Turn(replace(kept, now=state, parking=parking), sent, dead=list(taken.dead))

    def _keep(self, after: Mapping[str, RouteState[S]]) -> None:
        self._routes.use(after)


def _by_route(items: Sequence[Item]) -> dict[str, list[Item]]:
    by_route: dict[str, list[Item]] = {}
    for message, record in items:
        by_route.setdefault(_route(record), []).append((message, record))
    return by_route


def _route(record: Record) -> str:
    route = getattr(record, "route", None)
    assert isinstance(route, str)
    return route


class AlertStateStore:
    """A few KB a route, written whole."""

    def start(self, route: str) -> AlertState:
        """The state of a route that was never seen."""
        return AlertState.start(route)

    def load(self, connection: Connection, route: str) -> RouteState[AlertState]:
        """The state of a route; of a route that was never saved, its start."""
        found = step_states.load(connection, ALERT, route)
        if found is None:
            return RouteState(self.start(route))
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

    def start(self, route: str) -> DetectState:
        """The state of a route that was never seen."""
        return DetectState.start(route)

    def load(self, connection: Connection, route: str) -> RouteState[DetectState]:
        """The state of a route; of a route that was never saved, its start."""
        found = step_states.load(connection, DETECT, route)
        if found is None:
            return RouteState(self.start(route))

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
        for id, data in serialization.artefact_writes(kept.saved, kept.now).items():
            baselines.put(connection, route, id, data)
        for id in serialization.artefact_drops(kept.saved, kept.now):
            baselines.discard(connection, id)
        return version
