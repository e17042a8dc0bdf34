"""What is asked of a broker: each address step by step, then topics, clock and consumer groups.

Step by step, so that what fails is known: the client's own error is the same for many causes.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
import time
import uuid
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal

from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.conn import AIOKafkaConnection
from aiokafka.errors import UnsupportedSaslMechanismError
from aiokafka.protocol.admin import SaslHandShakeRequest
from aiokafka.protocol.metadata import MetadataRequest
from cryptography import x509

from services.doctor import core
from services.doctor.core import Contact, DoctorFinding, is_kafka
from services.stream.broker import Broker, options
from services.stream.broker_security import Security
from services.stream.consumer_groups import group_sizes
from services.stream.oauth_tokens import NoTokenError
from services.stream.topics import all_topics, describe

PATIENCE: Final = 5.0
_API_VERSIONS: Final = 18
_CLIENT: Final = b"keelwatch-doctor"
_ENOUGH: Final = 64


async def approach(address: str, security: Security, patience: float = PATIENCE) -> Contact:
    """Connect, talk, authenticate and ask for the brokers at HOST:PORT.

    Raises:
        BrokerError: if a file of certificates cannot be used.
    """
    host, _, port = address.strip().rpartition(":")
    context = security.tls
    unconnected = await _connect(address, host, int(port), patience)
    if unconnected is not None:
        return unconnected
    contact = await _talk(address, security, context, patience)
    if contact.step == "done" or context is None:
        return contact
    alert = await _alert(host, int(port), context, patience)
    ours = security.certificate_file
    ended = ours is not None and not _valid_now(ours)
    return replace(contact, alert=alert, shows_certificate=ours is not None, certificate_ended=ended)


async def _talk(address: str, security: Security, context: ssl.SSLContext | None, patience: float) -> Contact:
    host, _, port = address.strip().rpartition(":")
    connection = _connection(host, int(port), security, context, patience)
    try:
        async with asyncio.timeout(2 * patience):
            await connection.connect()
    except Exception as error:
        failed = _failed(address, "talk", error, security.mechanism)
        if isinstance(error, UnsupportedSaslMechanismError):
            return replace(failed, words=await _offered(host, int(port), security, context, patience))
        return replace(failed, hello=await _hello(host, int(port), patience))
    else:
        return await _ask(address, connection, security.mechanism, patience)
    finally:
        await _break_off(connection)


async def _connect(address: str, host: str, port: int, patience: float) -> Contact | None:
    try:
        async with asyncio.timeout(patience):
            _, writer = await asyncio.open_connection(host, port)
    except socket.gaierror as error:
        return _failed(address, "resolve", error)
    except (OSError, TimeoutError) as error:
        return _failed(address, "connect", error)
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()
    return None


def _connection(
    host: str, port: int, security: Security, context: ssl.SSLContext | None, patience: float
) -> AIOKafkaConnection:
    return AIOKafkaConnection(
        host,
        port,
        client_id=_CLIENT.decode(),
        request_timeout_ms=int(patience * 1000),
        security_protocol=security.protocol,
        ssl_context=context,
        **security.sasl,
    )


async def _break_off(connection: AIOKafkaConnection) -> None:
    """Have it closed by the end of this: over TLS a polite end waits for the other side's, which need not come."""
    ended = connection.close()
    protocol = connection._protocol
    if protocol is not None:
        if protocol._transport is not None:
            protocol._transport.abort()
        await ended


async def _offered(host: str, port: int, security: Security, context: ssl.SSLContext | None, patience: float) -> str:
    """The mechanisms that the broker offers, as it tells whoever asks for another; empty when it does not."""
    bare = Security("PLAINTEXT" if context is None else "SSL")
    connection = _connection(host, port, bare, context, patience)
    try:
        async with asyncio.timeout(2 * patience):
            await connection.connect()
            answer = await connection.send(SaslHandShakeRequest(security.mechanism))
    except Exception:
        return ""
    finally:
        await _break_off(connection)
    return f"it offers {', '.join(sorted(answer.enabled_mechanisms))}" if answer.enabled_mechanisms else ""


async def _alert(host: str, port: int, context: ssl.SSLContext, patience: float) -> str:
    """OpenSSL's name of what ended a TLS connection when the broker had seen our certificate; empty if nothing did.

    By TLS 1.3 the broker looks at it when we think that the connection is there.
    """
    with suppress(OSError, TimeoutError):
        try:
            async with asyncio.timeout(patience):
                reader, writer = await asyncio.open_connection(host, port, ssl=context)
                try:
                    writer.write(_request())
                    await reader.read(1)
                finally:
                    writer.transport.abort()
        except ssl.SSLError as error:
            return error.reason or ""
    return ""


