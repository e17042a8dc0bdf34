"""The order in which the doctor looks: what stands behind something broken is not looked at, and said to be so."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable

from aiokafka.errors import KafkaError

from services.doctor import core, kafka, local
from services.doctor.core import Contact, DoctorFinding
from services.errors import InputError
from services.settings import Settings
from services.stream.broker import Broker, broker_of, recognised
from services.stream.clients import Unreachable
from services.stream.unpacking import missing_codecs


async def examine(settings: Settings, start_embedder: Callable[[], object]) -> list[DoctorFinding]:
    """All findings, in the order of the flow."""
    here = [
        core.codecs(missing_codecs()),
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
    """Each question for itself: one that is not answered hides none of the others."""
    try:
        known = await recognised(broker)
    except (KafkaError, TimeoutError) as error:
        return [core.unanswered("topics", error)]

    async def workers() -> list[DoctorFinding]:
        members = await kafka.members(known) if known.kind == "kafka" else {}
        return [core.workers(settings.database, members)]

    asked = {"topics": kafka.topics(known), "workers": workers()}
    found = [one for check, question in asked.items() for one in await _answered(check, question)]
    return [*found, await kafka.clock(known)]


async def _answered(check: str, question: Awaitable[list[DoctorFinding]]) -> list[DoctorFinding]:
    try:
        return await question
    except (KafkaError, Unreachable, TimeoutError, ValueError) as error:
        return [core.unanswered(check, error.__cause__ or error.__context__ or error)]
