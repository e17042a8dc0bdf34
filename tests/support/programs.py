"""Starts the fake programs that incidents are told to, and reads what they were told."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from services.notify.receivers.http_post import HttpAddress
from tests.support.fake_programs import actions
from tests.support.fake_server import started

HOST = "127.0.0.1"


@dataclass(frozen=True)
class FakePrograms:
    """A running process of them."""

    port: int
    file: Path

    def url(self, kind: str) -> str:
        return f"http://{HOST}:{self.port}/{kind}/in?token=secret"

    def address(self, kind: str, **more: Any) -> HttpAddress:
        return HttpAddress(self.url(kind), (HOST,), **more)

    def script(self, *modes: str) -> None:
        """How the next calls are answered."""
        request = urllib.request.Request(f"http://{HOST}:{self.port}/_script", json.dumps(modes).encode())
        with urllib.request.urlopen(request, timeout=10) as answer:
            answer.read()

    def calls(self) -> list[dict[str, Any]]:
        """Every call, in order."""
        text = self.file.read_text(encoding="utf-8") if self.file.exists() else ""
        return [json.loads(line) for line in text.splitlines()]

    def done(self) -> list[str]:
        """What the accepted calls did to alerts, `page` where a trigger paged somebody."""
        accepted = [call for call in self.calls() if call["accepted"]]
        return ["page" if one["paged"] else actions(one["kind"], one["path"], one["body"])[0] for one in accepted]

    def accepted(self) -> list[dict[str, Any]]:
        """The bodies of the calls that were accepted."""
        return [call["body"] for call in self.calls() if call["accepted"]]


@contextmanager
def fake_programs(folder: Path) -> Iterator[FakePrograms]:
    """Some of one's own."""
    calls = folder / "program-calls.jsonl"
    with started("tests.support.fake_programs", str(calls)) as port:
        yield FakePrograms(port, calls)
