"""Looks by our own clock whether anything is still seen, and tells of it as readings."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection

from schemas.base import hash16
from schemas.exchange import STREAM_ROUTE
from schemas.position import Position
from schemas.reading import Reading, ReadingStatus
from services.ports import Clock, PartitionSight, Publish
from services.record import blindness
from services.record.blindness import FLOOD, NO_DATA, NOT_SCORED, BlindLimits, BlindWord
from services.specs import BLIND
from services.store import arrivals
from services.store.arrivals import Arrival, PartitionWatch
from services.store.engine import Database
from services.wording import blindness as words

LOG: Final = logging.getLogger("keelwatch.record")
EVERY: Final = 30.0

Look = Callable[[], Awaitable[tuple[str, Sequence[PartitionSight]]]]
"""The cluster's id, and how far each step has read each partition; no partitions where the broker does not tell."""


class BlindWatch:
    """What it knows stands in the database: several processes may look, and a restart forgets nothing."""

    def __init__(self, database: Database, look: Look, clock: Clock, limits: BlindLimits | None = None) -> None:
        """`look` asks the broker; `limits` say when nothing is seen."""
        self._database, self._look, self._clock = database, look, clock
        self._limits = limits or BlindLimits()

    async def run(self, publish: Publish, every: float = EVERY) -> None:
        """Look until cancelled. What cannot be looked at is not judged."""
        while True:
            try:
                await self.once(publish)
            except Exception as error:
                LOG.warning("it is not known whether anything is seen: %s", type(error).__name__)
            await asyncio.sleep(every)

    async def once(self, publish: Publish) -> tuple[Reading, ...]:
        """Look once, and tell what is new."""
        cluster, seen = await self._look()
        now = self._clock()
        told = await asyncio.to_thread(
            self._database.transact, lambda connection: self._judged(connection, cluster, seen, now)
        )
        if told:
            await publish(told)
        return told

    def _judged(
        self, connection: Connection, cluster: str, seen: Sequence[PartitionSight], now: datetime
    ) -> tuple[Reading, ...]:
        before = {one.key: one for one in arrivals.watches(connection)}
        found = [
            blindness.watched(before.get((one.step, one.topic, one.partition)), one, now, self._limits) for one in seen
        ]
        arrivals.put_watches(connection, found)
        known = arrivals.blind_streams(connection, BLIND.name)
        firing = {stream: ts for stream, (status, ts) in known.items() if status == "firing"}
        watches = {one.key: one for one in found}
        said = [
            *self._of_routes(connection, cluster, watches, firing),
            *self._of_scoring(found, cluster, now, firing),
            *self._of_letters(connection, found, cluster, now, firing),
        ]
        return tuple(blindness.reading_of(word, now) for word in said)

    def _of_routes(
        self,
        connection: Connection,
        cluster: str,
        watches: dict[tuple[str, str, int], PartitionWatch],
        firing: dict[str, datetime],
    ) -> list[BlindWord]:
        said = []
        for one in arrivals.arrivals(connection):
            quiet = blindness.silent_for(one, watches)
            status = blindness.route_word(one, quiet, firing.get(_stream(one.route, NO_DATA)), self._limits)
            if status == "firing":
                reason = words.no_data(quiet or timedelta(), one.usual)
                said.append(_route_word(connection, one, cluster, "firing", reason))
            elif status == "quiet":
                said.append(_route_word(connection, one, cluster, "quiet", words.HEARD_AGAIN))
        return said

    def _of_scoring(
        self, found: Sequence[PartitionWatch], cluster: str, now: datetime, firing: dict[str, datetime]
    ) -> list[BlindWord]:
        late = blindness.stalled(found, now, self._limits)
        fires = _stream(STREAM_ROUTE, NOT_SCORED) in firing
        scored = [one for one in found if one.step == arrivals.SCORE]
        if late is not None and not fires:
            reason = words.nothing_scored(late.end - late.committed, now - late.moved)
            return [blindness.stream_word("firing", NOT_SCORED, late, reason, now, cluster)]
        if late is None and fires and scored:
            return [blindness.stream_word("quiet", NOT_SCORED, scored[0], words.SCORED_AGAIN, now, cluster)]
        return []

    def _of_letters(
        self,
        connection: Connection,
        found: Sequence[PartitionWatch],
        cluster: str,
        now: datetime,
        firing: dict[str, datetime],
    ) -> list[BlindWord]:
        """A topic's partitions are one stream: it fires for the first that is flooded, and calms when all are calm."""
        limits, said = self._limits, []
        for topic in sorted({one.topic for one in found}):
            fires = _stream(STREAM_ROUTE, FLOOD, f"topic={topic}") in firing
            some = [one for one in found if one.topic == topic]
            dead = {one.key: arrivals.dead_offsets(connection, one, limits.of) for one in some}
            verdicts = [blindness.flood_word(dead[one.key], one.committed, fires, limits) for one in some]
            if not fires and "firing" in verdicts:
                one = some[verdicts.index("firing")]
                reason = words.flood(len(dead[one.key]), min(limits.of, one.committed), one.step)
                said.append(blindness.stream_word("firing", FLOOD, one, reason, now, cluster))
            elif fires and all(verdict == "quiet" for verdict in verdicts):
                said.append(blindness.stream_word("quiet", FLOOD, some[0], words.calm(limits.recent), now, cluster))
        return said


def _stream(route: str, subject: str, slice_: str | None = None) -> str:
    return hash16([route, None, BLIND.name, subject, None, slice_])


def _route_word(connection: Connection, one: Arrival, cluster: str, status: ReadingStatus, reason: str) -> BlindWord:
    source = Position(cluster=cluster, topic=one.topic, partition=one.partition, offset=0)
    index = arrivals.last_index(connection, one.route)
    return BlindWord(one.route, NO_DATA, status, reason, source, index)
