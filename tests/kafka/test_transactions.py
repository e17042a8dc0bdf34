"""Producers with transactions: what one took back was never said, and what ends one is no record that waits."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path

from aiokafka import AIOKafkaProducer

from schemas.topics import EXCHANGES
from services.stream.broker import Broker, options
from services.stream.capture import capture
from services.stream.consumer_groups import GroupLags
from services.stream.runner import StreamJob, StreamRunner
from tests.kafka.test_silent_failures import Collect
from tests.support.streams import lag, publish

ROUTE = b"one-route"


def exchange(text: str) -> bytes:
    return json.dumps({"route": "r", "prompt": text, "response": "yes", "model": {"requested": "m"}}).encode()


async def transaction(broker: Broker, values: Sequence[bytes], *, commit: bool) -> None:
    """All of them in one transaction, which is committed or aborted."""
    given = {**options(broker).producer, "enable_idempotence": True}
    producer = AIOKafkaProducer(**given, transactional_id="app-1")
    await producer.start()
    try:
        await producer.begin_transaction()
        for value in values:
            await producer.send_and_wait(EXCHANGES.name, value, key=ROUTE)
        await (producer.commit_transaction() if commit else producer.abort_transaction())
    finally:
        await producer.stop()


class Running:
    """The score step's place in a process of its own loop, until the block ends."""

    def __init__(self, broker: Broker, folder: Path) -> None:
        self.handler = Collect()
        self._runner = StreamRunner(StreamJob(broker, lambda _: [self.handler], folder, die=lambda _: None))

    async def __aenter__(self) -> Running:
        self._task = asyncio.create_task(self._runner.run())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._runner.stop()
        await self._task


async def waiting(lags: GroupLags) -> int | None:
    """What health, pages and metrics say waits for the score step."""
    return next(one.records for one in await lags.read() if one.step == "score")


async def settled(broker: Broker, running: Running, wanted: Sequence[bytes]) -> None:
    """All was handed to the step, in order, nothing else, and nothing waits, by any account."""
    lags = GroupLags(broker)
    try:
        async with asyncio.timeout(15):
            while running.handler.got != list(wanted) or await waiting(lags) != 0:
                await asyncio.sleep(0.2)
    except TimeoutError:
        raise AssertionError(f"{len(running.handler.got)} handed out, {await waiting(lags)} wait") from None
    finally:
        await lags.close()
    assert await asyncio.to_thread(lag, broker, ["score"]) == 0


def test_what_a_transaction_took_back_is_never_read_and_what_ends_one_never_waits(broker: Broker, tmp_path: Path):
    kept = [exchange(f"kept {i}") for i in range(5)]

    async def story() -> None:
        await transaction(broker, [exchange(f"taken back {i}") for i in range(5)], commit=False)
        await transaction(broker, kept, commit=True)
        async with Running(broker, tmp_path / "faust") as running:
            await settled(broker, running, kept)

    asyncio.run(story())
    lines: list[str] = []
    assert asyncio.run(capture(broker, EXCHANGES.name, lines.append, from_beginning=True, idle=1.0)) == 5
    assert [json.loads(line)["prompt"] for line in lines] == [f"kept {i}" for i in range(5)]


def test_records_after_a_transaction_that_was_taken_back_are_acknowledged(broker: Broker, tmp_path: Path):
    """The first record of a partition, at offset 0, and then a hole: faust would never commit past it."""
    before, after = [exchange("first")], [exchange(f"after {i}") for i in range(3)]

    async def story() -> None:
        await asyncio.to_thread(publish, broker, EXCHANGES.name, [(ROUTE, one) for one in before])
        await transaction(broker, [exchange(f"taken back {i}") for i in range(5)], commit=False)
        await asyncio.to_thread(publish, broker, EXCHANGES.name, [(ROUTE, one) for one in after])
        async with Running(broker, tmp_path / "faust") as running:
            await settled(broker, running, [*before, *after])

    asyncio.run(story())
