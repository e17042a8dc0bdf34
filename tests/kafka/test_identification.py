"""Every way to be known to a broker works for every client, and what is wrong with one is said, on a real broker."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from services.doctor import core, kafka
from services.settings import load_settings
from services.stream.broker import Broker, broker_of, options
from services.stream.clients import Unreachable, connected_broker
from services.stream.oauth_tokens import NoTokenError
from services.stream.producer import Producer
from tests.kafka.test_security import AGENT, made, one
from tests.support import kafka as brokers
from tests.support.authorities import CLIENT, DAY, SECRET, authority
from tests.support.brokers import PASSWORD, USER
from tests.support.identifying_kafka import IdentifyingKafka
from tests.support.source import ROOT

pytestmark = pytest.mark.kafka
KEY_PASSWORD = "key-password"
TOKEN_LIFE = timedelta(minutes=5).total_seconds()


@dataclass(frozen=True)
class Ways:
    """The environment for each way; secrets stand in files."""

    server: IdentifyingKafka
    folder: Path
    token_url: str

    def secret(self, name: str, value: str) -> str:
        """A file that holds it."""
        file = self.folder / f"secret.{name}"
        file.write_text(f"{value}\n")
        return str(file)

    def certificate(self, name: str = "mine") -> dict[str, str]:
        """TLS with a certificate of ours, the key encrypted."""
        pem = self.server.authority.signed(name, password=KEY_PASSWORD)
        return self.tls(self.server.mutual) | {
            "CERTIFICATE_FILE": str(pem),
            "KEY_FILE": str(pem.with_suffix(".key")),
            "KEY_PASSWORD_FILE": self.secret("key", KEY_PASSWORD),
        }

    def password(self, mechanism: str, password: str = PASSWORD) -> dict[str, str]:
        """A user by one mechanism, over TLS."""
        secret = {"USERNAME": USER, "PASSWORD_FILE": self.secret(f"password.{mechanism}", password)}
        tls = self.tls(self.server.users)
        return tls | {"SECURITY_PROTOCOL": "SASL_SSL", "SASL_MECHANISM": mechanism, **secret}

    def endpoint(self, secret: str = SECRET) -> dict[str, str]:
        """Tokens of the issuer's endpoint."""
        return self._tokens() | {
            "TOKEN_URL": self.token_url,
            "TOKEN_CLIENT_ID": CLIENT,
            "TOKEN_CLIENT_SECRET_FILE": self.secret("client", secret),
            "TOKEN_SCOPE": "kafka",
            "TOKEN_EXTENSIONS": "logicalCluster=lkc-1,identityPoolId=pool-2",
        }

    def file(self, life: float = TOKEN_LIFE, **claims: str) -> dict[str, str]:
        """A token in a file."""
        return self._tokens() | {"TOKEN_FILE": self.secret("token", self.server.issuer.token(life, **claims))}

    def tls(self, address: str) -> dict[str, str]:
        """TLS alone."""
        return {"BOOTSTRAP": address, "SECURITY_PROTOCOL": "SSL", "CA_FILE": str(self.server.authority.pem)}

    def _tokens(self) -> dict[str, str]:
        known = {"SECURITY_PROTOCOL": "SASL_PLAINTEXT", "SASL_MECHANISM": "OAUTHBEARER"}
        return {"BOOTSTRAP": self.server.tokens, **known}


@pytest.fixture(scope="module")
def server() -> Iterator[IdentifyingKafka]:
    """One broker with a listener for each kind."""
    with brokers.identifying_kafka() as found:
        if found is None:
            pytest.skip(brokers.ABSENT)
        yield found


@pytest.fixture
def ways(server: IdentifyingKafka, tmp_path: Path) -> Iterator[Ways]:
    """Ways to the broker, and an issuer whose endpoint answers."""
    with server.issuer.endpoint(TOKEN_LIFE) as url:
        yield Ways(server, tmp_path, url)


WAYS: dict[str, Callable[[Ways], dict[str, str]]] = {
    "certificate": Ways.certificate,
    "PLAIN": lambda ways: ways.password("PLAIN"),
    "SCRAM-SHA-256": lambda ways: ways.password("SCRAM-SHA-256"),
    "SCRAM-SHA-512": lambda ways: ways.password("SCRAM-SHA-512"),
    "token of an endpoint": Ways.endpoint,
    "token in a file": Ways.file,
}


def named(given: dict[str, str]) -> dict[str, str]:
    return {f"KEELWATCH_KAFKA_{name}": value for name, value in given.items()}


