"""`keelwatch ingest explain`: what is in a file, what is missing there, and what that costs."""

from __future__ import annotations

import json
from pathlib import Path

from typer.testing import CliRunner

from services.cli.ingest import app
from tests.ingest.malformed import GONE, changed, fixture, raw_of
from tests.support.case import exchange, line


def test_what_is_found_and_missing_of_each_format_is_told_with_its_cost(tmp_path: Path) -> None:
    file = tmp_path / "mixed.jsonl"
    litellm = changed(fixture("litellm"), "response", GONE)
    some = [
        raw_of(fixture("otlp_events")),
        raw_of(changed(fixture("openai_chat"), "response/created", GONE)),
        raw_of(litellm),
        line(exchange("x")),
        b'{"a": 1}',
    ]
    file.write_bytes(b"\n".join(some))
    ran = CliRunner().invoke(app, ["explain", str(file), "--json", str(tmp_path / "out.json")])
    assert ran.exit_code == 1
    told = json.loads((tmp_path / "out.json").read_text())
    assert {name: one["exchanges"] for name, one in told.items()} == {
        "otlp": 1,
        "openai": 1,
        "litellm": 0,
        "native": 1,
        "unknown": 0,
    }
    assert told["openai"]["not_monitored"] == {"image": 1}
    assert told["otlp"]["missing"]["tools"]["exchanges"] == 1
    assert "tools" not in told["openai"]["missing"]
    assert "ts" in told["openai"]["missing"]
    assert "missing in all: tools: calls of undeclared tools are not monitored" in ran.stdout
    assert "refused, 1 x: LiteLLM StandardLoggingPayload: response: missing" in ran.stdout


def test_an_empty_file_is_said_to_be_one(tmp_path: Path) -> None:
    (tmp_path / "empty.jsonl").write_bytes(b"\n")
    ran = CliRunner().invoke(app, ["explain", str(tmp_path / "empty.jsonl")])
    assert "is empty; name a file of records" in str(ran.exception)
