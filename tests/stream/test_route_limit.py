"""An exchange of a route that may not be new is a dead letter that says so; its neighbours are scored."""

from __future__ import annotations

import asyncio
import base64
from datetime import UTC, datetime

from schemas.dead_letter import DeadLetter
from services.monitor import Monitor, RoutePolicy
from services.monitor.route_limit import FULL, KEPT_CONTENTS, RouteLimit
from services.offload import Offload
from services.score.core import ScoredBatch
from services.stream.handlers import ScoreHandler
from services.stream.messages import TopicMessage
from tests.support.case import line

NOW = datetime(2026, 11, 24, 18, tzinfo=UTC)


def message(n: int, route: str) -> TopicMessage:
    raw = line({"route": route, "prompt": "b", "response": "c", "model": {"requested": "m"}})
    return TopicMessage("keelwatch.exchanges", 0, n, raw, NOW, appended=True)


def test_invented_routes_are_dead_letters_and_listed_ones_are_scored() -> None:
    scored: list[str] = []

    def score(batch):
        scored.extend(one.exchange.route for one in batch)
        return ScoredBatch()

    async def named() -> str:
        return "c"

    async def work() -> list[DeadLetter]:
        limit = RouteLimit(Monitor(routes={"ours/*": RoutePolicy()}, max_routes=2))
        handler = ScoreHandler(score, cpu, named, limit, lambda: NOW)
        invented = [message(n, f"r{n}") for n in range(KEPT_CONTENTS + 12)]
        some = [*invented, message(5_000, "ours/a"), message(5_001, "r1")]
        handled = await handler.handle(some)
        return [DeadLetter.decode(one.value) for one in handled.outgoing]

    cpu = Offload("cpu")
    try:
        letters = asyncio.run(work())
    finally:
        cpu.close()
    assert scored == ["r0", "r1", "ours/a", "r1"]
    assert len(letters) == KEPT_CONTENTS + 10
    assert {(one.reason, one.first_seen) for one in letters} == {(FULL, NOW)}, "one reason, whatever they are called"
    assert sum(one.raw == "" for one in letters) == 10
    assert all(len(base64.b64decode(one.raw)) in (0, one.length) for one in letters)
