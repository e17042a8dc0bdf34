"""How Keelwatch talks to a broker: one configuration function per kind, one security for every client."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

import faust
from aiokafka.admin import AIOKafkaAdminClient
from pydantic import TypeAdapter

from schemas.topics import TOPICS
from services.settings import Brokers, Settings
from services.stream.broker_security import NO_SECURITY, BrokerError, Security, security_of

HOST: Final = "127.0.0.1"
"""Where probes, pages and API answer unless another address is named: to this machine alone."""

EMBEDDED_CLUSTER: Final = "keelwatch-embedded-"
"""Cluster ids of the embedded broker begin so: by this a client knows what it talks to."""

BrokerKind = Literal["embedded", "kafka"]

MAX_BYTES: Final = max(topic.max_message_bytes for topic in TOPICS)
REQUEST_SECONDS: Final = 10
METADATA_SECONDS: Final = 10
"""How old what a consumer knows of its topics may be: added partitions are read within half a minute."""
SESSION_SECONDS: Final = 30.0
"""A member of Apache Kafka's groups that has a name is given up after so many seconds without a sign of it."""
_FETCH_BYTES: Final = 2 * MAX_BYTES


@dataclass(frozen=True, slots=True)
class Broker:
    """A cluster, as far as a client must know it.

    Attributes:
        bootstrap: HOST:PORT, several with commas between.
        cluster: the cluster's id, part of every position; empty until `recognised` has asked for it.
        instance: stable name of this replica, for static membership in its consumer groups.
        deployment: id of the database that the work on this cluster is for; empty where there is none.
    """

    bootstrap: str
    kind: BrokerKind = "kafka"
    security: Security = NO_SECURITY
    instance: str | None = None
    cluster: str = ""
    deployment: str = ""


@dataclass(frozen=True, slots=True)
class ClientOptions:
    """Keyword arguments for each client of one broker.

    Attributes:
        faust: for `faust.App`. producer, consumer, admin: for aiokafka's clients.
    """

    faust: Mapping[str, Any]
    producer: Mapping[str, Any]
    consumer: Mapping[str, Any]
    admin: Mapping[str, Any]


def broker_of(settings: Settings, bootstrap: str | None = None) -> Broker:
    """The broker of `bootstrap` or of the settings, with the settings' security.

    Raises:
        BrokerError: if there is none, or if its security would not be what a person must think it is.
    """
    address = bootstrap or settings.kafka_bootstrap
    if not address:
        raise BrokerError("no broker: give --bootstrap HOST:PORT, or set KEELWATCH_KAFKA_BOOTSTRAP")
    return Broker(_checked(address), security=security_of(settings), instance=settings.instance)


def options(broker: Broker, group: str = "keelwatch") -> ClientOptions:
    """The options for every client of this broker; `group` is the consumer group, faust's app id."""
    return _embedded(broker, group) if broker.kind == "embedded" else _kafka(broker, group)


async def recognised(broker: Broker) -> Broker:
    """The broker with its cluster's id and its kind, as it tells them itself.

    Raises:
        aiokafka.errors.KafkaError: if it cannot be reached.
    """
    admin = AIOKafkaAdminClient(**options(broker).admin)
    try:
        await admin.start()
        cluster = str((await admin.describe_cluster())["cluster_id"])
    finally:
        await admin.close()
    return replace(broker, kind="embedded" if cluster.startswith(EMBEDDED_CLUSTER) else "kafka", cluster=cluster)


def _checked(address: str) -> str:
    try:
        return TypeAdapter(Brokers).validate_python(address)
    except ValueError:
        raise BrokerError(f"--bootstrap {address}: must be HOST:PORT, several with commas between") from None


def _kafka(broker: Broker, group: str) -> ClientOptions:
    """Apache Kafka. With a name of its own a replica that was killed is back in its group within two seconds.

    A group that is dealt anew waits for members that do not answer for as long as the rebalance time-out; those with a
    name stay members after it, until the session ends.
    """
    session = SESSION_SECONDS if broker.instance else 10.0
    member = {"consumer_group_instance_id": broker.instance} if broker.instance else {}
    limits = {"broker_session_timeout": session, "broker_rebalance_timeout": 15.0, "broker_heartbeat_interval": 1.0}
    return ClientOptions(
        faust={**_faust(broker, group), **limits, **member},
        producer=_producer(broker),
        consumer=_consumer(broker, fetch_wait_ms=500),
        admin=_admin(broker),
    )


def _embedded(broker: Broker, group: str) -> ClientOptions:
    """The embedded broker: it looks for new records at half of a fetch's wait."""
    limits = {"broker_session_timeout": 3.0, "broker_rebalance_timeout": 6.0, "broker_heartbeat_interval": 1.0}
    return ClientOptions(
        faust={**_faust(broker, group), **limits},
        producer=_producer(broker),
        consumer=_consumer(broker, fetch_wait_ms=50),
        admin=_admin(broker),
    )


def _faust(broker: Broker, group: str) -> dict[str, Any]:
    """What holds on every broker. Without a TLS context faust falls back to plain text silently: it always gets one."""
    security = broker.security
    common: dict[str, Any] = {
        "id": group,
        "broker": [f"kafka://{address.strip()}" for address in broker.bootstrap.split(",")],
        "web_enabled": False,
        "topic_allow_declare": False,
        "topic_disable_leader": True,
        "stream_wait_empty": False,
        "broker_commit_interval": 1.0,
        "worker_redirect_stdouts": False,
        "consumer_auto_offset_reset": "earliest",
        "consumer_metadata_max_age_ms": METADATA_SECONDS * 1000,  # partitions that are added are read soon
        "consumer_max_fetch_size": _FETCH_BYTES,
    }
    if security.tokens is not None:
        common["broker_credentials"] = faust.OAuthCredentials(oauth_cb=security.tokens, ssl_context=security.tls)
    elif security.protocol.startswith("SASL"):
        common["broker_credentials"] = faust.SASLCredentials(
            username=security.username,
            password=security.password,
            mechanism=security.mechanism,
            ssl_context=security.tls,
        )
    elif security.protocol == "SSL":
        common["broker_credentials"] = faust.SSLCredentials(context=security.tls)
    return common


def _admin(broker: Broker) -> dict[str, Any]:
    security = broker.security
    return {
        "bootstrap_servers": broker.bootstrap,
        "client_id": "keelwatch",
        "request_timeout_ms": REQUEST_SECONDS * 1000,
        "security_protocol": security.protocol,
        "ssl_context": security.tls,
        **security.sasl,
    }


def _producer(broker: Broker) -> dict[str, Any]:
    return {
        **_admin(broker),
        "acks": "all",
        # A batch that expires while the broker is away leaves a gap in the numbers of an idempotent producer of
        # aiokafka, and every later one is refused for ever. What is sent twice changes nothing here: see Producer.
        "enable_idempotence": False,
        "linger_ms": 5,
        "max_request_size": MAX_BYTES,
        "max_batch_size": 1024 * 1024,  # several blocks of scores go in one request
    }


def _consumer(broker: Broker, fetch_wait_ms: int) -> dict[str, Any]:
    return {
        **_admin(broker),
        "enable_auto_commit": False,
        "auto_offset_reset": "earliest",
        "fetch_max_wait_ms": fetch_wait_ms,
        "isolation_level": "read_committed",  # what a transaction took back was never said
        "max_partition_fetch_bytes": _FETCH_BYTES,
    }
