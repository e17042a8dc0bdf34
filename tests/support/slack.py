"""Starts the fake Slack, and reads what it was told."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.fake_server import started

TEAM, APP = "T0KEELWATCH", "A0KEELWATCH"


@dataclass(frozen=True)
class FakeSlack:
    """A running fake; `url` is what KEELWATCH_SLACK_API_URL would be."""

    port: int
    file: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/api"

    @property
    def webhook(self) -> str:
        return f"http://127.0.0.1:{self.port}/services/T0/B0/secret"

    def script(self, *modes: str, after: float = 1) -> None:
        """How the next calls are answered; `after` seconds is what `limited` asks for."""
        self._post("/_script", [{"mode": mode, "after": after} for mode in modes])

    def forget_messages(self) -> None:
        """As if people had deleted all messages."""
        self._post("/_forget", {})

    def scopes(self, *names: str) -> None:
        """What the app may do from now on."""
        self._post("/_scopes", list(names))

    def people(self, *users: dict[str, Any], **groups: list[str]) -> None:
        """Who is there from now on, and in which groups."""
        self._post("/_people", {"users": {one["id"]: one for one in users}, "groups": groups})

    def calls(self) -> list[dict[str, Any]]:
        """Every call, in order."""
        text = self.file.read_text(encoding="utf-8") if self.file.exists() else ""
        return [json.loads(line) for line in text.splitlines()]

    def accepted(self, method: str | None = None) -> list[dict[str, Any]]:
        """The bodies of the calls that were accepted."""
        return [call["body"] for call in self.calls() if call["accepted"] and method in (None, call["method"])]

    def _post(self, path: str, body: Any) -> None:
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", json.dumps(body).encode())
        with urllib.request.urlopen(request, timeout=10) as answer:
            answer.read()


def member(id: str, team: str = TEAM, **more: Any) -> dict[str, Any]:
    """A user as `users.info` shows one."""
    flags = {"deleted": False, "is_bot": False, "is_restricted": False, "is_ultra_restricted": False}
    return {"id": id, "team_id": team, **flags, **more}


@contextmanager
def fake_slack(folder: Path) -> Iterator[FakeSlack]:
    """A fake Slack of one's own."""
    calls = folder / "calls.jsonl"
    with started("tests.support.fake_slack", str(calls)) as port:
        yield FakeSlack(port, calls)
