"""`up` and `worker` do not run on one cluster together."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer

from schemas.topics import EXCHANGES
from services.errors import InputError
from services.stream.broker import Broker, options
from services.stream.consumer_groups import UP_GROUP, check_alone
from services.stream.topics import all_topics, create
from tests.support.brokers import unused_ports
from tests.support.source import ROOT


def test_each_sees_the_other_and_nobody_who_has_left(own_kafka: Any, tmp_path: Path) -> None:
    broker = Broker(own_kafka.bootstrap)

    async def scenario() -> None:
        await create(broker, all_topics(partitions=1))
        await check_alone(broker, together=True)
        await check_alone(broker, together=False)
        for group, together, seen in (("keelwatch.score", True, "keelwatch worker"), (UP_GROUP, False, "keelwatch up")):
            member = AIOKafkaConsumer(EXCHANGES.name, group_id=group, **options(broker).consumer)
            await member.start()
            try:
                with pytest.raises(InputError, match=f"`{seen}` runs on {broker.bootstrap}"):
                    await check_alone(broker, together=together)
                await check_alone(broker, together=not together)
                if together:
                    done = await asyncio.to_thread(_up, broker, tmp_path)
                    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
                    assert "(keelwatch.score): stop it" in done.stderr
            finally:
                await member.stop()
            await check_alone(broker, together=together)

    asyncio.run(scenario())


def _up(broker: Broker, folder: Path) -> subprocess.CompletedProcess[str]:
    env = {name: value for name, value in os.environ.items() if not name.startswith("KEELWATCH_")}
    command = [sys.executable, "-m", "services.cli", "up", "--port", str(unused_ports(1)[0])]
    return subprocess.run(
        [*command, "--bootstrap", broker.bootstrap],
        cwd=ROOT,
        env={**env, "KEELWATCH_DATA_DIR": str(folder)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
