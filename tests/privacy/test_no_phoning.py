"""No command tells anybody of itself: run where nobody can be reached, and where each attempt to is seen.

Without `CI` in the environment: libraries that phone home keep still where they see it.
"""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path

import pytest

from tests.support.sinkhole import ABSENT, available, sunk
from tests.support.source import ROOT

pytestmark = [pytest.mark.processes, pytest.mark.embedding, pytest.mark.skipif(not available(), reason=ABSENT)]
CLI = [sys.executable, "-m", "services.cli"]
IN_ONE_PROCESS = """
import json, sys
from typer.main import get_command
from typer.testing import CliRunner
from docs.reference import _commands
from services.cli.app import app, main

found = [path.split()[1:] for path, _ in _commands("keelwatch", get_command(app))]
for words in ([], *found):
    done = CliRunner().invoke(app, [*words, "--help"])
    assert done.exit_code == 0, (words, done.output)
print(len(found), "helped")
for words in json.loads(sys.argv[1]):
    sys.argv = ["keelwatch", *words]
    try:
        main()
    except SystemExit as end:
        assert not end.code, (words, end.code)
"""
"""Every command's help, and then the commands that are given: what is imported once need not be imported again."""


def _environment(folder: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("KEELWATCH_", "XDG_"))}
    for name in ("CI", "GITHUB_ACTIONS", "TF_BUILD", "JENKINS_URL", "OPENVINO_TELEMETRY"):
        kept.pop(name, None)
    return {**kept, "HOME": str(folder / "home"), "KEELWATCH_DATA_DIR": str(folder / "data"), "OMP_NUM_THREADS": "1"}


def _exchanges(path: Path) -> Path:
    one = {"route": "a/b", "prompt": "hello", "response": "good day", "model": {"requested": "m"}}
    path.write_text("".join(f"{json.dumps(one)}\n" for _ in range(3)), encoding="utf-8")
    return path


def test_a_lookup_and_a_connection_are_seen(tmp_path: Path) -> None:
    """The test can fail: what it looks for is seen where it is."""
    look_up = "import socket\ntry: socket.getaddrinfo('telemetry.example', 443)\nexcept OSError: pass"
    call = "import socket\ntry: socket.create_connection(('203.0.113.7', 443), 0.2)\nexcept OSError: pass"
    commands = [{"argv": [sys.executable, "-c", code]} for code in (call, look_up)]
    attempts = sunk(commands, {**_environment(tmp_path), "RES_OPTIONS": "timeout:1 attempts:1"}, tmp_path / "r", 60)
    assert "203.0.113.7:443" in attempts["attempts"]
    assert any(one.endswith(":53") for one in attempts["attempts"])


def test_no_command_calls_anybody_nor_leaves_an_id_in_the_home_directory(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "data").mkdir()
    file = str(_exchanges(tmp_path / "in.jsonl"))
    measured = [
        ["score", file, "--out", str(tmp_path / "scores.jsonl")],
        ["replay", file, "--database", f"sqlite:///{tmp_path}/replay.db", "--json", str(tmp_path / "r")],
    ]
    commands = [
        {"argv": [sys.executable, "-c", IN_ONE_PROCESS, json.dumps(measured)]},
        {"argv": [*CLI, "up", "--port", "8400"], "ready": "http://127.0.0.1:8400/readyz"},
        {"argv": [*CLI, "demo", "--exit"]},
    ]
    found = sunk(commands, _environment(tmp_path), tmp_path / "report.json", 300)
    assert found["attempts"] == []
    kept = tmp_path / "home" / ".cache" / "keelwatch" / "patterns"  # our own wordings, compiled: nobody's id
    left = {path for path in (tmp_path / "home").rglob("*") if path.parent != kept}
    assert left == {kept, *list(kept.parents)[:2]}
    assert found["codes"] == [0] * len(commands), found["said"]
    assert int(re.findall(r"(\d+) helped", found["said"][0])[0]) > 30
    assert "verdict: model" in found["said"][-1]
    assert all((tmp_path / name).stat().st_size for name in ("scores.jsonl", "replay.db", "r"))
    assert [one.name for one in tmp_path.rglob("*") if "openvino" in one.name or "intel" in one.name] == []


def test_nothing_but_one_place_imports_openvino() -> None:
    """There its telemetry is kept from being imported, however it came to be installed."""
    importing = re.compile(r"^\s*(?:import|from) openvino\b", re.MULTILINE)
    found = [path for path in (ROOT / "services").rglob("*.py") if importing.search(path.read_text(encoding="utf-8"))]
    assert [path.name for path in found] == ["openvino_library.py"]
