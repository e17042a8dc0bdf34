"""A record that its topic would refuse for ever parks the route that makes it, and ends nobody."""

from __future__ import annotations

import asyncio

from detectors.events import Events
from detectors.rate_shift import RateShift
from schemas.change import Change
from schemas.identity import Model
from schemas.score import ScoreBlock
from schemas.topics import CHANGES
from services.monitor import BaselinePolicy, RoutePolicy
from services.store.engine import Database
from services.stream.handlers import detect_handler
from services.stream.messages import TopicMessage, topic_of
from tests.stream.test_isolation import NOW, park, staged
from tests.support.blocks import Row, block, rows
from tests.support.databases import database, new_url

__all__ = ["database", "new_url"]

POLICY = RoutePolicy(baseline=BaselinePolicy(size=100, min_size=50))
DETECTORS = (RateShift(), Events())
LONG = Model(requested="gpt-4", served="\x01" * 500_000)
CALM, LOUD = "calm/prod", "loud/prod"


def told(route: str) -> list[ScoreBlock]:
    """A baseline, then five exchanges among others of a model whose name is half a MiB: there was no bound before.

    Its change holds it twice, at 6 bytes of JSON a character.
    """
    usual = [block(rows(70, first), route) for first in (0, 70)]
    late = [block([*rows(5, i), Row(f"e{i + 5}", i + 5, (i + 5) * 86.4, LONG)], route) for i in range(140, 170, 6)]
    return [*usual, *late]


def test_a_change_too_large_for_its_topic_parks_its_route_alone(database: Database) -> None:
    records = [*told(LOUD), block(rows(30), CALM)]
    messages = [TopicMessage(topic_of(one).name, 0, n, one.encode(), NOW) for n, one in enumerate(records)]

    async def run() -> None:
        with staged(lambda tools: detect_handler(DETECTORS, lambda route: POLICY, tools), database) as stage:
            await stage.take(messages)
            await stage.settle()
            assert (stage.died, len(stage.acked)) == ([], len(messages))
            held = park(database, "detect", LOUD)
            assert held is not None
            assert (held.n, park(database, "detect", CALM)) == (1, None)
            assert held.reason.startswith("OversizedRecord in services.stream.messages")
            assert all(len(one.value) < CHANGES.max_message_bytes for one in stage.sent)
            assert [one.kind for one in stage.records(LOUD) if isinstance(one, Change)] == ["pinned"]

    asyncio.run(run())
