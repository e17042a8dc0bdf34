"""What a step is given of a topic, and what it sends."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from schemas.base import Record
from schemas.dead_letter import DeadLetter
from schemas.position import Position
from services.failpoints import reach
from services.stream.codec import Undecodable, decode, encode, key_of, topic_of


@dataclass(frozen=True, slots=True)
class Message:
    """One record of a topic as the broker has it. `ts` is Kafka's timestamp."""

    topic: str
    partition: int
    offset: int
    value: bytes
    ts: datetime
    headers: tuple[tuple[str, bytes], ...] = ()

    def position(self, cluster: str) -> Position:
        """Its own place."""
        return Position(cluster=cluster, topic=self.topic, partition=self.partition, offset=self.offset)

    def header(self, name: str) -> bytes | None:
        """The last header of that name."""
        return next((value for key, value in reversed(self.headers) if key == name), None)


@dataclass(frozen=True, slots=True)
class Outgoing:
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

    outgoing: Sequence[Outgoing] = ()
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

    async def handle(self, messages: Sequence[Message]) -> Handled:
        """Take in messages, in order."""

    async def snapshot(self) -> None:
        """Save what changed since the last one.

        Raises:
            Conflict: if another process saved in between.
        """

    def forget(self) -> None:
        """Drop what is in memory: others may have had these routes in between. The database knows better."""


def outgoing(record: Record) -> Outgoing:
    """A record on its own topic."""
    return Outgoing(topic_of(record).name, key_of(record), encode(record), record)


def dead(letter: DeadLetter, topic: str) -> Outgoing:
    """A dead letter of what its step could not read of `topic`."""
    reach("before-dead-letter", letter.step)
    return Outgoing(f"{topic}.{letter.step}.dead", None, encode(letter), letter)


def dead_letter(message: Message, step: str, reason: str, cluster: str) -> Outgoing:
    """The dead letter of a message that cannot be decoded."""
    letter = DeadLetter.of(message.value, step, reason, message.position(cluster))
    return dead(letter.model_copy(update={"first_seen": message.ts}), message.topic)


Unread = list[tuple[Message, str]]
"""Messages that cannot be decoded, with the reasons."""


def read(messages: Sequence[Message]) -> tuple[list[Record], Unread]:
    """The records of the messages, in order, and what is none."""
    records: list[Record] = []
    unread: Unread = []
    for message in messages:
        found = decode(message.topic, message.value)
        if isinstance(found, Undecodable):
            unread.append((message, found.reason))
        else:
            records.append(found)
    return records, unread


async def letters(unread: Unread, step: str, cluster: Callable[[], Awaitable[str]]) -> list[Outgoing]:
    """The dead letters of what cannot be decoded; the broker is asked for its id only when there are any."""
    if not unread:
        return []
    name = await cluster()
    return [dead_letter(message, step, reason, name) for message, reason in unread]
