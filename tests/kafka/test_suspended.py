"""What is fetched while a group is dealt anew is dropped by faust, and must be read again: from every topic."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread

from services.flow import topics_of
from services.stream.broker import Broker, options
from services.stream.messages import Handled
from services.stream.runner import StreamJob, StreamRunner
from tests.support.streams import PARTITIONS, STEPS

EACH = 3  # records of each partition
FOR_EVER = 60.0
SOON = 10.0


class Collect:
    """Stands in a step's place and keeps what it was given."""

    batch = 100
    every = 0.0
    is_crowded = False

    def __init__(self, name: str) -> None:
        self.name = name
        self.got: set[bytes] = set()

    def fits(self, messages: Any) -> int:
        return len(messages)

    async def handle(self, messages: Any) -> Handled:
        values = {message.value for message in messages}
        return Handled(keep=lambda: self.got.update(values))

    async def snapshot(self) -> None:
        """Nothing is kept."""

    async def resume(self) -> None:
        """Nothing is parked."""

    def forget(self) -> None:
        """Nothing is kept."""


class Suspended:
    """A process that is stopped in the middle of a fetch, as by SIGSTOP, and goes on in the middle of a rebalance.

    `app` is the one that this happens to. `fetching`: its fetch is under way. `dropped`: records that the fetch
    brought while faust's flow was suspended.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.app: Any = None
        self.fetching = False
        self.dropped = 0
        plain = AIOKafkaConsumerThread._fetch_records

        async def fetch(
            thread: Any, consumer: Any, active: Any, timeout: float | None = None, max_records: int | None = None
        ) -> Any:
            if thread.app is not self.app:
                return await plain(thread, consumer, active, timeout, max_records)
            self.fetching = thread.consumer.flow_active
            found = await plain(thread, consumer, active, FOR_EVER, max_records)
            if not thread.consumer.flow_active:
                self.dropped += sum(map(len, found.values()))
            return found

        monkeypatch.setattr(AIOKafkaConsumerThread, "_fetch_records", fetch)


async def until(true: Callable[[], bool], what: str, seconds: float = 30.0) -> None:
    try:
        async with asyncio.timeout(seconds):
            while not true():
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise AssertionError(f"not within {seconds:g} s: {what}") from None


async def publish(broker: Broker, topics: Iterable[str]) -> set[bytes]:
    """Some records on every partition; what is in them."""
    producer = AIOKafkaProducer(**options(broker).producer)
    await producer.start()
    places = [(topic, number) for topic in topics for number in range(PARTITIONS)]
    sent = {f"{topic}/{number}/{i}".encode(): (topic, number) for topic, number in places for i in range(EACH)}
    try:
        await asyncio.gather(*[producer.send_and_wait(at[0], one, partition=at[1]) for one, at in sent.items()])
    finally:
        await producer.stop()
    return set(sent)


@asynccontextmanager
async def member(broker: Broker, folder: Path, handlers: Sequence[Collect]) -> AsyncIterator[Any]:
    """The app of a process that does all steps as one group."""
    runner = StreamRunner(StreamJob(broker, lambda _: handlers, folder, together=True, die=lambda _: None))
    task = asyncio.create_task(runner.run())
    try:
        await until(lambda: bool(runner.apps) or task.done(), "the app is there")
        yield runner.apps[0]
    finally:
        runner.stop()
        await task


async def story(broker: Broker, folder: Path, suspended: Suspended) -> None:
    """New topics, nothing is committed; a second member joins while the first one's fetch is under way."""
    first, second = ([Collect(name) for name in STEPS] for _ in range(2))
    topics = {name for step in STEPS for name in topics_of(step) if not name.endswith(".dead")}
    published: set[bytes] = set()

    async def while_nobody_has_partitions(*_: Any, **__: Any) -> None:
        published.update(await publish(broker, topics))

    async def when_some_were_dropped(*_: Any, **__: Any) -> None:
        await until(lambda: suspended.dropped > 0, "the fetch comes back while the flow is suspended")

    def missing() -> set[tuple[str, bytes]]:
        wanted = {(one.name, value) for one in first for value in published if topic(value) in topics_of(one.name)}
        return wanted - {(one.name, value) for one in (*first, *second) for value in one.got}

    async with member(broker, folder / "first", first) as app:
        suspended.app = app
        await until(lambda: suspended.fetching, "the first one fetches")
        app.on_partitions_revoked.connect(while_nobody_has_partitions, weak=False)
        app.on_rebalance_complete.connect(when_some_were_dropped, weak=False)
        async with member(broker, folder / "second", second):
            await until(lambda: suspended.dropped > 0, "records are dropped")
            with suppress(AssertionError):
                await until(lambda: not missing(), "everything is read", SOON)
            lost = Counter((step, topic(value)) for step, value in missing())
            assert app.consumer.dropped == suspended.dropped
            assert not lost, f"{suspended.dropped} were dropped, of {len(published)}"


def topic(value: bytes) -> str:
    return value.decode().partition("/")[0]


def test_what_was_fetched_while_the_flow_was_suspended_is_read_again(
    broker: Broker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asyncio.run(story(broker, tmp_path, Suspended(monkeypatch)))
