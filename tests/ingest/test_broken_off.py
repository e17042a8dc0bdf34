"""A stream that an error ended: what was delivered before it is the answer, and the error stands beside it."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from schemas.exchange import Exchange
from schemas.position import Position
from services.ingest.decode import RecordArrival, decode_all
from services.ports import Received
from services.score.scored_text import answered, is_broken_off, scored_text
from tests.ingest.malformed import GONE, calls_of, changed, fixture, raw_of

PLACE = Position(cluster="file", topic="0" * 12, partition=0, offset=7)
FAULT = {"type": "server_error", "message": "The server had an error"}


def only(value: Any) -> Exchange:
    item = decode_all(raw_of(value), RecordArrival(PLACE))[0]
    assert isinstance(item, Received), item.reason
    return item.exchange


def chat(n: int) -> Any:
    value = fixture("openai_chat_stream")
    return value | {"chunks": [*value["chunks"][:n], {"error": FAULT}]}


def responses(n: int) -> Any:
    value = fixture("openai_responses_stream")
    return value | {"events": [*value["events"][:n], {**FAULT, "code": "server_error", "type": "error"}]}


def messages(n: int) -> Any:
    value = fixture("anthropic_stream")
    name = "events" if "events" in value else "chunks"
    return value | {name: [*value[name][:n], {"type": "error", "error": FAULT}]}


@pytest.mark.parametrize(("made", "n"), [(chat, 4), (responses, 4), (messages, 5)])
def test_text_before_an_error_is_the_answer_and_the_error_is_told(made: Any, n: int) -> None:
    found = only(made(n))
    text = scored_text(found).response
    assert text
    assert "It left our warehouse this morning.".startswith(text.strip())
    assert found.answer.error
    assert answered(found.answer)
    assert is_broken_off(found.answer)
    assert found.model.served in {"gpt-4o-2024-08-06", "claude-sonnet-4-5-20250929"}


@pytest.mark.parametrize("made", [chat, responses, messages])
def test_an_error_before_any_text_is_no_answer(made: Any) -> None:
    found = only(made(0))
    assert (found.answer.content, answered(found.answer), is_broken_off(found.answer)) == (None, False, False)
    assert found.answer.error


def test_a_final_event_that_failed_keeps_its_output_and_its_error() -> None:
    value = fixture("openai_responses_stream")
    last = copy.deepcopy(value["events"][-1])
    last["type"] = "response.failed"
    last["response"] |= {"status": "failed", "error": FAULT}
    found = only(value | {"events": [*value["events"][:-1], last]})
    assert found.answer.text == "It left our warehouse this morning."
    assert is_broken_off(found.answer)


@pytest.mark.parametrize("name", ["otlp_semconv", "otlp_openinference", "otlp_ai_sdk", "otlp_numbered", "otlp_events"])
def test_a_span_that_failed_after_text_was_delivered_says_both(name: str) -> None:
    whole = fixture(name)
    found = only(changed(whole, f"{calls_of(whole)[0]}/status", {"code": 2, "message": "connection reset"}))
    assert found.answer.text == "It left our warehouse this morning."
    assert found.answer.error == {"type": "error", "message": "connection reset"}
    assert is_broken_off(found.answer)


def test_a_failed_call_that_litellm_logs_names_no_model_that_answered() -> None:
    found = only(fixture("litellm_failure"))
    assert (found.model.served, answered(found.answer)) == (None, False)
    assert only(changed(fixture("litellm"), "response/model", GONE)).model.served is not None
