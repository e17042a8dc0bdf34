"""What is asked of a cluster that answers: its topics, its clock, who is in Keelwatch's groups."""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final

from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from services.doctor import core
from services.doctor.core import Finding
from services.stream.config import Broker, options
from services.stream.topics import all_topics, look

GROUPS: Final = "keelwatch."
_APPEND_TIME: Final = 1


async def clock(broker: Broker) -> Finding:
    """This machine's clock against the broker's.

    Kafka tells its time nowhere but in the stamp of an appended record: a topic that lives for this one record is
    made and deleted.
    """
    admin = AIOKafkaAdminClient(**options(broker).admin)
    name = f"keelwatch.doctor.{uuid.uuid4().hex[:12]}"
    try:
        await admin.start()
        topic = NewTopic(name, 1, 1, topic_configs={"message.timestamp.type": "LogAppendTime", "retention.ms": "60000"})
        [outcome] = (await admin.create_topics([topic])).topic_errors
        if outcome[1]:
            return _unasked("this user may not create a topic for the question")
        try:
            return await _stamped(broker, name)
        finally:
            await admin.delete_topics([name])
    except Exception as error:
        return _unasked(f"the question failed: {type(error).__name__}")
    finally:
        with suppress(Exception):
            await admin.close()


async def _stamped(broker: Broker, topic: str) -> Finding:
    producer = AIOKafkaProducer(**{**options(broker).producer, "linger_ms": 0})
    await producer.start()
    try:
        await producer.partitions_for(topic)
        begin, started = time.time(), time.monotonic()
        answer = await producer.send_and_wait(topic, b"clock")
        took = time.monotonic() - started
    finally:
        await producer.stop()
    if answer.timestamp_type != _APPEND_TIME:
        return _unasked("the broker stamps no records")
    return core.clock("the broker's", begin + took / 2 - answer.timestamp / 1000, took / 2)


async def topics(broker: Broker) -> list[Finding]:
    """Keelwatch's topics on the cluster against what they must be.

    Raises:
        Unreachable: if the cluster does not tell.
    """
    found = await look(broker, all_topics())
    return core.topics({one.topic.name: one.deviations for one in found})


async def members(broker: Broker) -> Mapping[str, int]:
    """Members now in each of Keelwatch's consumer groups."""
    admin = AIOKafkaAdminClient(**options(broker).admin)
    try:
        await admin.start()
        groups = [name for name, *_ in await admin.list_consumer_groups() if name.startswith(GROUPS)]
        found: dict[str, int] = {}
        for answer in await admin.describe_consumer_groups(groups) if groups else ():
            for group in answer.groups:
                found[_field(group, "group", 1)] = len(_field(group, "members", 5))
        return found
    finally:
        with suppress(Exception):
            await admin.close()


def _field(group: Any, name: str, place: int) -> Any:
    return getattr(group, name) if hasattr(group, name) else group[place]


def _unasked(why: str) -> Finding:
    return Finding(
        "clock", "skipped", "unknown", f"not compared with the broker's: {why}", "compare it by hand, or by NTP"
    )
