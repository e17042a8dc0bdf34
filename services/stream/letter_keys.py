"""Where the steps have the day's key from: the database or, in a process without one, what is published on Kafka.

What is published are public halves, with which anybody may seal and nobody can open: as the metadata of an offset of
a group that has no members, as the id of the deployment is (`consumer_groups`). That needs no topic of its own.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from typing import Final

from aiokafka.errors import GroupCoordinatorNotAvailableError
from aiokafka.structs import OffsetAndMetadata, TopicPartition
from sqlalchemy import Connection

from schemas.dead_letter import DeadLetter
from schemas.topics import EXCHANGES
from services.offload import WorkThread
from services.ports import Clock
from services.store import secret_keys
from services.store.engine import Database, is_unavailable
from services.store.secret_keys import DEAD_LETTERS
from services.stream.broker import Broker, recognised
from services.stream.clients import admin, consumer, is_dependency
from services.stream.letter_seal import PUBLIC_BYTES, LetterKey, key_of, new_private, sealed

LOG: Final = logging.getLogger("keelwatch.stream")
GROUP: Final = "keelwatch.letter-keys"
_MARK: Final = "keelwatch-letter-keys:"
_PLACE: Final = TopicPartition(EXCHANGES.name, 0)
_LOOK_SECONDS: Final = 60.0
_MISSING_SECONDS: Final = 10.0
_COMMIT_SECONDS: Final = 10 * 60.0
_KNOWN_DAYS: Final = 3


async def in_clear(letters: Sequence[DeadLetter]) -> Sequence[DeadLetter]:
    """The letters as they are: for what stays in a process, such as letters of files."""
    return letters


class DatabaseKeys:
    """Seals with the key of the day in the database, which is made when it is first needed.

    It is asked for each batch that has letters, so that a key which was forgotten is used by nobody any more. While
    the database is away the one goes on that was known of the day.
    """

    def __init__(self, database: Database, thread: WorkThread, clock: Clock = lambda: datetime.now(UTC)) -> None:
        """`thread` is where the database is asked; `clock` is our own."""
        self._database, self._thread, self._clock = database, thread, clock
        self._known: dict[date, LetterKey] = {}

    async def seal(self, letters: Sequence[DeadLetter]) -> list[DeadLetter]:
        """The letters, sealed."""
        if not any(one.raw for one in letters):
            return list(letters)
        day = _day(self._clock())
        try:
            key = (await self.keys([day]))[day]
        except Exception as error:
            if day not in self._known or not is_unavailable(error):
                raise
            key = self._known[day]
        return await self._thread.run(lambda: [sealed(one, key) for one in letters])

    async def keys(self, days: Sequence[date]) -> Mapping[date, LetterKey]:
        """Public halves of these days."""
        now = self._clock()
        found = await self._thread.run(lambda: ensure(self._database, days, now))
        self._known = {**self._known, **found}
        for day in sorted(self._known)[:-_KNOWN_DAYS]:
            del self._known[day]
        return found


def ensure(database: Database, days: Sequence[date], now: datetime) -> Mapping[date, LetterKey]:
    """Public halves of these days; pairs are made where there are none yet."""
    private = database.query(secret_keys.find, DEAD_LETTERS)
    missing = [day for day in days if day.isoformat() not in private]
    if missing:

        def make(connection: Connection) -> dict[str, bytes]:
            names = [day.isoformat() for day in missing]
            return {name: secret_keys.ensure(connection, DEAD_LETTERS, name, new_private, now) for name in names}

        private |= database.transact(make)
    return {day: key_of(day, private[day.isoformat()]) for day in days}


class FollowedKeys:
    """Seals with the public halves that a process with the database has published; without one nothing is kept.

    What became of the content then, the letter says. Length, hash, reason and place are there, and until retention
    ends the record itself is where it was.
    """

    def __init__(
        self,
        broker: Broker,
        clock: Clock = lambda: datetime.now(UTC),
        timer: Callable[[], float] = time.monotonic,
    ) -> None:
        """`broker` is where they are published; `clock` is our own."""
        self._broker, self._clock, self._timer = broker, clock, timer
        self._known: Mapping[date, LetterKey] = {}
        self._asked: float | None = None

    async def seal(self, letters: Sequence[DeadLetter]) -> list[DeadLetter]:
        """The letters, sealed, or without their content."""
        if not any(one.raw for one in letters):
            return list(letters)
        day = _day(self._clock())
        await self._look(day)
        if day not in self._known:
            LOG.warning("no key of %s: %d dead letters keep length and hash alone", day, len(letters))
        key = self._known.get(day)
        return await asyncio.to_thread(lambda: [sealed(one, key) for one in letters])

    async def _look(self, day: date) -> None:
        due = _LOOK_SECONDS if day in self._known else _MISSING_SECONDS
        now = self._timer()
        if self._asked is not None and now - self._asked < due:
            return
        self._asked = now
        try:
            self._known = await published(self._broker)
        except Exception as error:
            if not is_dependency(error):
                raise
            # What may not be asked stops no step.
            LOG.warning("keys of dead letters are not known: %s", type(error).__name__)


async def published(broker: Broker) -> Mapping[date, LetterKey]:
    """The public halves that stand on the cluster.

    Raises:
        Unreachable: if it does not answer, or does not tell.
    """
    found: dict[TopicPartition, OffsetAndMetadata] = {}
    async with admin(broker) as client:
        with suppress(GroupCoordinatorNotAvailableError):
            found = await client.list_consumer_group_offsets(GROUP)
    place = found.get(_PLACE)
    return {} if place is None else _read(place.metadata)


async def publish(broker: Broker, keys: Mapping[date, LetterKey]) -> None:
    """Let processes without the database know the public halves.

    Raises:
        Unreachable: if the cluster does not answer, or does not take them.
    """
    text = json.dumps({day.isoformat(): key.public.hex() for day, key in sorted(keys.items())}, separators=(",", ":"))
    async with consumer(broker, GROUP) as client:
        client.assign([_PLACE])
        await client.commit({_PLACE: OffsetAndMetadata(0, _MARK + text)})


def _read(metadata: str) -> Mapping[date, LetterKey]:
    """Whoever may write to the cluster may have written it."""
    try:
        told = json.loads(metadata.removeprefix(_MARK)) if metadata.startswith(_MARK) else {}
        keys = [LetterKey(date.fromisoformat(day), bytes.fromhex(public)) for day, public in told.items()]
    except (ValueError, TypeError, AttributeError):
        return {}
    return {key.day: key for key in keys if len(key.public) == PUBLIC_BYTES}


async def publish_keys(broker: Broker, keys: DatabaseKeys, clock: Clock = lambda: datetime.now(UTC)) -> None:
    """Publish today's and tomorrow's keys until cancelled: whoever starts, or passes midnight, finds its day's.

    The embedded broker is `keelwatch up`'s own, whose steps all have the database.
    """
    told: Mapping[date, LetterKey] = {}
    since, pause = 0.0, 0.0
    while True:
        await asyncio.sleep(pause)
        pause = _LOOK_SECONDS
        try:
            known = await recognised(broker)
            if known.kind == "embedded":
                await asyncio.Event().wait()
            today = _day(clock())
            found = await keys.keys([today, today + timedelta(days=1)])
            if found != told or time.monotonic() - since > _COMMIT_SECONDS:
                await publish(known, found)
                told, since = found, time.monotonic()
        except Exception as error:
            if not is_dependency(error):
                raise
            pause = _MISSING_SECONDS
            LOG.warning("keys of dead letters are not published: %s", type(error).__name__)


def _day(now: datetime) -> date:
    return now.astimezone(UTC).date()
