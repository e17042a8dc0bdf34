"""Two processes with one KEELWATCH_INSTANCE: the newer has the name, the older ends."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

import pytest

from schemas.score import ScoreBlock
from schemas.topics import SCORES
from services.stream.broker import Broker
from services.stream.clients import partitions_of
from services.stream.process_health import EndOffsets
from tests.chaos.check import SCRIPT
from tests.support.streams import Worker, groups, lag, read_all, running, until
from tests.support.traffic import Steady, story

RATE = 100.0
QUICK = 15.0  # half of its session, for which nobody else would have its partitions


def worker(broker: Broker, folder: Path) -> Worker:
    folder.mkdir()
    return Worker(folder, broker, "score", "sqlite:///unused", environment={"KEELWATCH_INSTANCE": "same"})


def blocks(broker: Broker) -> int:
    """How many blocks of scores there are; workers may be making more."""

    async def ask() -> int:
        ends = EndOffsets(broker)
        try:
            return sum((await ends.of(await partitions_of(broker, SCORES.name))).values())
        finally:
            await ends.close()

    return asyncio.run(ask())


def scored(broker: Broker) -> Counter[str]:
    return Counter(id for one in read_all(broker, SCORES.name) for id in ScoreBlock.decode(one.value).id)


@pytest.mark.processes
def test_of_two_workers_with_one_name_the_newer_takes_over_and_the_older_ends(broker: Broker, tmp_path: Path) -> None:
    with ExitStack() as stack, Steady(broker, story(SCRIPT), RATE) as traffic:
        older = stack.enter_context(running(worker(broker, tmp_path / "older")))
        until(lambda: blocks(broker) > 0, "the older one scores")
        newer = stack.enter_context(running(worker(broker, tmp_path / "newer")))
        code = older.wait(30)
        log = older.log.read_text()
        assert older.process is not None
        assert newer.process is not None
        assert code == 2, log[-3000:]
        line = next(line for line in log.splitlines() if line.startswith("keelwatch: KEELWATCH_INSTANCE=same"))
        assert all(f"process {one.process.pid} on" in line for one in (older, newer)), line

        until(lambda: groups(broker, ["score"])["score"] == ("Stable", 1), "the newer one has all")
        newer.kill()
        before = blocks(broker)
        newer.start()
        until(lambda: newer.log.read_bytes().count(b"running score") == 2, "the one that was killed runs again")
        begin = time.monotonic()  # the start of a process takes what the machine has left
        until(lambda: blocks(broker) > before, "the one that was killed goes on")
        assert time.monotonic() - begin < QUICK

        accepted = traffic.finish()
        until(lambda: lag(broker, ["score"]) == 0, "all is acknowledged")
    found = scored(broker)
    assert set(found) == set(accepted)
    again = sum(n - 1 for n in found.values())
    assert again < RATE * 4, f"{again} of {len(accepted)} scored twice: a takeover or a kill is worth a second or two"