def broker_by(given: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Broker:
    for name, value in named(given).items():
        monkeypatch.setenv(name, value)
    return broker_of(load_settings())


def finding(broker: Broker) -> core.DoctorFinding:
    return core.broker(broker.security.protocol, asyncio.run(kafka.approach(broker.bootstrap, broker.security)))


@pytest.mark.parametrize("way", WAYS)
def test_topics_publish_capture_and_doctor_are_let_in(
    ways: Ways, keelwatch, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, way: str
) -> None:
    broker = broker_by(WAYS[way](ways), monkeypatch)
    topic = made(broker)
    file = tmp_path / "f.jsonl"
    file.write_text(json.dumps({"route": "r", "prompt": "p", "response": "yes", "model": {"requested": "m"}}) + "\n")
    assert keelwatch("publish", file, "--topic", topic)[:2] == (0, "sent 1, acknowledged 1, failed 0\n")
    code, said, _ = keelwatch("capture", "--topic", topic, "--out", "-", "--from-beginning", "--until-idle", 0.2)
    assert (code, json.loads(said)["prompt"]) == (0, "p")
    assert finding(broker).cause == "ok"


def test_faust_is_let_in_by_certificate_and_by_token(
    ways: Ways, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Passwords: tests/kafka/test_security.py."""
    running = []
    for way in ("certificate", "token of an endpoint"):
        given = WAYS[way](ways)
        with monkeypatch.context() as patch:
            broker = broker_by(given, patch)
        topic = made(broker)
        asyncio.run(one(broker, topic, way.encode()))
        command = [sys.executable, "-c", AGENT, f"group.{topic}", topic, str(tmp_path / topic)]
        env = os.environ | named(given)
        running.append(subprocess.Popen(command, cwd=ROOT, env=env, stdout=subprocess.PIPE, text=True))
    said = [process.communicate(timeout=60)[0].strip() for process in running]
    assert said == ["seen certificate", "seen token of an endpoint"]


def test_clients_go_on_when_their_token_and_with_it_their_connection_ended(
    server: IdentifyingKafka, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with server.issuer.endpoint(life=1) as url:
        broker = broker_by(Ways(server, tmp_path, url).endpoint(), monkeypatch)
        topic = made(broker)

        async def send() -> list[int]:
            producer = Producer(broker)
            await producer.start()
            try:
                places = []
                for _ in range(8):
                    places.append((await producer.send(topic, b"k", b"{}")).offset)
                    await asyncio.sleep(0.2)
                return places
            finally:
                await producer.stop()

        before = server.issuer.asked
        assert sorted(set(asyncio.run(send()))) == list(range(8))
    assert server.issuer.asked > before


def stranger(ways: Ways) -> dict[str, str]:
    folder = ways.folder / "stranger"
    folder.mkdir()
    pem = authority(folder, "stranger").signed("unknown")
    ours = {"CERTIFICATE_FILE": str(pem), "KEY_FILE": str(pem.with_suffix(".key"))}
    return ways.tls(ways.server.mutual) | ours


def ended(ways: Ways) -> dict[str, str]:
    pem = ways.server.authority.signed("ended", until=-DAY)
    both = ways.folder / "both.pem"  # certificate and key may stand in one file
    both.write_text(pem.read_text() + pem.with_suffix(".key").read_text())
    return ways.tls(ways.server.mutual) | {"CERTIFICATE_FILE": str(both)}


def of_passwords(ways: Ways) -> dict[str, str]:
    return ways.endpoint() | ways.tls(ways.server.users) | {"SECURITY_PROTOCOL": "SASL_SSL"}


WRONG: dict[str, tuple[Callable[[Ways], dict[str, str]], str, str]] = {
    "password": (lambda ways: ways.password("PLAIN", "guess"), "wrong_password", "KEELWATCH_KAFKA_PASSWORD"),
    "no certificate": (
        lambda ways: ways.tls(ways.server.mutual),
        "own_missing",
        "KEELWATCH_KAFKA_CERTIFICATE_FILE",
    ),
    "another authority's": (stranger, "own_refused", "KEELWATCH_KAFKA_CERTIFICATE_FILE"),
    "ended certificate": (ended, "own_ended", "KEELWATCH_KAFKA_CERTIFICATE_FILE"),
    "another audience": (lambda ways: ways.file(aud="other"), "token_refused", "audience"),
    "ended token": (lambda ways: ways.file(life=-60), "token_refused", "expired"),
    "client secret": (lambda ways: ways.endpoint("guess"), "no_token", "KEELWATCH_KAFKA_TOKEN_CLIENT_SECRET"),
    "mechanism": (of_passwords, "mechanism", "it offers PLAIN, SCRAM-SHA-256, SCRAM-SHA-512"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_the_doctor_says_what_is_wrong_and_the_remedy(ways: Ways, monkeypatch: pytest.MonkeyPatch, wrong: str) -> None:
    given, cause, said = WRONG[wrong]
    found = finding(broker_by(given(ways), monkeypatch))
    assert (found.cause, found.state) == (cause, "wrong")
    assert said in f"{found.message} {found.remedy}"
    assert "guess" not in found.message


def test_a_token_that_cannot_be_had_is_a_fault_of_the_broker_that_is_waited_for(
    ways: Ways, monkeypatch: pytest.MonkeyPatch
) -> None:
    broker = broker_by(ways.endpoint("guess"), monkeypatch)
    with pytest.raises(Unreachable, match="none let us in"):
        asyncio.run(connected_broker(broker))
    tokens = options(broker).admin["sasl_oauth_token_provider"]
    with pytest.raises(NoTokenError, match="CLIENT_SECRET"):
        asyncio.run(tokens.token())
