"""`keelwatch up` as a person runs it: with the embedded broker and the real worker."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from services.store import rollups
from services.store.engine import open_database
from tests.support.brokers import unused_ports
from tests.support.source import ROOT
from tests.support.streams import until

pytestmark = pytest.mark.kafka
EXCHANGE = {"route": "shop/prod", "model": {"requested": "gpt-4"}, "prompt": "Where is it?", "response": "On its way."}


@dataclass
class Up:
    folder: Path
    port: int
    broker: int
    process: subprocess.Popen[bytes]

    @property
    def said(self) -> str:
        return (self.folder / "said").read_text()

    def ready(self) -> bool:
        assert self.process.poll() is None, self.said
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/readyz", timeout=5) as answer:
                return answer.status == 200
        except (urllib.error.URLError, OSError):
            return False

    def children(self) -> dict[str, int]:
        """The worker and the broker that run below it, once both do: process ids."""
        until(lambda: set(self._listed()) == {"broker", "worker"}, "a worker and a broker run")
        return self._listed()

    def _listed(self) -> dict[str, int]:
        """What is listed. A child that is forked and not executed yet is called like its parent: it is neither."""
        command = ["ps", "-ww", "-o", "pid=,args=", "--ppid", str(self.process.pid)]
        listed = subprocess.run(command, capture_output=True, text=True, check=False).stdout
        lines = [line.split(maxsplit=1) for line in listed.splitlines()]
        kinds = {"tansu broker": "broker", "worker --together": "worker"}
        return {kind: int(pid) for pid, args in lines for words, kind in kinds.items() if words in args}


def _environment(folder: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("KEELWATCH_")}
    return {**kept, "KEELWATCH_DATA_DIR": str(folder), "OMP_NUM_THREADS": "1"}


def _keelwatch(folder: Path, *args: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "services.cli", *args]
    return subprocess.run(
        command, cwd=ROOT, env=_environment(folder), capture_output=True, text=True, check=False, timeout=120
    )


@contextmanager
def _up(folder: Path) -> Iterator[Up]:
    port, broker = unused_ports(2)
    command = [sys.executable, "-m", "services.cli", "up", "--port", str(port), "--broker-port", str(broker)]
    with (folder / "said").open("ab") as out:
        process = subprocess.Popen(command, cwd=ROOT, env=_environment(folder), stdout=out, stderr=out)
    try:
        yield Up(folder, port, broker, process)
    finally:
        process.kill()
        process.wait()


def _counted(folder: Path) -> int:
    database = open_database(f"sqlite:///{folder / 'keelwatch.db'}", create=False)
    try:
        return sum(rate.n for rate in database.query(rollups.rates, "shop/prod") if rate.signal == "")
    finally:
        database.close()


def _publish(up: Up, first: int, n: int) -> None:
    file = up.folder / "exchanges.jsonl"
    file.write_text("".join(json.dumps({**EXCHANGE, "id": f"e{i}"}) + "\n" for i in range(first, first + n)))
    done = _keelwatch(up.folder, "publish", str(file), "--bootstrap", f"127.0.0.1:{up.broker}")
    assert done.returncode == 0, done.stderr


def test_up_from_the_first_exchange_over_a_killed_worker_to_a_clean_end(tmp_path: Path) -> None:
    with _up(tmp_path) as up:
        until(up.ready, "up is ready")
        assert "embedded broker" in up.said
        assert "KEELWATCH_KAFKA_BOOTSTRAP=HOST:PORT" in up.said
        _publish(up, 0, 40)
        until(lambda: _counted(tmp_path) == 40, "40 exchanges")

        before = up.children()
        os.kill(before["worker"], signal.SIGKILL)
        _publish(up, 40, 40)
        until(lambda: _counted(tmp_path) == 80, "80 exchanges")
        after = up.children()
        assert (after["broker"] == before["broker"], after["worker"] == before["worker"]) == (True, False)

        beside = _keelwatch(tmp_path / "other", "worker", "--bootstrap", f"127.0.0.1:{up.broker}", "--only", "score")
        assert (beside.returncode, beside.stderr.count("\n")) == (2, 1)
        assert "`keelwatch up` runs on" in beside.stderr
        again = _keelwatch(tmp_path, "up", "--port", str(unused_ports(1)[0]))
        assert (again.returncode, again.stderr.count("\n")) == (2, 1)
        assert "another process uses the data directory" in again.stderr

        up.process.terminate()
        assert up.process.wait(30) == 0
        assert [Path(f"/proc/{pid}").exists() for pid in after.values()] == [False, False]
    assert _counted(tmp_path) == 80


def test_a_taken_port_is_one_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = _keelwatch(tmp_path, "up", "--port", port)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"keelwatch: --port {port}: Address already in use on 127.0.0.1; name a free port\n"


def test_credentials_without_a_broker_are_refused(tmp_path: Path) -> None:
    env = {**_environment(tmp_path), "KEELWATCH_KAFKA_SECURITY_PROTOCOL": "SASL_SSL"}
    command = [sys.executable, "-m", "services.cli", "up", "--port", str(unused_ports(1)[0])]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "set KEELWATCH_KAFKA_BOOTSTRAP too" in done.stderr
