"""A broker of which the health page is told, and letters that it could not read."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

from schemas.dead_letter import DeadLetter
from schemas.position import Position
from services.api.system import BrokerOperations
from services.ports import StepLag

NOW = datetime.now(UTC)


class Broker:
    """A broker that tells what it is told to, and what it was asked to send again."""

    def __init__(self, *behind: StepLag) -> None:
        self.behind_, self.replayed = behind, []
        self.may = asyncio.Event()
        self.may.set()

    async def behind(self) -> tuple[StepLag, ...]:
        return self.behind_

    async def replay(self, step: str) -> tuple[int, dict[str, int]]:
        await self.may.wait()
        self.replayed.append(step)
        return (2, {}) if len(self.replayed) == 1 else (0, {"failed once more": 1})

    async def letters(self, step: str | None, most: int) -> list[DeadLetter]:
        return [letter(i) for i in range(3) if step in (None, "score")][:most]

    def operations(self) -> BrokerOperations:
        return BrokerOperations(self.behind, self.replay, self.letters)


def letter(i: int, reason: str = "prompt: must be text", step: str = "score") -> DeadLetter:
    at = Position(cluster="c", topic="keelwatch.exchanges", partition=0, offset=i)
    made = DeadLetter.of(b'{"prompt": "my number is 555-0199"}', step, reason, at)
    return made.model_copy(update={"first_seen": NOW - timedelta(hours=i)})


def well(*more: StepLag) -> Broker:
    return Broker(StepLag("score", "keelwatch.exchanges", 3, 2), StepLag("detect", "keelwatch.scores", 0, 1), *more)
