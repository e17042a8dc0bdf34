"""Messages of topics decoded into records, records encoded to be sent, and what a step's handler is."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Protocol

from pydantic import ValidationError

from schemas.alert import Alert
from schemas.base import Part, Record
from schemas.change import Change
from schemas.dead_letter import DeadLetter
from schemas.decision import Decision
from schemas.evaluation import Comparison, Run
from schemas.exchange import Exchange
from schemas.position import Position
from schemas.reading import Reading
from schemas.sample import SampleBlock
from schemas.score import ScoreBlock
from schemas.topics import TOPICS, Topic, dead_topics
from services.failpoints import reach
from services.stream.unpacking import UnreadableBytes

ORIGIN_HEADER: Final = "keelwatch-origin"
"""Header of a dead letter that is sent again: the place where it stood at first, a position as JSON."""

ARRIVED_HEADER: Final = "keelwatch-arrived"
"""Header beside it: when it first arrived, ISO 8601. An exchange without a time of its own counts from then."""

_LONGEST: Final = 300
_KIND: Final = re.compile(rb'"kind"\s*:\s*"comparison"')

RECORDS: Final[Mapping[str, type[Record]]] = {
    "exchange": Exchange,
    "score": ScoreBlock,
    "sample_block": SampleBlock,
    "reading": Reading,
    "change": Change,
    "decision": Decision,
    "run": Run,
    "comparison": Comparison,
    "alert": Alert,
    "dead_letter": DeadLetter,
}
"""Name in `schemas.topics` -> class."""

_BY_NAME: Final[Mapping[str, Topic]] = {topic.name: topic for topic in (*TOPICS, *dead_topics())}
_OWN: Final[Mapping[type[Record], Topic]] = {RECORDS[name]: topic for topic in TOPICS for name in topic.records}


@dataclass(frozen=True, slots=True)
class Undecodable:
    """Bytes that are no record of their topic; `reason` names the field and never repeats content."""

    reason: str


def topic_of(record: Record) -> Topic:
    """The topic on which a record is sent; a dead letter's depends on what it is of, see `Topic.dead`.

    Raises:
        TypeError: if there is no one topic for it.
    """
    found = _OWN.get(type(record))
    if found is None:
        raise TypeError(f"a {type(record).__name__} has no one topic")
    return found


def key_of(record: Record) -> bytes | None:
    """The record's route, which keys every topic but those of dead letters."""
    route = getattr(record, "route", None)
    return route.encode() if isinstance(route, str) else None


def encode_record(record: Record) -> bytes:
    """The record as JSON."""
    return record.encode()


def decode_record(topic: str, raw: bytes | None) -> Record | Undecodable:
    """The record in `raw`, or the reason for the dead letter.

    Exchanges of foreign formats, or without a time, are decoded by `services.ingest`, not here.

    Raises:
        KeyError: if Keelwatch has no such topic.
    """
    names = _BY_NAME[topic].records
    if isinstance(raw, UnreadableBytes):
        return Undecodable(raw.reason)
    if not raw:
        return Undecodable("record: empty; send one JSON object")
    name = names[-1] if len(names) > 1 and _KIND.search(raw) else names[0]
    try:
        return RECORDS[name].decode(raw)
    except ValidationError as error:
        return Undecodable(_reason(error))


def _names(kind: type[Part]) -> Iterator[str]:
    for name, field in kind.model_fields.items():
        yield field.alias or name
    for inner in kind.__subclasses__():
        yield from _names(inner)


_FIELDS: Final = frozenset(_names(Part))


def _reason(error: ValidationError) -> str:
    """Path, what is wrong there, how many more there are. Names that the schema does not know may be personal: *."""
    found = error.errors(include_url=False, include_input=False, include_context=False)
    steps = [str(step) if isinstance(step, int) or step in _FIELDS else "*" for step in found[0]["loc"]]
    path = ".".join(steps) or "record"
    more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
    text = " ".join(f"{path}: {found[0]['msg']}{more}".split())
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


_FIRST: Final = datetime.min.replace(tzinfo=UTC)
_LAST: Final = datetime.max.replace(tzinfo=UTC)


def kafka_time(seconds: float | None) -> datetime:
    """Kafka's timestamp as a time. It may be any 64 bits: what no calendar holds is the nearest that one does."""
    try:
        return _FIRST if seconds is None else datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return _LAST if seconds and seconds > 0 else _FIRST


@dataclass(frozen=True, slots=True)
class TopicMessage:
    """One record of a topic as the broker has it. `ts` is Kafka's timestamp: the broker's own if `appended`.

    `key` is the route of our own topics; empty where there is none, and of records that were parked.
    """

    topic: str
    partition: int
    offset: int
    value: bytes
    ts: datetime
    headers: tuple[tuple[str, bytes], ...] = ()
    appended: bool = False
    key: bytes = b""

    def position(self, cluster: str) -> Position:
        """Its own place."""
        return Position(cluster=cluster, topic=self.topic, partition=self.partition, offset=self.offset)

    def header(self, name: str) -> bytes | None:
        """The last header of that name."""
        return next((value for key, value in reversed(self.headers) if key == name), None)


