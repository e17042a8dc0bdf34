"""`keelwatch api` as people run it: a process of its own, asked over HTTP."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.support.brokers import unused_ports
from tests.support.source import ROOT

STOP_SECONDS = 40


@dataclass
class Served:
    """The process, and where it answers."""

    process: subprocess.Popen[bytes]
    url: str
    log: Path

    def ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        """One request."""
        with httpx.Client(base_url=self.url, timeout=60, trust_env=False) as client:
            return client.request(method, path, **more)

    def ready(self) -> bool:
        """Whether it says that it is."""
        try:
            return self.ask("GET", "/readyz").status_code == 200
        except httpx.TransportError:
            return False

    def alive(self) -> bool:
        """Whether it answers."""
        assert self.process.poll() is None, self.log.read_text()
        try:
            return self.ask("GET", "/livez").status_code == 200
        except httpx.TransportError:
            return False

    def stop(self) -> int:
        """End it as its operator would; its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(STOP_SECONDS)


@contextmanager
def served(folder: Path, bootstrap: str, database: str) -> Iterator[Served]:
    """The process, started, and gone at the end whatever happens."""
    [port] = unused_ports(1)
    given = {
        **{name: value for name, value in os.environ.items() if not name.startswith("KEELWATCH_")},
        "KEELWATCH_DATA_DIR": str(folder / "data"),
        "KEELWATCH_DATABASE_URL": database,
        "KEELWATCH_KAFKA_BOOTSTRAP": bootstrap,
    }
    log = folder / "api.log"
    command = [sys.executable, "-m", "services.cli", "api", "--port", str(port)]
    with log.open("ab") as out:
        process = subprocess.Popen(command, cwd=ROOT, env=given, stdout=out, stderr=out)
    try:
        yield Served(process, f"http://127.0.0.1:{port}", log)
    finally:
        process.kill()
        process.wait()
