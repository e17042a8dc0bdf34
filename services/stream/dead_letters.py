"""The dead letters of a cluster: read for people, and sent again where they came from."""

from __future__ import annotations

import asyncio
import base64
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError
from aiokafka.structs import ConsumerRecord, TopicPartition
from pydantic import ValidationError

from schemas.base import iso
from schemas.dead_letter import DeadLetter
from schemas.position import Position
from schemas.topics import dead_topics
from services.errors import InputError, UnknownOutcome
from services.stream.broker import Broker
from services.stream.clients import (
    ReadUntil,
    Unreachable,
    connected_broker,
    consumer,
    error_text,
    from_start,
    partitions,
    read_records,
)
from services.stream.letter_seal import opened
from services.stream.messages import ARRIVED_HEADER, ORIGIN_HEADER
from services.stream.producer import Producer
from services.stream.publish import route_key
from services.wording.dead_letters import UNOPENED, missing_content

GROUP: Final = "keelwatch.dead-replay"
"""The consumer group whose place says which dead letters were sent again."""

_NEVER: Final = datetime(1970, 1, 1, tzinfo=UTC)
EMBEDDED_IDLE: Final = 1.0
"""Seconds without a record after which a topic of the embedded broker counts as read: it cannot name its end."""


@dataclass(frozen=True, slots=True)
class FoundDeadLetter:
    """A dead letter and the topic on which it lies; `letter` is None when the record is none."""

    topic: str
    letter: DeadLetter | None

    @property
    def source_topic(self) -> str:
        """The topic from which the dead letter came, after the dead topic's name."""
        return self.topic.rsplit(".", 2)[0]


@dataclass(slots=True)
class DeadLetterReplay:
    """How many dead letters were sent again, and why others were not: reason -> how many."""

    sent: int = 0
    left: dict[str, int] = field(default_factory=dict)

    def leave(self, reason: str) -> None:
        """Count one that cannot be sent."""
        self.left[reason] = self.left.get(reason, 0) + 1


TOO_LONG: Final = "its content was not kept whole: publish it again from where it came"
FAILED_AGAIN: Final = "failed once more after an earlier run had sent it: mend it, and publish it anew"
NO_LETTER: Final = "the record is no dead letter"

Keys = Mapping[str, bytes]
"""Day -> the private half of its key pair, from the database."""


def topic_names(step: str | None = None) -> tuple[str, ...]:
    """The topics of dead letters, of one step or of all."""
    return tuple(topic.name for topic in dead_topics() if step in (None, topic.producer))


async def read(
    broker: Broker, topics: Sequence[str], tell: Callable[[FoundDeadLetter], object], keys: Keys | None = None
) -> None:
    """Tell of every dead letter that lies on these topics now; topics that do not exist hold none.

    What one of the `keys` opens has its content.

    Raises:
        Unreachable: if the cluster does not answer.
    """
    known = await connected_broker(broker)
    places = await _places(known, topics)
    async with consumer(known) as client:
        if places:
            await from_start(client, places)
            async for batch in read_records(client, await _until(client, places, known)):
                for record in batch:
                    tell(_letter(record, keys))


async def newest(broker: Broker, topics: Sequence[str], most: int, keys: Keys | None = None) -> list[DeadLetter]:
    """At most so many dead letters, the last of each topic, newest first by when they were seen.

    What one of the `keys` opens has its content.

    Raises:
        Unreachable: if the cluster does not answer.
    """
    known = await connected_broker(broker)
    places = await _places(known, topics)
    found: deque[DeadLetter] = deque(maxlen=most)
    if not places:
        return []
    async with consumer(known) as client:
        await from_start(client, places)
        until = await _until(client, places, known)
        for place, end in (until.ends or {}).items():
            if end > most:
                client.seek(place, max(end - most, (await client.beginning_offsets([place]))[place]))
        async for batch in read_records(client, until):
            letters = (_letter(record, keys).letter for record in batch)
            ordered = sorted((*found, *(one for one in letters if one is not None)), key=_seen_at)
            found.extend(ordered)
    return sorted(found, key=_seen_at)[::-1]


async def replay(broker: Broker, topics: Sequence[str], keys: Keys | None = None) -> DeadLetterReplay:
    """Send again what no earlier run has sent, to the topics where it failed, with its first place as a header.

    What an earlier run has sent, and what failed once more, is left: sent again and again it would only pile up. The
    place is committed after the broker has the records: a run that is cut short sends some of them twice, and the
    id, made of the first place, makes them one.

    Raises:
        Unreachable: if the cluster does not answer, or does not take a record; nothing is committed of that batch.
        InputError: if a letter is sealed and there are no `keys`; nothing is committed of that batch.
    """
    known = await connected_broker(broker)
    places = await _places(known, topics)
    done, seen = DeadLetterReplay(), _SeenPlaces()
    if not places:
        return done
    async with consumer(known, GROUP) as client, _producing(known) as producer:
        await from_start(client, places)
        committed = await _committed(client, places, known)
        async for batch in read_records(client, await _until(client, places, known)):
            old, new = _split(batch, committed)
            seen.earlier.update(_place(one.topic, one.letter) for one in map(_letter, old) if one.letter is not None)
            await _send(producer, [_letter(one, keys) for one in new], done, seen, keys)
            if new:
                await client.commit({place: offset + 1 for place, offset in _last(new).items()})
    return done


