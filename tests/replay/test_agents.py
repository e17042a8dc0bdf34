"""`keelwatch replay` of an agent's traffic: a tool that is called otherwise is an alert of its own slice."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest

from tests.support.source import ROOT

pytestmark = pytest.mark.processes
ROUTE = "ops-agent/prod"
LEARNED, CHANGED, ALL = 300, 400, 700
CONFIG = """\
defaults:
  baseline: {size: 300, min_size: 100}
routes:
  ops-agent/*:
    floors: {destructive_tool_call: 0.02, guardrail_blocked: 0.05}
    slices: [tool, guardrail]
"""
ASKED = [
    f"{verb} the {thing} of {host}"
    for verb in ("check", "clean up", "list")
    for thing in ("builds", "logs", "queue")
    for host in ("alpha", "beta")
]


def exchange(i: int, chance: Random) -> dict[str, Any]:
    """The shell is harmless until the model changes; the search always is, and the guardrail blocks now and then."""
    destroys = chance.random() < (0.6 if i >= CHANGED else 0.02)
    command = "rm -rf /srv/builds" if destroys else "ls -la /srv/builds"
    calls = [("search", {"q": "disk"}), *([("shell", {"command": command})] if i % 2 else [])]
    return {
        "route": ROUTE,
        "ts": (datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=90 * i)).isoformat(),
        "model": {"requested": "gpt-4"},
        "prompt": ASKED[i % len(ASKED)],
        "tools": [{"name": "search"}, {"name": "shell"}],
        "guardrails": [{"name": "topic", "outcome": "blocked" if chance.random() < 0.1 else "pass"}],
        "response": {
            "content": "Let me look.",
            "tool_calls": [
                {"id": f"c{at}", "type": "function", "function": {"name": name, "arguments": json.dumps(given)}}
                for at, (name, given) in enumerate(calls)
            ],
            "finish_reason": "tool_calls",
        },
    }


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder, chance = tmp_path_factory.mktemp("agents"), Random(5)
    (folder / "k.yaml").write_text(CONFIG)
    lines = [json.dumps(exchange(i, chance)) for i in range(ALL)]
    (folder / "traffic.jsonl").write_text("\n".join(lines))
    command = [
        sys.executable,
        "-m",
        "services.cli",
        "replay",
        "traffic.jsonl",
        "--config",
        "k.yaml",
        "--json",
        "out.json",
    ]
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(Path(folder / "out.json").read_text())  # type: ignore[no-any-return]


def test_the_tool_that_destroys_is_an_alert_of_its_own_slice(report: dict[str, Any]) -> None:
    assert (report["events"], report["dead"]) == (ALL, 0)
    told = {(one["signal"], one["slice"], one["direction"]) for one in report["alerts"] if one["status"] == "firing"}
    assert ("destructive_tool_call", "tool=shell", "up") in told
    assert {slice for _, slice, _ in told if slice is not None} == {"tool=shell"}
    first = next(one for one in report["alerts"] if one["slice"] == "tool=shell")
    assert CHANGED <= first["event_index"] < CHANGED + 120
    assert first["effect"]["after"] > first["effect"]["before"] + 25


def test_the_incident_names_the_signal(report: dict[str, Any]) -> None:
    (incident,) = report["incidents"]
    assert "destructive_tool_call" in incident["signals"]
    assert incident["opened_event_index"] >= CHANGED
