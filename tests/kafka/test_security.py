"""SCRAM over TLS works for every client, and nothing is sent in the clear that was not asked for by name."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import uuid
from pathlib import Path

import faust
import pytest

from schemas.topics import Topic
from services.settings import Settings
from services.stream import dead_letters
from services.stream.broker import Broker, broker_of, options
from services.stream.broker_security import BrokerError
from services.stream.clients import Unreachable, connected_broker
from services.stream.producer import Producer
from services.stream.topics import create
from tests.support.brokers import PASSWORD, USER, Kafka, certificate
from tests.support.source import ROOT

SCRAM = {"kafka_username": USER, "kafka_password": PASSWORD, "kafka_sasl_mechanism": "SCRAM-SHA-512"}
AGENT = """
import asyncio, os, sys
from services.settings import load_settings
from services.stream.broker import broker_of, options
import faust
given = options(broker_of(load_settings()), sys.argv[1])
app = faust.App(**given.faust, datadir=sys.argv[3])
raw = dict(key_type=bytes, key_serializer="raw", value_type=bytes, value_serializer="raw")
@app.agent(app.topic(sys.argv[2], **raw))
async def agent(stream):
    async for value in stream:
        print("seen", value.decode(), flush=True)
        os._exit(0)
async def main():
    await app.start()
    await app.wait_until_stopped()