_Place = tuple[str, Position, str]
"""Topic, first place, and hash of the bytes: of one record of traces several calls may be letters."""


def _place(topic: str, letter: DeadLetter) -> _Place:
    return topic, letter.source, letter.sha256


@dataclass(slots=True)
class _SeenPlaces:
    """What letters are of that `earlier` runs, and `this` one, have seen."""

    earlier: set[_Place] = field(default_factory=set)
    this: set[_Place] = field(default_factory=set)


async def _send(
    producer: Producer,
    letters: Sequence[FoundDeadLetter],
    done: DeadLetterReplay,
    seen: _SeenPlaces,
    keys: Keys | None,
) -> None:
    sending = []
    if keys is None and any(one.letter is not None and one.letter.sealed is not None for one in letters):
        raise InputError(f"{letters[0].topic}: a dead letter cannot be sent again; {UNOPENED}")
    for one in letters:
        letter = one.letter
        if letter is None:
            done.leave(NO_LETTER)
            continue
        place = _place(one.topic, letter)
        if place in seen.earlier:
            done.leave(FAILED_AGAIN)
        elif place not in seen.this:
            seen.this.add(place)
            raw, missing = base64.b64decode(letter.raw), missing_content(letter, tried=keys is not None)
            if missing is not None:
                done.leave(missing)
            elif len(raw) < letter.length:
                done.leave(TOO_LONG)
            else:
                key = route_key(raw, letter.source)
                sending.append(producer.send(one.source_topic, key, raw, _headers(letter), letter.first_seen))
    await asyncio.gather(*sending)
    done.sent += len(sending)


def _headers(letter: DeadLetter) -> list[tuple[str, bytes]]:
    """Where it stood at first, and when: the broker gives it a new time."""
    arrived = [] if letter.first_seen is None else [(ARRIVED_HEADER, iso(letter.first_seen).encode())]
    return [(ORIGIN_HEADER, letter.source.model_dump_json().encode()), *arrived]


def _split(
    batch: Sequence[ConsumerRecord], committed: Mapping[TopicPartition, int]
) -> tuple[list[ConsumerRecord], list[ConsumerRecord]]:
    """What earlier runs have seen, and what they have not."""
    parts: tuple[list[ConsumerRecord], list[ConsumerRecord]] = ([], [])
    for one in batch:
        parts[one.offset >= committed[TopicPartition(one.topic, one.partition)]].append(one)
    return parts


@asynccontextmanager
async def _producing(broker: Broker) -> AsyncIterator[Producer]:
    producer = Producer(broker)
    try:
        await producer.start()
        yield producer
    except (UnknownOutcome, KafkaError) as error:
        raise Unreachable(f"{broker.bootstrap}: {error_text(error)}; run it again") from None
    finally:
        await producer.stop()


async def _places(broker: Broker, topics: Sequence[str]) -> list[TopicPartition]:
    found = await partitions(broker, topics)
    return sorted(place for places in found.values() for place in places)


async def _until(client: AIOKafkaConsumer, places: Sequence[TopicPartition], broker: Broker) -> ReadUntil:
    """What lies on the topics now; what comes while we read is for the next run."""
    if broker.kind == "embedded":
        return ReadUntil(idle=EMBEDDED_IDLE)
    return ReadUntil(ends=await client.end_offsets(places))


async def _committed(
    client: AIOKafkaConsumer, places: Sequence[TopicPartition], broker: Broker
) -> dict[TopicPartition, int]:
    """Where the last run ended; the beginning of a topic that was made anew since."""
    ends: Mapping[TopicPartition, int] = {} if broker.kind == "embedded" else await client.end_offsets(places)
    found = {place: await client.committed(place) or 0 for place in places}
    return {place: offset if offset <= ends.get(place, offset) else 0 for place, offset in found.items()}


def _letter(record: ConsumerRecord, keys: Keys | None = None) -> FoundDeadLetter:
    try:
        return FoundDeadLetter(record.topic, opened(DeadLetter.decode(record.value or b""), keys or {}))
    except ValidationError:
        return FoundDeadLetter(record.topic, None)


def _seen_at(letter: DeadLetter) -> datetime:
    return letter.first_seen or _NEVER


def _last(batch: Sequence[ConsumerRecord]) -> dict[TopicPartition, int]:
    return {TopicPartition(record.topic, record.partition): record.offset for record in batch}
