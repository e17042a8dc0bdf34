"""A cluster belongs to one database: a worker, an `up` and an API with another one are refused with one sentence."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from schemas.topics import EXCHANGES
from services.stream.broker import Broker
from services.stream.clients import admin
from tests.support.brokers import unused_ports
from tests.support.source import ROOT
from tests.support.streams import Worker, lag, publish, running, until

STEPS = "record"


def worker(broker: Broker, folder: Path) -> Worker:
    folder.mkdir(exist_ok=True)
    return Worker(folder, broker, STEPS, f"sqlite:///{folder / 'k.db'}")


def refused(broker: Broker, folder: Path, *command: str) -> None:
    """It ends with 2 and says one line."""
    folder.mkdir(exist_ok=True)
    given = {name: value for name, value in os.environ.items() if not name.startswith("KEELWATCH_")}
    done = subprocess.run(
        [sys.executable, "-m", "services.cli", *command, "--bootstrap", broker.bootstrap],
        cwd=ROOT,
        env={**given, "KEELWATCH_DATA_DIR": str(folder)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    told = [line for line in done.stderr.splitlines() if "belongs to another deployment" in line]
    assert done.returncode == 2, done.stderr[-3000:]
    assert len(told) == 1, done.stderr[-3000:]
    assert "KEELWATCH_DATABASE_URL" in told[0]


@pytest.mark.processes
def test_a_second_database_on_one_cluster_is_refused_and_the_first_is_not(broker: Broker, tmp_path: Path) -> None:
    """Also after the first has ended, and though it never had a record."""
    with running(worker(broker, tmp_path / "first")) as first:
        until(lambda: b"running" in first.log.read_bytes(), "the first one runs")
        until(lambda: committed(broker), "it has committed where it starts")
        assert first.stop() == 0
    port = str(unused_ports(1)[0])
    others = [
        ("second", "worker", "--only", "alert"),
        ("third", "api", "--port", port),
        ("fourth", "up", "--port", str(unused_ports(1)[0])),
    ]
    with ThreadPoolExecutor(len(others)) as pool:
        list(pool.map(lambda one: refused(broker, tmp_path / one[0], *one[1:]), others))
    with running(worker(broker, tmp_path / "first")) as again:
        until(lambda: again.log.read_bytes().count(b"running") == 2, "the first one runs again")
        publish(broker, f"{EXCHANGES.name}.score.dead", [(b"", b"no letter")])
        until(lambda: lag(broker, [STEPS]) == 0, "it works")
        assert again.stop() == 0


def committed(broker: Broker) -> bool:
    async def ask() -> bool:
        async with admin(broker) as client:
            return bool(await client.list_consumer_group_offsets(f"keelwatch.{STEPS}"))

    return asyncio.run(ask())