app.finalize()
asyncio.run(main())
"""


def settings(server: Kafka, protocol: str = "SASL_SSL", **fields: object) -> Settings:
    where = {"SASL_SSL": server.sasl_ssl, "SASL_PLAINTEXT": server.sasl}[protocol]
    ca = {"kafka_ca_file": server.ca} if protocol == "SASL_SSL" else {}
    return Settings.model_validate(
        {"kafka_bootstrap": where, "kafka_security_protocol": protocol, **SCRAM, **ca, **fields}
    )


def environment(given: Settings) -> dict[str, str]:
    password = given.kafka_password.get_secret_value() if given.kafka_password else ""
    names = ("bootstrap", "security_protocol", "sasl_mechanism", "username", "ca_file")
    found = {f"KEELWATCH_KAFKA_{name.upper()}": str(getattr(given, f"kafka_{name}")) for name in names}
    return {name: value for name, value in found.items() if value != "None"} | {"KEELWATCH_KAFKA_PASSWORD": password}


def made(broker: Broker) -> str:
    name = f"secured.{uuid.uuid4().hex[:12]}"
    topics = [Topic(name, ("exchange",), "publishers", ("score",), partitions=2)]
    topics.append(Topic(f"{name}.score.dead", ("dead_letter",), "score", ("record",), partitions=1))
    assert [found.deviations for found in asyncio.run(create(broker, topics))[1]] == [(), ()]
    return name


async def one(broker: Broker, topic: str, value: bytes) -> int:
    producer = Producer(broker)
    await producer.start()
    try:
        return (await producer.send(topic, b"k", value)).offset
    finally:
        await producer.stop()


@pytest.mark.parametrize("protocol", ["SASL_SSL", "SASL_PLAINTEXT"])
def test_admin_producer_and_consumer_let_in_by_scram(secured: Kafka, protocol: str) -> None:
    broker = asyncio.run(connected_broker(broker_of(settings(secured, protocol))))
    assert broker.kind == "kafka"
    topic = made(broker)
    assert asyncio.run(one(broker, topic, b"{}")) == 0
    assert asyncio.run(dead_letters.replay(broker, [f"{topic}.score.dead"])).sent == 0


def test_commands_publish_and_capture_over_tls(secured: Kafka, keelwatch, monkeypatch, tmp_path: Path) -> None:
    for name, value in environment(settings(secured)).items():
        monkeypatch.setenv(name, value)
    topic = made(broker_of(settings(secured)))
    file = tmp_path / "f.jsonl"
    file.write_text(json.dumps({"route": "r", "prompt": "p", "response": "yes", "model": {"requested": "m"}}) + "\n")
    assert keelwatch("publish", file, "--topic", topic)[:2] == (0, "sent 1, acknowledged 1, failed 0\n")
    code, said, _ = keelwatch("capture", "--topic", topic, "--out", "-", "--from-beginning", "--until-idle", 1)
    assert (code, json.loads(said)["prompt"]) == (0, "p")


def test_faust_reads_over_tls(secured: Kafka, tmp_path: Path) -> None:
    broker = asyncio.run(connected_broker(broker_of(settings(secured))))
    topic = made(broker)
    asyncio.run(one(broker, topic, b"hello"))
    command = [sys.executable, "-c", AGENT, f"group.{topic}", topic, str(tmp_path / "faust")]
    env = os.environ | environment(settings(secured))
    run = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert "seen hello" in run.stdout, run.stderr


def test_fausts_credentials_always_have_a_tls_context_when_tls_is_asked_for(secured: Kafka) -> None:
    given = options(broker_of(settings(secured)), "g").faust["broker_credentials"]
    assert isinstance(given, faust.SASLCredentials)
    assert (given.protocol.value, given.mechanism.value) == ("SASL_SSL", "SCRAM-SHA-512")
    assert given.ssl_context is not None
    assert given.ssl_context.check_hostname


@pytest.mark.parametrize("wrong", ["password", "authority", "system's authorities", "no TLS"])
def test_who_is_not_let_in_is_told_so(secured: Kafka, tmp_path: Path, wrong: str) -> None:
    given = {
        "password": lambda: settings(secured, kafka_password="wrong"),
        "authority": lambda: settings(secured, kafka_ca_file=certificate(tmp_path, "stranger")),
        "system's authorities": lambda: settings(secured, kafka_ca_file=None),
        "no TLS": lambda: settings(secured, "SASL_PLAINTEXT", kafka_bootstrap=secured.sasl_ssl),
    }[wrong]()
    with pytest.raises(Unreachable, match="none let us in"):
        asyncio.run(connected_broker(broker_of(given)))


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        (SCRAM, "SASL_SSL"),  # no protocol: credentials would go unused, or in the clear
        ({"kafka_username": USER}, "SASL_SSL"),
        ({"kafka_sasl_mechanism": "PLAIN"}, "SASL_SSL"),
        ({"kafka_ca_file": "ca.pem"}, "KEELWATCH_KAFKA_CA_FILE"),
        ({**SCRAM, "kafka_security_protocol": "SSL"}, "SASL_SSL"),
        ({**SCRAM, "kafka_security_protocol": "SASL_PLAINTEXT", "kafka_ca_file": "ca.pem"}, "KEELWATCH_KAFKA_CA_FILE"),
        ({"kafka_security_protocol": "SASL_SSL"}, "KEELWATCH_KAFKA_USERNAME"),
        ({"kafka_security_protocol": "SASL_SSL", "kafka_username": USER}, "KEELWATCH_KAFKA_PASSWORD"),
    ],
)
def test_security_that_is_not_what_it_seems_is_refused(fields: dict[str, str], named: str) -> None:
    with pytest.raises(BrokerError) as refused:
        broker_of(Settings.model_validate({"kafka_bootstrap": "h:1", **fields}))
    assert named in str(refused.value)
    assert PASSWORD not in str(refused.value)


def test_a_ca_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "empty.pem").write_text("no certificate")
    for name in ("absent.pem", "empty.pem"):
        fields = {**SCRAM, "kafka_security_protocol": "SASL_SSL", "kafka_ca_file": tmp_path / name}
        broker = broker_of(Settings.model_validate({"kafka_bootstrap": "h:1", **fields}))
        with pytest.raises(BrokerError, match=name):
            options(broker)


def test_the_password_does_not_show() -> None:
    given = {"kafka_bootstrap": "h:1", "kafka_security_protocol": "SASL_PLAINTEXT", **SCRAM}
    broker = broker_of(Settings.model_validate(given))
    assert broker.security.password == PASSWORD
    assert PASSWORD not in repr(broker)


def test_a_replica_with_a_name_is_a_static_member() -> None:
    named = options(Broker("h:1", instance="a"), "g").faust
    assert (named["consumer_group_instance_id"], named["broker_session_timeout"]) == ("a", 30.0)
    unnamed = options(Broker("h:1"), "g").faust
    assert "consumer_group_instance_id" not in unnamed
    assert "consumer_group_instance_id" not in options(Broker("h:1", kind="embedded", instance="a"), "g").faust
