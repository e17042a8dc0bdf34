"""The score step: raw exchanges in; score blocks, redacted samples and dead letters out. It has no state."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Final

from pydantic import ValidationError

from schemas.dead_letter import DeadLetter
from schemas.position import Position
from services.ingest.decode import decode
from services.offload import Offload
from services.ports import Received
from services.score.core import Scored
from services.stream.message import Handled, Message, Outgoing, dead, dead_letter, outgoing

ORIGIN: Final = "keelwatch-origin"
"""Header of a dead letter that is sent again: the place where it stood at first, a position as JSON."""


class Score:
    """Scores exchanges in the thread for CPU work."""

    name = "score"
    batch = 128
    every = 0.0

    def __init__(
        self, score: Callable[[Sequence[Received]], Scored], cpu: Offload, cluster: Callable[[], Awaitable[str]]
    ) -> None:
        """`cluster` asks the broker for its id: it is part of every exchange's position."""
        self._score = score
        self._cpu = cpu
        self._ask = cluster
        self._cluster = ""

    async def handle(self, messages: Sequence[Message]) -> Handled:
        """Score a batch: the exchanges of a route keep their order."""
        if not self._cluster:
            self._cluster = await self._ask()
        return Handled(await self._cpu.run(partial(self._work, self._cluster, messages)))

    async def snapshot(self) -> None:
        """Nothing is kept."""

    def forget(self) -> None:
        """Ask for the cluster again: an embedded broker that was restarted is another one."""
        self._cluster = ""

    def _work(self, cluster: str, messages: Sequence[Message]) -> list[Outgoing]:
        received: list[Received] = []
        made: list[Outgoing] = []
        for message in messages:
            item = _decoded(message, cluster)
            if isinstance(item, Received):
                received.append(item)
            elif isinstance(item, DeadLetter):
                made.append(dead(item.model_copy(update={"first_seen": message.ts}), message.topic))
            else:
                made.append(item)
        scored = self._score(received)
        topic = messages[0].topic
        made += [dead(letter, topic) for letter in scored.dead]
        return made + [outgoing(record) for record in (*scored.blocks, *scored.samples)]


def _decoded(message: Message, cluster: str) -> Received | DeadLetter | Outgoing:
    header = message.header(ORIGIN)
    origin = None
    if header is not None:
        try:
            origin = Position.model_validate_json(header)
        except ValidationError:
            return dead_letter(message, Score.name, f"header {ORIGIN}: must be a position as JSON", cluster)
    return decode(message.value, message.position(cluster), received=message.ts, origin=origin)
