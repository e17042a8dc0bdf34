"""The order in which the doctor looks: what stands behind something broken is not looked at, and said to be so."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from aiokafka.errors import KafkaError

from services.doctor import core, kafka, local
from services.doctor.core import Contact, DoctorFinding
from services.errors import InputError
from services.settings import Settings
from services.stream.broker import Broker, broker_of, recognised
from services.stream.clients import Unreachable


async def examine(settings: Settings, start_embedder: Callable[[], object]) -> list[DoctorFinding]:
    """All findings, in the order of the flow."""
    here = [
        local.disk(settings.data_dir),
        *await asyncio.to_thread(local.database, settings.database),
        await asyncio.to_thread(local.embedder, start_embedder),
        local.monitor_file(settings.config),
    ]
    return [*await _of_broker(settings), *here]


async def _of_broker(settings: Settings) -> list[DoctorFinding]:
    if settings.kafka_bootstrap is None:
        message = "none is set: `keelwatch up` starts an embedded one, which keeps everything in memory"
        return [DoctorFinding("broker", "skipped", "none", message, "set KEELWATCH_KAFKA_BOOTSTRAP for Apache Kafka")]
    try:
        broker = broker_of(settings)
        addresses = broker.bootstrap.split(",")
        contacts = await asyncio.gather(*(kafka.approach(one, broker.security) for one in addresses))
    except InputError as error:
        return [DoctorFinding("broker", "wrong", "settings", str(error), "correct the settings")]
    found = _reached(broker.security.protocol, contacts)
    if all(contact.step != "done" for contact in contacts):
        return found
    return found + await _of_cluster(settings, broker)


def _reached(protocol: str, contacts: Iterable[Contact]) -> list[DoctorFinding]:
    return [core.broker(protocol, contact) for contact in contacts]


async def _of_cluster(settings: Settings, broker: Broker) -> list[DoctorFinding]:
    try:
        known = await recognised(broker)
        topics = await kafka.topics(known)
        members = await kafka.members(known) if known.kind == "kafka" else {}
    except (KafkaError, Unreachable, TimeoutError) as error:
        message = f"the cluster refuses to answer: {type(error).__name__}"
        remedy = "give the user the rights to describe the cluster, its topics and its groups"
        return [DoctorFinding("topics", "wrong", "refused", message, remedy)]
    return [*topics, await kafka.clock(known), core.workers(settings.database, members)]
