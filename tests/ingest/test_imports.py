"""What people have on the first day becomes exchanges: logs of OpenAI, LiteLLM's spend logs, Langfuse's exports."""

from __future__ import annotations

import csv
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from schemas.dead_letter import DeadLetter
from schemas.exchange import Exchange
from schemas.position import Position
from services.cli.app import app
from services.ingest.decode import RecordArrival, decode_all
from services.ingest.files import records
from services.ingest.jsonl import decoded
from services.ingest.routing import Carriage
from services.ports import Received
from services.score.scored_text import answered, scored_text
from tests.ingest.malformed import GONE, changed, fixture, raw_of

PLACE = Position(cluster="file", topic="0" * 12, partition=0, offset=7)
SPENT = fixture("litellm_spend_log")
PAIR = fixture("openai_chat")
MADE = datetime.fromtimestamp(PAIR["response"]["created"], UTC)


def read(value: Any) -> Received | DeadLetter:
    [item] = decode_all(raw_of(value), RecordArrival(PLACE), Carriage({"keelwatch-route": "a"}))
    return item


def only(value: Any) -> Exchange:
    item = read(value)
    assert isinstance(item, Received), item.reason
    return item.exchange


def told(found: Exchange) -> dict[str, Any]:
    return found.model_dump(exclude={"route"}, exclude_none=True)


def reason(value: Any) -> str:
    item = read(value)
    assert isinstance(item, DeadLetter)
    return item.reason


def table(file: Path, row: dict[str, Any]) -> Path:
    """A row as a database writes it: JSON and numbers as text, nothing where there is none."""
    told = {name: json.dumps(item) if isinstance(item, (dict, list)) else item for name, item in row.items()}
    with file.open("w", newline="") as out:
        writer = csv.DictWriter(out, list(told))
        writer.writeheader()
        writer.writerow({name: "" if item is None else item for name, item in told.items()})
    return file


def imported(file: Path, source: str) -> list[Exchange]:
    out = file.with_suffix(".out")
    ran = CliRunner().invoke(app, ["import", "--from", source, str(file), "--out", str(out), "--route", "shop/prod"])
    assert ran.exit_code == 0, ran.output
    return [one.exchange for one in decoded(records(out)) if isinstance(one, Received)]


@pytest.mark.parametrize("parsed", [False, True])
def test_a_spend_log_is_the_exchange_that_its_request_and_response_hold(parsed: bool) -> None:
    named = ("messages", "response", "metadata", "proxy_server_request", "request_tags")
    found = only({**SPENT, **({name: json.loads(SPENT[name]) for name in named} if parsed else {})})
    text = scored_text(found)
    assert (text.prompt, text.response) == ("Where is my parcel?", "It left our warehouse this morning.")
    assert text.system_text == "Be brief."
    assert (len(found.tools), len(found.answer.calls)) == (1, 1)
    assert found.route == "support-bot/prod"


@pytest.mark.parametrize(
    ("call_type", "asked", "answered_with"),
    [
        (
            "anthropic_messages",
            {"system": [{"type": "text", "text": "Be brief."}], "messages": [{"role": "user", "content": "Hi"}]},
            {"type": "message", "content": [{"type": "text", "text": "Yes."}], "stop_reason": "end_turn"},
        ),
        (
            "aresponses",
            {"instructions": "Be brief.", "input": "Hi"},
            {"output": [{"type": "message", "content": [{"type": "output_text", "text": "Yes."}]}]},
        ),
        (
            "agenerate_content",
            {
                "systemInstruction": {"parts": [{"text": "Be brief."}]},
                "contents": [{"role": "user", "parts": [{"text": "Hi"}]}],
            },
            {"candidates": [{"content": {"parts": [{"text": "Yes."}]}, "finishReason": "STOP"}]},
        ),
    ],
)
def test_a_spend_log_of_any_api_has_its_texts(call_type: str, asked: Any, answered_with: Any) -> None:
    text = scored_text(
        only({**SPENT, "call_type": call_type, "proxy_server_request": asked, "response": answered_with})
    )
    assert (text.system_text, text.prompt, text.response) == ("Be brief.", "Hi", "Yes.")


def test_a_spend_log_without_texts_says_which_setting_stores_them() -> None:
    for body in ("{}", "", None, '{"model": "gpt-4o"}'):
        found = reason({**SPENT, "proxy_server_request": body, "response": "{}"})
        assert found.startswith(
            "LiteLLM spend log: messages: missing; set general_settings.store_prompts_in_spend_logs"
        )
        assert "response: missing" in found


