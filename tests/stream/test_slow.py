"""Slow is not stuck: the real loop with a slow embedder is left alone, one that hangs is ended within its limit."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from io import StringIO
from types import SimpleNamespace

import numpy as np

from services.monitor import RoutePolicy
from services.observability.log import open_log
from services.observability.metrics import StreamMeters
from services.observability.watchdog import DEAD_AFTER, Observation, PartitionPosition, Watchdog
from services.offload import Offload, Progress
from services.score.core import ExchangeScorer
from services.stream.handlers import ScoreHandler
from services.stream.step_loop import StepLoop
from tests.support.scoring import SeededEmbedder, received

N, BATCH = 1_600, 128
FASTER = 60.0  # a second here is a minute of the watchdog's


class Slow(SeededEmbedder):
    """Takes its time over every text, or never comes back."""

    def __init__(self, seconds: float, hangs: threading.Event | None = None):
        self.seconds, self.hangs = seconds, hangs

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        if self.hangs is not None:
            self.hangs.wait()
        time.sleep(self.seconds * len(texts))
        return super().embed(texts)


class Event:
    def __init__(self, offset: int, acked: list[int]):
        value = received(offset).exchange.encode()
        self.acked = acked
        self.message = SimpleNamespace(
            topic="keelwatch.exchanges", partition=0, offset=offset, value=value, timestamp=0.0, headers=None
        )
        self.message.generation_id = 1

    def ack(self) -> bool:
        self.acked.append(self.message.offset)
        return True


async def watched(embedder: Slow, until: Callable[[list[int], list[float]], bool]) -> tuple[list[float], int]:
    """1,600 exchanges at once through the loop; when the watchdog would have ended it, and how many were done."""
    progress, acked, killed = Progress(), [], []
    cpu = Offload("cpu")

    async def cluster() -> str:
        return "c"

    async def send(_: object) -> None:
        await asyncio.sleep(0)

    ExchangeScorer(SeededEmbedder(), lambda route: RoutePolicy()).warm()  # what is compiled at first takes a second
    scorer = ExchangeScorer(embedder, lambda route: RoutePolicy(), tick=progress.tick)
    loop = StepLoop(ScoreHandler(scorer.score, cpu, cluster), send, lambda: 1, progress=progress, die=lambda _: None)

    class Positions:
        async def read(self) -> Observation:
            place = PartitionPosition(len(acked) or None, N, len(acked) < N, {"score": loop.work})
            return Observation({("keelwatch.exchanges", 0, "keelwatch.score"): place})

    dog = Watchdog(
        Positions(),
        StreamMeters(),
        open_log(StringIO()),
        die=lambda: killed.append(time.monotonic()),
        clock=lambda: time.monotonic() * FASTER,
        every=0.02,
        hung_after=600,
        moves=lambda: progress.done,
    )

    async def batches():
        for start in range(0, N, BATCH):
            yield [Event(offset, acked) for offset in range(start, min(start + BATCH, N))]

    begin = time.monotonic()
    tasks = [asyncio.create_task(dog.run()), asyncio.create_task(loop.run(batches()))]
    async with asyncio.timeout(60):
        while not until(acked, killed):
            await asyncio.sleep(0.01)
    for task in tasks:
        task.cancel()
    if embedder.hangs is not None:
        embedder.hangs.set()
    embedder.seconds = 0.0
    await asyncio.gather(*tasks, return_exceptions=True)
    cpu.close()
    return [(at - begin) * FASTER for at in killed], len(acked)


def test_a_step_that_is_slow_within_its_batch_is_left_alone() -> None:
    """A batch takes as long as two and a half minutes would, and nothing is committed before its end."""
    slow = Slow(0.01)
    killed, done = asyncio.run(watched(slow, lambda acked, killed: len(acked) >= 2 * BATCH or bool(killed)))
    assert (killed, done) == ([], 2 * BATCH)


def test_a_step_that_hangs_within_its_batch_is_ended_within_its_limit() -> None:
    stuck = Slow(0.0, threading.Event())
    killed, done = asyncio.run(watched(stuck, lambda acked, killed: bool(killed)))
    assert done == 0
    assert DEAD_AFTER <= killed[0] < 2 * DEAD_AFTER