def _valid_now(certificate: Path) -> bool:
    found = x509.load_pem_x509_certificate(certificate.read_bytes())
    return found.not_valid_before_utc <= datetime.now(UTC) <= found.not_valid_after_utc


async def _ask(address: str, connection: AIOKafkaConnection, mechanism: str, patience: float) -> Contact:
    """Which brokers the cluster names, and whether they can be connected to."""
    try:
        async with asyncio.timeout(patience):
            answer = await connection.send(MetadataRequest([]))
    except Exception as error:
        return _failed(address, "metadata", error, mechanism)
    named = [(broker.host, broker.port) for broker in _brokers(answer)]
    found = await asyncio.gather(*(_connect(f"{host}:{port}", host, port, patience) for host, port in named))
    return Contact(address, "done", unreachable=tuple(one.address for one in found if one is not None))


def _brokers(answer: Any) -> list[Any]:
    """The brokers of a metadata answer: named tuples, or plain tuples beginning with id, host and port."""
    return [one if hasattr(one, "host") else _NamedBroker(*one[1:3]) for one in answer.brokers]


class _NamedBroker:
    def __init__(self, host: str, port: int) -> None:
        self.host, self.port = host, port


async def _hello(host: str, port: int, patience: float) -> bytes:
    """What an unencrypted question for the API versions gets first; empty when nothing comes."""
    got = b""
    with suppress(OSError, TimeoutError):
        async with asyncio.timeout(patience):
            reader, writer = await asyncio.open_connection(host, port)
            try:
                writer.write(_request())
                while len(got) < _ENOUGH and not is_kafka(got) and (more := await reader.read(_ENOUGH)):
                    got += more
            finally:
                writer.close()
                await writer.wait_closed()
    return got


def _request() -> bytes:
    """A question for the API versions, as bytes."""
    body = struct.pack(">hhih", _API_VERSIONS, 0, 1, len(_CLIENT)) + _CLIENT
    return struct.pack(">i", len(body)) + body


def _failed(
    address: str, step: Literal["resolve", "connect", "talk", "metadata"], error: BaseException, mechanism: str = ""
) -> Contact:
    code = error.verify_code if isinstance(error, ssl.SSLCertVerificationError) else 0
    words = error.verify_message if isinstance(error, ssl.SSLCertVerificationError) else ""
    if isinstance(error, NoTokenError):
        words = str(error.args[0])
    return Contact(address, step, type(error).__name__, code, words, mechanism=mechanism)


GROUPS: Final = "keelwatch."
_TIME_TYPE: Final = "message.timestamp.type"
_APPEND_TIME: Final = 1


async def clock(broker: Broker) -> DoctorFinding:
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
            return _clock_skipped("this user may not create a topic for the question")
        try:
            return await _stamped(broker, name)
        finally:
            await admin.delete_topics([name])
    except Exception as error:
        return _clock_skipped(f"the question failed: {type(error).__name__}")
    finally:
        with suppress(Exception):
            await admin.close()


async def _stamped(broker: Broker, topic: str) -> DoctorFinding:
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
        return _clock_skipped("the broker stamps no records")
    return core.clock("the broker's", begin + took / 2 - answer.timestamp / 1000, took / 2)


async def topics(broker: Broker) -> list[DoctorFinding]:
    """Keelwatch's topics on the cluster against what they must be.

    Raises:
        Unreachable: if the cluster does not tell.
    """
    found = await describe(broker, all_topics())
    times = {one.topic.name: dict(one.configs).get(_TIME_TYPE, "") for one in found if one.partitions}
    return [*core.topics({one.topic.name: one.deviations for one in found}), core.times(times)]


async def members(broker: Broker) -> Mapping[str, int]:
    """Members now in each of Keelwatch's consumer groups."""
    admin = AIOKafkaAdminClient(**options(broker).admin)
    try:
        await admin.start()
        groups = [name for name, *_ in await admin.list_consumer_groups() if name.startswith(GROUPS)]
        return await group_sizes(admin, groups)
    finally:
        with suppress(Exception):
            await admin.close()


def _clock_skipped(why: str) -> DoctorFinding:
    return DoctorFinding(
        "clock", "skipped", "unknown", f"not compared with the broker's: {why}", "compare it by hand, or by NTP"
    )
