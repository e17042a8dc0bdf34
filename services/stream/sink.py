"""Steps that write into the database and send nothing: what comes again changes nothing.

A batch is applied whole; where that fails each route is applied alone, and one on which it still fails is parked.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from sqlalchemy import Connection

from schemas.base import Record
from schemas.dead_letter import DeadLetter
from schemas.topics import dead_topics
from services.store import parks
from services.store.engine import Conflict
from services.store.parks import ParkedRecord, ParkedRoute, ParkFault, Parking, Waiting
from services.stream.messages import Handled, OutgoingRecord, TopicMessage, Unread, dead_letters_of, decode_items
from services.stream.parked_erasure import not_erased
from services.stream.parking import (
    NO_ROOM,
    RETRIED,
    RETRIED_BYTES,
    Item,
    is_of_route,
    message_of,
    parked_record,
    release,
    take_again,
    take_in_order,
)
from services.stream.stateful import HandlerResources

LOG: Final = logging.getLogger("keelwatch.stream")
_DEAD_LETTER_TOPICS: Final = frozenset(topic.name for topic in dead_topics())
_NO_ROUTE: Final = ""


class Occupied(OSError):  # noqa: N818
    """Another process records the same routes at this moment: an OSError, since it is waited for like a dependency."""


@dataclass(slots=True)
class _Remainder:
    """What is left of a batch: for each route why it is parked now (None: it was before) and its messages."""

    routes: dict[str, tuple[ParkFault | None, list[TopicMessage]]] = field(default_factory=dict)
    dead: Unread = field(default_factory=list)


class SinkHandler:
    """Applies batches. Messages are acknowledged once all of a batch is in the database, applied or parked."""

    batch = 128
    every = 0.0
    is_crowded = False

    def __init__(self, name: str, apply: Callable[[Sequence[Record]], None], tools: HandlerResources) -> None:
        """`apply` writes records to the database, all of them or, when it raises, none."""
        self.name = name
        self._apply = apply
        self._tools = tools
        self._threads = tools.threads
        self._resumed: list[tuple[ParkedRoute, Parking]] = []

    def fits(self, messages: Sequence[TopicMessage]) -> int:
        """All of them: nothing of a route is in memory."""
        return len(messages)

    async def handle(self, messages: Sequence[TopicMessage]) -> Handled:
        """Apply a batch, or park what cannot be."""
        items, unread = await self._threads.cpu.run(partial(decode_items, messages))
        lost = [one for one in unread if one[0].topic in _DEAD_LETTER_TOPICS]
        rest = [one for one in unread if one[0].topic not in _DEAD_LETTER_TOPICS]
        dead = await self._occupied(partial(self._apply_items, [*items, *await self._counted(lost)]))
        return Handled(await self._letters([*rest, *dead]))

    async def resume(self) -> Handled | None:
        """Apply some of what waits of one route that is to be tried again; None when there is none."""
        waiting = await self._threads.database.run(self._due)
        if waiting is None:
            return None
        dead = await self._occupied(partial(self._again, waiting))
        return Handled(await self._letters(dead))

    async def snapshot(self) -> None:
        """Let what was taken up again leave its park: its dead letters are on the broker by now."""
        if self._resumed:
            await self._threads.database.run(self._leave)

    def forget(self) -> None:
        """Nothing is kept: what has not left its park yet is taken up once more."""
        self._resumed.clear()

    async def _occupied(self, work: Callable[[], Unread]) -> Unread:
        try:
            return await self._threads.database.run(work)
        except Conflict as conflict:
            raise Occupied(str(conflict)) from conflict

    async def _counted(self, lost: Unread) -> list[Item]:
        """What is no dead letter, on a topic of them, is counted like one, and stays there, where people read it.

        A dead letter of its own would be read here again, and go round for ever.
        """
        cluster = await self._tools.cluster() if lost else ""
        found: list[Item] = []
        for one, reason in lost:
            LOG.error("%s: no dead letter at %s/%d/%d: %s", self.name, one.topic, one.partition, one.offset, reason)
            why = f"no dead letter: {reason}"
            found.append((one, DeadLetter.of(one.value, self.name, why, one.position(cluster), one.ts)))
        return found

    async def _letters(self, dead: Unread) -> Sequence[OutgoingRecord]:
        for message, _ in dead:
            if message.topic in _DEAD_LETTER_TOPICS:
                # A dead letter of a dead letter would go round for ever; it stays on its topic, where people read it.
                where = (message.topic, message.partition, message.offset)
                LOG.error("%s: no dead letter at %s/%d/%d", self.name, *where)
        rest = [(message, reason) for message, reason in dead if message.topic not in _DEAD_LETTER_TOPICS]
        return await dead_letters_of(rest, self.name, self._tools.cluster, self._tools.seal)

    def _apply_items(self, came: Sequence[Item]) -> Unread:
        items = not_erased(self._tools.database, came)
        parked = self._tools.database.query(parks.standing, self.name, {_route(record) for _, record in items})
        left = _Remainder()
        for message, record in items:
            if _route(record) in parked:
                left.routes.setdefault(_route(record), (None, []))[1].append(message)
        live = [item for item in items if _route(item[1]) not in parked]
        try:
            if live:
                self._apply([record for _, record in live])
        except Exception as error:
            if not is_of_route(error):
                raise
            self._apply_routes(live, left)
        return [*left.dead, *self._park(left)]

    def _apply_routes(self, items: Sequence[Item], left: _Remainder) -> None:
        """Each route alone, so that one on which it fails keeps no other from being applied."""
        for route, some in _by_route(items).items():
            rest: Sequence[Item] = some
            while rest:
                taken = take_in_order(self.name, route, None, rest, self._take)
                rest = rest[taken.n :]
                if taken.fault is not None and route == _NO_ROUTE:
                    left.dead.append((rest[0][0], taken.fault.reason))
                    rest = rest[1:]
                elif taken.fault is not None:
                    left.routes[route] = (taken.fault, [message for message, _ in rest])
                    break

    def _take(self, _: None, records: Sequence[Record]) -> None:
        self._apply(records)
        self._tools.tick()

    def _park(self, left: _Remainder) -> Unread:
        """Put what is left into its parks, in one transaction; what finds no room there is to be a dead letter."""
        if not left.routes:
            return []

        def work(connection: Connection) -> list[ParkedRecord]:
            beyond: list[ParkedRecord] = []
            for route, (fault, messages) in sorted(left.routes.items()):
                records = [parked_record(message) for message in messages]
                room = parks.room(connection, self.name, route, records, bounds=self._tools.bounds)
                parks.write(connection, self.name, route, Parking(fault, room.fitting, len(room.beyond)))
                beyond += room.beyond
            return beyond

        return [(message_of(record), NO_ROOM) for record in self._tools.database.transact(work)]

    def _due(self) -> Waiting | None:
        with self._tools.database.read() as connection:
            park = parks.due(connection, self.name, release())
            return None if park is None else parks.waiting(connection, park, RETRIED, RETRIED_BYTES)

    def _again(self, waiting: Waiting) -> Unread:
        taken = take_again(self.name, None, waiting, self._take)
        through = waiting.records[taken.n - 1][0] if taken.n else None
        self._resumed = [(waiting.park, Parking(taken.fault, through=through))]
        return list(taken.dead)

    def _leave(self) -> None:
        def work(connection: Connection) -> None:
            for park, parking in self._resumed:
                parks.write(connection, park.step, park.route, parking)

        self._tools.database.transact(work)
        self._resumed = []


def _by_route(items: Iterable[Item]) -> Mapping[str, list[Item]]:
    found: dict[str, list[Item]] = {}
    for message, record in items:
        found.setdefault(_route(record), []).append((message, record))
    return found


def _route(record: Record) -> str:
    """The route of a record; empty for a dead letter, of which nobody knows it."""
    return getattr(record, "route", _NO_ROUTE)
