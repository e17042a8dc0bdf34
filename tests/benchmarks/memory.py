"""Memory that attacks take, each in a process of its own: python -m tests.benchmarks.memory [NAME].

Prints the resident memory before, the most since, and what of it stays.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

MIB = 1024 * 1024
BOMB = """
import sys
from tests.support.forged import Forged, batch_of
open(sys.argv[1], "wb").write(batch_of([Forged(bytes(700 << 20))], 1))
"""


def resident(name: str = "VmRSS") -> float:
    """MiB of this process: now, or with VmHWM the most there was."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name)) / 1024


def learning_routes() -> Callable[[], object]:
    """300 routes that learn, 960 exchanges each, through detect's handler on SQLite."""
    from detectors import registered  # noqa: PLC0415 -- only what the measured process needs is in it
    from schemas.topics import SCORES  # noqa: PLC0415
    from services.monitor import RoutePolicy  # noqa: PLC0415
    from services.offload import Offload  # noqa: PLC0415
    from services.store.engine import open_database  # noqa: PLC0415
    from services.stream.handlers import detect_handler  # noqa: PLC0415
    from services.stream.stateful import HandlerResources, Threads  # noqa: PLC0415
    from services.stream.step_loop import StepLoop  # noqa: PLC0415
    from tests.support.blocks import blocks, rows  # noqa: PLC0415

    story = [one.encode() for one in blocks(rows(960), 64)]
    now, folder = datetime(2026, 6, 1, tzinfo=UTC), tempfile.TemporaryDirectory()
    database = open_database(f"sqlite:///{folder.name}/memory.db")

    async def cluster() -> str:
        return "c"

    async def send(_: object) -> None:
        await asyncio.sleep(0)

    def event(raw: bytes, route: int, offset: int) -> Any:
        value = raw.replace(b'"support-bot/prod"', b'"route/%d"' % route)
        message = SimpleNamespace(
            topic=SCORES.name,
            partition=0,
            offset=offset,
            value=value,
            timestamp=now.timestamp(),
            headers=None,
            generation_id=1,
        )
        return SimpleNamespace(message=message, ack=lambda: True)

    async def batches() -> Any:
        for turn, raw in enumerate(story):
            for first in range(0, 300, 64):
                yield [event(raw, route, turn * 300 + route) for route in range(first, min(first + 64, 300))]

    async def work() -> object:
        threads = Threads(Offload("cpu"), Offload("database"))
        tools = HandlerResources(database, threads, cluster)
        step = StepLoop(detect_handler(registered(), lambda route: RoutePolicy(), tools), send, lambda: 1)
        await step.run(batches())
        return step, folder

    return lambda: asyncio.run(work())


def tiny_lists() -> Callable[[], object]:
    """A body of 7 MiB of empty lists, as the API takes it in."""
    from services.api.exchange_publisher import prepare_all  # noqa: PLC0415
    from services.api.http.batch import BatchError  # noqa: PLC0415

    body = b'{"route":"r","model":{"requested":"m"},"prompt":"p","response":"a","extra":[' + b"[]," * (7 * MIB // 3)
    body += b"[]]}"

    def work() -> object:
        try:
            return prepare_all(body, False, datetime.now(UTC))
        except BatchError as error:
            return str(error)

    return work


def bomb() -> Callable[[], object]:
    """A batch of 712 KB on the topic that unpacks to 700 MiB, and the dead letter that comes of it."""
    from aiokafka.consumer import fetcher  # noqa: PLC0415
    from aiokafka.structs import TopicPartition  # noqa: PLC0415

    from services.stream import unpacking  # noqa: PLC0415

    with tempfile.TemporaryDirectory() as folder:  # made elsewhere: making it takes memory too
        path = Path(folder) / "bomb"
        subprocess.run([sys.executable, "-c", BOMB, str(path)], check=True)
        raw = path.read_bytes()
    unpacking.install()
    place = TopicPartition("keelwatch.exchanges", 0)

    def work() -> object:
        records = fetcher.PartitionRecords(place, fetcher.MemoryRecords(raw), None, 0, None, None, True, 0)
        return [len(one.value) for one in records]

    return work


ATTACKS = {"bomb": bomb, "tiny-lists": tiny_lists, "learning-routes": learning_routes}


def main() -> None:
    """Run one attack here, or each in its own process."""
    if len(sys.argv) < 2:
        for name in ATTACKS:
            subprocess.run([sys.executable, "-m", "tests.benchmarks.memory", name], check=True)
        return
    name = sys.argv[1]
    work = ATTACKS[name]()
    before = resident()
    left = work()
    print(
        f"{name}: {before:.0f} MiB before, {resident('VmHWM'):.0f} at most, {resident():.0f} after ({str(left)[:90]})"
    )


if __name__ == "__main__":
    main()
