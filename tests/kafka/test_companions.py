"""Work beside the steps: it may publish, lives as long as they do, and takes the process along when it ends."""

from __future__ import annotations

import asyncio

from schemas.decision import Decision
from schemas.topics import DECISIONS
from services.observability.watchdog import EXIT_FAILED
from services.stream import topics
from services.stream.runner import StreamJob, StreamRunner
from tests.support.kafka import Cluster
from tests.support.streams import read_all, remove_topics

DECISION = Decision(
    kind="silence", route="support-bot/prod", actor="ana", reason="maintenance", ts="2026-11-24T18:00:00Z"
)


async def run(cluster: Cluster, folder, companion, until) -> tuple[int, list[int]]:
    died: list[int] = []
    runner = StreamRunner(StreamJob(cluster.broker, lambda _: [], folder, companions=(companion,), die=died.append))
    task = asyncio.create_task(runner.run())
    async with asyncio.timeout(30):
        await until(task)
        runner.stop()
        return await task, died


def test_what_a_companion_publishes_is_on_its_topic_and_it_ends_with_the_process(apache: Cluster, tmp_path) -> None:
    asyncio.run(topics.create(apache.broker, [DECISIONS]))
    said, ended = asyncio.Event(), []

    async def companion(publish) -> None:
        try:
            await publish([DECISION])
            said.set()
            await asyncio.Event().wait()
        finally:
            ended.append("cancelled")

    async def until(task) -> None:
        await asyncio.wait([task, asyncio.create_task(said.wait())], return_when=asyncio.FIRST_COMPLETED)

    try:
        assert asyncio.run(run(apache, tmp_path, companion, until)) == (0, [])
        assert ended == ["cancelled"]
        assert [one.value for one in read_all(apache.broker, DECISIONS.name)] == [DECISION.encode()]
    finally:
        remove_topics(apache.broker, [DECISIONS])


def test_a_companion_that_fails_ends_the_process_for_its_supervisor(apache: Cluster, tmp_path) -> None:
    async def companion(publish) -> None:
        raise RuntimeError("a fault that nobody foresaw")

    async def until(task) -> None:
        await asyncio.wait([task])

    assert asyncio.run(run(apache, tmp_path, companion, until)) == (EXIT_FAILED, [EXIT_FAILED])