def test_a_spend_log_of_a_failure_is_no_answer() -> None:
    told = {"error_code": "429", "error_class": "RateLimitError", "error_message": "slow down"}
    found = only({**SPENT, "status": "failure", "response": "{}", "metadata": json.dumps({"error_information": told})})
    assert not answered(found.answer)
    assert found.answer.error == {"type": "RateLimitError", "code": "429", "message": "slow down"}


def test_a_csv_of_spend_logs_or_of_langfuse_is_read_as_what_it_is(tmp_path: Path) -> None:
    [spent] = imported(table(tmp_path / "spend.csv", SPENT), "litellm-spend-logs")
    assert told(spent) == told(only(SPENT))
    assert spent.model.fingerprint is None, "it stands there masked"
    langfuse = {**fixture("langfuse"), "metadata": None}
    [found] = imported(table(tmp_path / "observations.csv", langfuse), "langfuse")
    assert told(found) == told(only(langfuse))
    assert found.route == "shop/prod"


def test_langfuses_blob_export_is_read() -> None:
    row = {
        "id": "o-1",
        "trace_id": "t-1",
        "project_id": "p",
        "environment": "default",
        "type": "GENERATION",
        "start_time": "2026-05-29 13:46:19.963000",
        "end_time": "2026-05-29 13:46:20.963000",
        "level": "DEFAULT",
        "input": json.dumps({"messages": [{"role": "user", "content": "Hi"}], "tools": [{"name": "track"}]}),
        "output": '{"role": "assistant", "content": "Yes."}',
        "provided_model_name": "gpt-4o",
        "usage_details": {"input": 3, "output": 1, "total": 4},
        "session_id": "s-1",
        "user_id": "u-1",
    }
    found = only(row)
    assert (found.prompt[0].text, found.answer.text, found.model.requested) == ("Hi", "Yes.", "gpt-4o")
    assert (found.latency_ms, len(found.tools), found.conversation) == (1000.0, 1, "s-1")
    assert found.ts == datetime(2026, 5, 29, 13, 46, 19, 963000, UTC)


def test_requests_and_responses_are_found_however_logs_hold_them(tmp_path: Path) -> None:
    asked, answer = PAIR["request"], PAIR["response"]
    forms = [
        {"request": asked, "response": answer},
        {"request_body": json.dumps(asked), "response_body": json.dumps(answer)},
        {"input": asked, "output": answer, "tags": {}},
        {"request": {"method": "POST", "body": json.dumps(asked)}, "response": {"status_code": 200, "body": answer}},
        {**answer, "messages": asked["messages"], "tools": asked["tools"], "model": "gpt-4o-2024-08-06"},
    ]
    file = tmp_path / "log.jsonl"
    file.write_text("\n".join(json.dumps(one) for one in forms))
    found = imported(file, "openai-logs")
    assert len(found) == len(forms)
    for one in found:
        text = scored_text(one)
        assert (text.prompt, text.response) == ("Where is my parcel?", "It left our warehouse this morning.")
        assert (len(one.tools), len(one.answer.calls), one.route) == (1, 1, "shop/prod")
        assert one.ts == MADE, "a baseline needs the time at which it happened"


def test_a_stored_response_is_read_with_its_input() -> None:
    pair = fixture("openai_responses")
    found = only({**pair["response"], "input": pair["request"]["input"]})
    assert (found.prompt[0].text, found.answer.text) == ("Where is my parcel?", "It left our warehouse this morning.")


def test_the_time_of_a_response_is_that_of_a_file_and_never_of_kafka() -> None:
    untimed = only(changed(PAIR, "response/created", GONE))
    assert untimed.ts == datetime(2000, 1, 1, tzinfo=UTC)
    now = datetime(2026, 11, 24, 18, tzinfo=UTC)
    [item] = decode_all(raw_of(PAIR), RecordArrival(PLACE, now, now))
    assert isinstance(item, Received)
    assert item.exchange.ts == now
    for odd in (0, -5, "soon", [], {}, 1e300, True):
        assert only(changed(PAIR, "response/created", odd)).ts == datetime(2000, 1, 1, tzinfo=UTC)
    assert only({**PAIR, "ts": 1764500001.5}).ts == datetime.fromtimestamp(1764500001.5, UTC)


def test_an_otlp_file_and_names_that_are_none(tmp_path: Path) -> None:
    file = tmp_path / "traces.json"
    file.write_text("\n".join(json.dumps(fixture(name)) for name in ("otlp_semconv", "otlp_openinference")))
    assert len(imported(file, "otlp-file")) == 3
    ran = CliRunner().invoke(app, ["import", "--from", "openai", str(file), "--out", "-"])
    assert ran.exit_code != 0
    ran = CliRunner().invoke(app, ["import", "--from", "nobody", str(file), "--out", "-"])
    assert "csv, openai-logs, litellm-spend-logs, otlp-file" in str(ran.exception)
