"""Every cause of a broker that does not work is told apart, on a real one."""

from __future__ import annotations

import asyncio
import gc
import json
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Thread

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from schemas.topics import EXCHANGES
from services.doctor import core, kafka
from services.doctor.core import Contact
from services.stream.broker import Broker, options, recognised
from services.stream.broker_security import Security
from services.stream.topics import all_topics, create
from tests.support.brokers import PASSWORD, USER, Kafka, certificate, unused_ports
from tests.support.kafka import Cluster
from tests.support.streams import Worker, groups, remove_topics, running, until


def finding(address: str, security: Security, patience: float = 5.0) -> core.DoctorFinding:
    return core.broker(security.protocol, asyncio.run(kafka.approach(address, security, patience)))


def sasl(protocol: str, ca: Path | None = None, password: str = PASSWORD, mechanism: str = "SCRAM-SHA-512") -> Security:
    return Security(protocol, mechanism, USER, password, ca)  # type: ignore[arg-type]


@contextmanager
def answering(answer: bytes, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1") -> Iterator[str]:
    """A server that says `answer` to whoever asks something; one that says nothing keeps its connections."""
    held: list[socket.socket] = []

    def serve() -> None:
        while True:
            try:
                held.append(server.accept()[0])
            except OSError:
                return
            with suppress(OSError):
                held[-1].settimeout(5)
                if tls:
                    held[-1] = tls.wrap_socket(held[-1], server_side=True, do_handshake_on_connect=False)
                    held[-1].do_handshake()
                held[-1].recv(1000)
                held[-1].sendall(answer)
            if answer:
                held.pop().close()

    with socket.create_server((host, 0)) as server:
        thread = Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield f"{host}:{server.getsockname()[1]}"
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join(10)
            for one in held:
                one.close()


def test_what_is_right_is_ok(secured: Kafka) -> None:
    for address, security in (
        (secured.bootstrap, Security()),
        (secured.sasl, sasl("SASL_PLAINTEXT")),
        (secured.sasl_ssl, sasl("SASL_SSL", secured.ca)),
    ):
        assert finding(address, security).state == "ok"


@pytest.mark.parametrize(
    ("port", "security", "cause"),
    [
        ("sasl_ssl", Security(), "tls_port"),
        ("sasl_ssl", sasl("SASL_PLAINTEXT"), "tls_port"),
        ("bootstrap", Security("SSL"), "plain_port"),
        ("sasl", sasl("SASL_SSL"), "plain_port"),
        ("sasl_ssl", sasl("SASL_SSL"), "wrong_ca"),
        ("sasl", sasl("SASL_PLAINTEXT", password="guess"), "wrong_password"),
        ("sasl", sasl("SASL_PLAINTEXT", mechanism="SCRAM-SHA-256"), "mechanism"),
        ("bootstrap", sasl("SASL_PLAINTEXT"), "no_sasl"),
        ("sasl", Security(), "needs_sasl"),
    ],
)
def test_what_settings_and_port_do_not_agree_on(secured: Kafka, port: str, security: Security, cause: str) -> None:
    found = finding(getattr(secured, port), security)
    assert (found.cause, found.state) == (cause, "wrong")
    assert found.remedy
    assert PASSWORD not in found.message


def test_over_tls_a_wrong_password_and_a_missing_one(secured: Kafka) -> None:
    assert finding(secured.sasl_ssl, sasl("SASL_SSL", secured.ca, "guess")).cause == "wrong_password"
    assert finding(secured.sasl_ssl, Security("SSL", ca_file=secured.ca)).cause == "needs_sasl"


def test_a_certificate_of_another_authority(secured: Kafka, tmp_path: Path) -> None:
    assert finding(secured.sasl_ssl, sasl("SASL_SSL", certificate(tmp_path, "other"))).cause == "wrong_ca"


def test_a_certificate_for_another_name(tmp_path: Path) -> None:
    """The certificate is for localhost and 127.0.0.1."""
    pem = certificate(tmp_path, "here")
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(pem, tmp_path / "here.key")
    with answering(b"x", tls, "127.0.0.2") as address:
        assert finding(address, Security("SSL", ca_file=pem)).cause == "wrong_host"
    with answering(b"x", tls) as address:
        assert finding(address, Security("SSL", ca_file=pem), patience=1).cause != "wrong_host"
    assert core.broker("SSL", Contact("h:1", "talk", "SSLCertVerificationError", 10)).cause == "expired"


def test_nothing_stays_open_of_a_server_that_never_ends_a_connection(tmp_path: Path) -> None:
    """Over TLS a polite end waits for the other side's."""
    pem = certificate(tmp_path, "here")
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(pem, tmp_path / "here.key")
    with answering(b"", tls) as address:
        assert finding(address, Security("SSL", ca_file=pem), patience=0.3).state == "wrong"
    gc.collect()  # what is open and forgotten warns now, and a warning is an error


def test_nothing_there_or_something_else() -> None:
    (port,) = unused_ports(1)
    assert finding(f"127.0.0.1:{port}", Security()).cause == "refused"
    assert finding("no-such-host.invalid:9092", Security()).cause == "unresolved"
    with answering(b"HTTP/1.1 400 Bad Request\r\n\r\n") as address:
        assert finding(address, Security()).cause == "no_kafka"
    with answering(b"") as address:
        assert finding(address, Security(), patience=0.3).cause == "no_answer"


def test_brokers_that_the_cluster_names_and_nobody_reaches(apache: Cluster) -> None:
    found = core.broker("PLAINTEXT", Contact("h:1", "done", unreachable=("kafka-0.internal:9092",)))
    assert (found.cause, "kafka-0.internal:9092" in found.message) == ("advertised", True)
    assert asyncio.run(kafka.approach(apache.bootstrap, Security())).unreachable == ()


def test_the_brokers_clock_is_asked_and_nothing_is_left_behind(apache: Cluster) -> None:
    before = asyncio.run(_topics(apache.broker))
    assert asyncio.run(kafka.clock(apache.broker)).state == "ok"
    assert {
        name for name in asyncio.run(_topics(apache.broker)) - before if name.startswith("keelwatch.doctor")
    } == set()


def test_the_embedded_broker_is_well(embedded_broker: Cluster) -> None:
    assert finding(embedded_broker.bootstrap, Security()).state == "ok"
    assert asyncio.run(kafka.clock(embedded_broker.broker)).state in {"ok", "skipped"}


def test_the_command_finds_missing_and_deviating_topics_and_health(own_kafka: Kafka, tmp_path: Path) -> None:
    environment = {"KEELWATCH_KAFKA_BOOTSTRAP": own_kafka.bootstrap, "KEELWATCH_DATA_DIR": str(tmp_path)}
    code, found = _doctor(environment)
    assert code == 1
    assert found["topics"]["cause"] == "missing"
    assert found["topics"]["remedy"] == "`keelwatch topics create`"
    assert {
        found[name]["state"] for name in ("broker", "clock", "workers", "disk", "database", "embedder", "monitor")
    } == {"ok"}

    asyncio.run(_make(own_kafka.bootstrap, "keelwatch.exchanges"))
    lines = _run(environment).stdout
    assert "keelwatch.exchanges retention.ms: 604800001 instead of 604800000" in lines
    assert "-> `keelwatch topics check` shows all of it" in lines

    broker = asyncio.run(recognised(Broker(own_kafka.bootstrap)))
    remove_topics(broker, [EXCHANGES])
    asyncio.run(create(broker, all_topics()))
    database = f"sqlite:///{tmp_path / 'keelwatch.db'}"
    with running(Worker(tmp_path, broker, "detect,record", database)):  # two groups: kafka-doctor-two-groups
        until(lambda: set(groups(broker, ("detect", "record")).values()) == {("Stable", 1)}, "the worker has joined")
        code, found = _doctor({**environment, "KEELWATCH_DATABASE_URL": database})
    assert {name: one["state"] for name, one in found.items() if one["state"] != "ok"} == {}
    looked = {"broker", "codecs", "topics", "time", "workers", "clock", "disk", "database", "embedder", "monitor"}
    assert (code, set(found)) == (0, looked)


@pytest.mark.processes
def test_settings_that_contradict_themselves_are_one_clear_line(tmp_path: Path) -> None:
    code, found = _doctor(
        {
            "KEELWATCH_KAFKA_BOOTSTRAP": "127.0.0.1:1",
            "KEELWATCH_KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
            "KEELWATCH_DATA_DIR": str(tmp_path),
        }
    )
    assert (code, found["broker"]["cause"]) == (1, "settings")
    assert "KEELWATCH_KAFKA_PASSWORD" in found["broker"]["message"]


async def _topics(broker: Broker) -> set[str]:
    admin = AIOKafkaAdminClient(**options(broker).admin)
    try:
        await admin.start()
        return set(await admin.list_topics())
    finally:
        await admin.close()


async def _make(bootstrap: str, name: str) -> None:
    admin = AIOKafkaAdminClient(**options(await recognised(Broker(bootstrap))).admin)
    try:
        await admin.start()
        await admin.create_topics([NewTopic(name, 6, 1, topic_configs={"retention.ms": "604800001"})])
    finally:
        await admin.close()


def _run(environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "services.cli", "doctor"]
    return subprocess.run([*command], env={"PATH": "", **environment}, capture_output=True, text=True, check=False)


def _doctor(environment: dict[str, str]) -> tuple[int, dict[str, dict[str, str]]]:
    command = [sys.executable, "-m", "services.cli", "doctor", "--json", "-"]
    done = subprocess.run(command, env={"PATH": "", **environment}, capture_output=True, text=True, check=False)
    assert done.returncode in {0, 1}, done.stderr
    return done.returncode, {one["check"]: one for one in json.loads(done.stdout)}