@dataclass(frozen=True, slots=True)
class OutgoingRecord:
    """One record to be sent; `record` is what the bytes are of, for the meters."""

    topic: str
    key: bytes | None
    value: bytes
    record: Record | None = None


@dataclass(frozen=True, slots=True)
class Handled:
    """What a batch became. `keep` is called once the broker has all of `outgoing`: until then nothing has changed.

    `repeated` counts what had been taken in before: delivered again, or sent twice.
    """

    outgoing: Sequence[OutgoingRecord] = ()
    keep: Callable[[], None] = lambda: None
    repeated: int = 0


class Handler(Protocol):
    """What one step does with its messages; the loop around it sends, saves and acknowledges.

    `handle` must be repeatable: it may be called again with the same messages when a dependency failed.
    """

    @property
    def name(self) -> str:
        """The step's name in the table of the flow."""

    @property
    def batch(self) -> int:
        """Most messages that it is given at once."""

    @property
    def every(self) -> float:
        """Seconds between two snapshots; 0 when there is no state, and messages are acknowledged at once."""

    @property
    def is_crowded(self) -> bool:
        """Whether it has so much in memory that a snapshot is due at once."""

    def fits(self, messages: Sequence[TopicMessage]) -> int:
        """How many of these messages, from the first on, it can take at once within its bounds; at least one."""

    async def handle(self, messages: Sequence[TopicMessage]) -> Handled:
        """Take in messages, in order."""

    async def snapshot(self) -> None:
        """Save what changed since the last one.

        Raises:
            Conflict: if another process saved in between.
        """

    async def resume(self) -> Handled | None:
        """Take up again some of what waits of a route that failed, when it is to be tried again; None: nothing is."""

    def forget(self) -> None:
        """Drop what is in memory: others may have had these routes in between. The database knows better."""


def first_arrival(header: bytes | None) -> datetime | None:
    """When a record that is sent again came first; whoever may publish may write such a header."""
    try:
        found = datetime.fromisoformat(header.decode("ascii")) if header else None
    except ValueError:
        return None
    return found if found is not None and found.tzinfo is not None else None


def outgoing(record: Record) -> OutgoingRecord:
    """A record on its own topic."""
    return OutgoingRecord(topic_of(record).name, key_of(record), encode_record(record), record)


_AROUND: Final = 4 * 1024
"""Bytes of a record's batch, headers and key, which count too."""


class OversizedRecord(ValueError):  # noqa: N818
    """A record that is larger than its topic takes; the message names the topic, never content."""


def fitting(record: Record) -> OutgoingRecord:
    """A record on its own topic.

    Raises:
        OversizedRecord: if the topic would refuse it, now and for ever.
    """
    made, most = outgoing(record), topic_of(record).max_message_bytes
    if len(made.value) + _AROUND > most:
        raise OversizedRecord(f"{made.topic}: a record of {len(made.value):,} bytes; it takes {most:,}")
    return made


Seal = Callable[[Sequence[DeadLetter]], Awaitable[Sequence[DeadLetter]]]
"""Dead letters -> the same as they may lie on a topic (`letter_keys`)."""


def outgoing_dead_letter(letter: DeadLetter, topic: str) -> OutgoingRecord:
    """A dead letter of what its step could not read of `topic`."""
    reach("before-dead-letter", letter.step)
    return OutgoingRecord(f"{topic}.{letter.step}.dead", None, encode_record(letter), letter)


def dead_letter(message: TopicMessage, step: str, reason: str, cluster: str) -> DeadLetter:
    """The dead letter of a message that cannot be decoded."""
    return DeadLetter.of(message.value, step, reason, message.position(cluster), message.ts)


Unread = list[tuple[TopicMessage, str]]
"""Messages that cannot be decoded, with the reasons."""


def decode_items(messages: Sequence[TopicMessage]) -> tuple[list[tuple[TopicMessage, Record]], Unread]:
    """The messages that hold a record, each with it, in order; and what holds none."""
    items: list[tuple[TopicMessage, Record]] = []
    unread: Unread = []
    for message in messages:
        found = decode_record(message.topic, message.value)
        if isinstance(found, Undecodable):
            unread.append((message, found.reason))
        else:
            items.append((message, found))
    return items, unread


LettersToSend = Sequence[tuple[DeadLetter, str]]
"""Dead letters, each with the topic of what it is of."""


async def sealed_records(letters: LettersToSend, seal: Seal) -> list[OutgoingRecord]:
    """The dead letters as they are sent: their content sealed."""
    if not letters:
        return []
    made = await seal([letter for letter, _ in letters])
    return [outgoing_dead_letter(letter, topic) for letter, (_, topic) in zip(made, letters, strict=True)]


async def dead_letters_of(
    unread: Unread, step: str, cluster: Callable[[], Awaitable[str]], seal: Seal
) -> list[OutgoingRecord]:
    """The dead letters of what cannot be decoded; the broker is asked for its id only when there are any."""
    if not unread:
        return []
    name = await cluster()
    letters = [(dead_letter(message, step, reason, name), message.topic) for message, reason in unread]
    return await sealed_records(letters, seal)
