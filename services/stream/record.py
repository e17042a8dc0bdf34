"""The record step: every record into the database, each batch in one transaction."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Final

from schemas.base import Record as AnyRecord
from schemas.topics import dead_topics
from services.store.engine import Conflict
from services.stream.message import Handled, Message, letters, read
from services.stream.stateful import Threads

LOG: Final = logging.getLogger("keelwatch.stream")
_DEAD: Final = frozenset(topic.name for topic in dead_topics())


class Occupied(OSError):  # noqa: N818
    """Another process records the same routes at this moment."""


class Record:
    """Applies batches. The sink is idempotent, so what is delivered again changes nothing."""

    name = "record"
    batch = 128
    every = 0.0

    def __init__(
        self,
        apply: Callable[[Sequence[AnyRecord]], None],
        threads: Threads,
        cluster: Callable[[], Awaitable[str]],
    ) -> None:
        """`apply` writes records to the database; `cluster` asks the broker for its id."""
        self._apply = apply
        self._threads = threads
        self._cluster = cluster

    async def handle(self, messages: Sequence[Message]) -> Handled:
        """Record a batch."""
        records, unread = await self._threads.cpu.run(partial(read, messages))
        try:
            await self._threads.database.run(partial(self._apply, records))
        except Conflict as conflict:
            raise Occupied(str(conflict)) from conflict
        lost = [message for message, _ in unread if message.topic in _DEAD]
        for message in lost:
            # A dead letter of a dead letter would go round for ever; it stays on its topic, where people read it.
            LOG.error("record: no dead letter at %s/%d/%d", message.topic, message.partition, message.offset)
        rest = [(message, reason) for message, reason in unread if message.topic not in _DEAD]
        return Handled(await letters(rest, self.name, self._cluster))

    async def snapshot(self) -> None:
        """Everything is in the database already."""

    def forget(self) -> None:
        """Nothing is kept that the database does not guard."""
