"""What is hidden, or of no kind that is read, is a dead letter with its reason: it neither vanishes nor is scored."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from schemas.dead_letter import DeadLetter
from schemas.position import Position
from services.ingest.decode import RecordArrival, decode_all
from services.ingest.routing import Carriage
from services.ports import Received
from tests.ingest.malformed import calls_of, changed, fixture, raw_of

PLACE = Position(cluster="file", topic="0" * 12, partition=0, offset=7)
SPAN = fixture("otlp_semconv")
ATTRIBUTES = f"{calls_of(SPAN)[0]}/attributes"
OPEN = fixture("otlp_openinference")
OPEN_ATTRIBUTES = f"{calls_of(OPEN)[0]}/attributes"
LITELLM = fixture("litellm")


def read(value: Any, **headers: str) -> list[Received | DeadLetter]:
    named = {name.replace("_", "-"): item for name, item in headers.items()}
    return decode_all(raw_of(value), RecordArrival(PLACE), Carriage({"keelwatch-route": "a", **named}))


def reason(value: Any, **headers: str) -> str:
    [letter] = [one for one in read(value, **headers) if isinstance(one, DeadLetter)]
    return letter.reason


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (changed(LITELLM, "call_type", "_arealtime"), "call_type: not one that is read"),
        ({"resourceSpans": "x"}, "resourceSpans: each must be an object"),
        ({"resourceSpans": [{"scopeSpans": "x"}]}, "scopeSpans: each must be an object"),
        (changed(SPAN, ATTRIBUTES, {"gen_ai.request.model": "m"}), "attributes: must be a list"),
        (changed(SPAN, f"{ATTRIBUTES}/0", "x"), "attributes: each must be"),
        (changed(SPAN, ATTRIBUTES, [{"key": "gen_ai.operation.name", "value": "chat"}]), "attributes: each must be"),
        (changed(OPEN, f"{OPEN_ATTRIBUTES}/llm.output_messages.0.message.content", "__REDACTED__"), "hidden; "),
        (changed(OPEN, f"{OPEN_ATTRIBUTES}/llm.input_messages.1.message.content", "__REDACTED__"), "hidden; "),
        (changed(LITELLM, "messages/0/content", "redacted-by-litellm"), "messages: redacted"),
        (changed(LITELLM, "response/choices/0/message/content", "redacted-by-litellm"), "response: redacted"),
        (changed(LITELLM, "response", {"text": "redacted-by-litellm"}), "response: redacted"),
    ],
)
def test_nothing_vanishes_and_nothing_hidden_is_scored(value: Any, said: str) -> None:
    assert said in reason(value)


@pytest.mark.parametrize("form", ["otlp", "langfuse"])
def test_a_header_that_names_another_format_is_told_so(form: str) -> None:
    assert "missing" in reason({"x": 1}, keelwatch_format=form) or "type: must be" in reason(
        {"x": 1}, keelwatch_format=form
    )


@pytest.mark.parametrize("kind", ["aembedding", "embedding", "atranscription", "arerank", "acreate_file"])
def test_calls_that_answer_nobody_are_passed_over(kind: str) -> None:
    assert read(changed(LITELLM, "call_type", kind)) == []


def test_a_person_who_writes_what_hides_a_text_is_read() -> None:
    for fixed, path, text in (
        (LITELLM, "messages/0/content", "Say redacted-by-litellm."),
        (LITELLM, "response/choices/0/message/content", "You wrote redacted-by-litellm."),
        (OPEN, f"{OPEN_ATTRIBUTES}/llm.input_messages.1.message.content", "What is __REDACTED__?"),
    ):
        assert any(isinstance(one, Received) for one in read(changed(fixed, path, text)))


def test_lines_of_a_stream_end_where_its_protocol_says_and_a_cut_one_costs_no_other() -> None:
    chunks = [{"choices": [{"delta": {"content": f"a\u2028b\u0085{i}"}}]} for i in range(3)]
    text = "\r\n".join(f"data: {json.dumps(one, ensure_ascii=False)}" for one in chunks)
    pair = {"request": {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}}
    for sent, count in ((text, 3), (text[:-4], 2)):
        [item] = read({**pair, "response": sent})
        assert isinstance(item, Received), item.reason
        assert item.exchange.answer.text == "".join(f"a\u2028b\u0085{i}" for i in range(count))
    assert isinstance(read({**pair, "response": text.replace('"choices"', "", 1)})[0], DeadLetter)


def test_a_stream_without_events_is_no_empty_answer() -> None:
    for name in ("openai_chat_stream", "openai_responses_stream", "anthropic_stream"):
        value = fixture(name)
        listed = next(key for key in ("chunks", "events", "response") if key in value)
        assert "response: missing" in reason({**value, listed: []})


def test_a_choice_whose_content_was_not_captured_is_no_empty_answer() -> None:
    for name, said in (("otlp_events", "gen_ai.choice"), ("otlp_numbered", "gen_ai.completion")):
        raw = raw_of(fixture(name))
        assert said.encode() in raw
        value = json.loads(raw)
        _silence(value, said)
        found = read(value)
        assert found
        assert all(isinstance(one, DeadLetter) and "switch content capture on" in one.reason for one in found)


def _silence(value: Any, name: str) -> None:
    """Of an answer leave only why it ended."""
    if isinstance(value, list):
        value[:] = [one for one in value if not _says(one, name)]
    for one in value if isinstance(value, list) else value.values() if isinstance(value, dict) else ():
        if isinstance(one, dict) and one.get("name") == name:
            one["attributes"] = [{"key": "finish_reason", "value": {"stringValue": "stop"}}]
        _silence(one, name)


def _says(one: Any, name: str) -> bool:
    key = str(one.get("key")) if isinstance(one, dict) else ""
    return key.startswith(f"{name}.") and not key.endswith("finish_reason")


def test_retries_of_a_call_are_exchanges_of_their_own_and_failures_of_no_other_guardrails() -> None:
    guarded = {**LITELLM, "guardrail_information": [{"guardrail_name": "g", "guardrail_status": "success"}]}
    entries = [
        guarded,
        {**guarded, "id": "other"},
        {**guarded, "status": "failure"},
        {**guarded, "startTime": 1764500000.5},
    ]
    found = [one.exchange for entry in [*entries, guarded] for one in read(entry) if isinstance(one, Received)]
    assert [len({one.id for one in found}), found[0].id] == [4, found[-1].id]
    assert [one.model.guardrails_sha256 is None for one in found[:3]] == [False, False, True]


def test_a_pair_of_embeddings_answers_nobody() -> None:
    vectors = {"object": "list", "data": [{"object": "embedding", "index": 0, "embedding": [0.5]}]}
    assert read({"request": {"model": "e", "input": "Hi"}, "response": vectors}) == []


@pytest.mark.parametrize(
    ("sent", "text", "reason_"),
    [
        ({"candidates": [{"content": {"parts": [{"text": "Hello."}]}, "finishReason": "STOP"}]}, "Hello.", "STOP"),
        ({"candidates": [{"finishReason": "SAFETY"}]}, None, "SAFETY"),
        ({"promptFeedback": {"blockReason": "SAFETY"}}, None, "SAFETY"),
        ({"refusal": "I can't."}, None, None),
        ({"output": [{"type": "message", "content": [{"type": "output_text", "text": "Hello."}]}]}, "Hello.", None),
        ([{"type": "text", "text": "Hello."}], "Hello.", None),
    ],
)
def test_an_answer_of_any_api_is_its_text_and_never_its_json(sent: Any, text: str | None, reason_: str | None) -> None:
    [item] = read(changed(LITELLM, "response", sent))
    assert isinstance(item, Received), item.reason
    assert (item.exchange.answer.text, item.exchange.answer.finish_reason) == (text, reason_)


@pytest.mark.parametrize("sent", [{"choices": []}, {"candidates": []}, {"candidates": [{}]}, {"output": [{"x": 1}]}])
def test_a_response_of_a_known_form_without_its_answer_is_refused(sent: Any) -> None:
    assert "response" in reason(changed(LITELLM, "response", sent))
    assert "output" in reason(changed(fixture("langfuse"), "output", sent))


def test_messages_with_parts_are_texts() -> None:
    sent = [{"role": "user", "parts": [{"text": "Where is it?"}]}]
    [item] = read(changed(LITELLM, "messages", sent))
    assert isinstance(item, Received), item.reason
    assert item.exchange.messages[0].text == "Where is it?"


def test_a_refusal_in_a_stream_that_was_cut_off_is_the_refusal() -> None:
    events = [{"type": "response.refusal.delta", "delta": piece} for piece in ("I ", "can't.")]
    [item] = read({"request": {"model": "m", "input": "Hi"}, "events": events})
    assert isinstance(item, Received), item.reason
    assert (item.exchange.answer.declined, item.exchange.answer.text) == ("I can't.", "")


def test_a_stream_that_was_cut_off_keeps_the_items_that_were_whole() -> None:
    call = {"type": "function_call", "id": "fc", "name": "track", "arguments": "{}", "call_id": "c"}
    message = {"type": "message", "id": "m1", "content": [{"type": "output_text", "text": "One."}]}
    events = [
        {"type": "response.output_text.delta", "item_id": "m1", "delta": "One."},
        {"type": "response.output_item.done", "item": message},
        {"type": "response.output_item.done", "item": call},
        {"type": "response.output_text.delta", "item_id": "m2", "delta": "Tw"},
    ]
    [item] = read({"request": {"model": "m", "input": "Hi"}, "events": events})
    assert isinstance(item, Received), item.reason
    assert (item.exchange.answer.text, len(item.exchange.answer.calls)) == ("One.\nTw", 1)


def test_pieces_of_a_stream_may_be_lines_of_text_and_one_that_is_none_is_no_shorter_answer() -> None:
    pair = {"request": {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}}
    chunks = [{"choices": [{"delta": {"content": piece}}]} for piece in ("It ", "left.")]
    lines = [": ping", "", *(f"data: {json.dumps(one)}" for one in chunks), "data: [DONE]"]
    for sent in (lines, [json.dumps(one) for one in chunks], [*chunks, "[DONE]"]):
        [item] = read({**pair, "chunks": sent})
        assert isinstance(item, Received), item.reason
        assert item.exchange.answer.text == "It left."
    assert "response[1]: must be an object" in reason({**pair, "chunks": [chunks[0], "lost", chunks[1]]})
    odd = {"choices": [{"delta": {"content": 7}}]}
    assert "content: must be text" in reason({**pair, "chunks": [chunks[0], odd, chunks[1]]})


def test_tokens_of_a_cache_are_tokens_that_were_sent() -> None:
    used = {"input_tokens": 3, "cache_creation_input_tokens": 200, "cache_read_input_tokens": 1000, "output_tokens": 4}
    [item] = read(changed(fixture("anthropic"), "response/usage", used))
    assert isinstance(item, Received), item.reason
    assert item.exchange.usage is not None
    assert (item.exchange.usage.input_tokens, item.exchange.usage.output_tokens) == (1203, 4)


@pytest.mark.parametrize("operation", ["chat.completions", "text.completions", "chat.streaming_completions"])
def test_semantic_kernels_names_of_calls_are_calls(operation: str) -> None:
    [item] = read(changed(SPAN, f"{ATTRIBUTES}/gen_ai.operation.name", operation))
    assert isinstance(item, Received), item.reason
    assert read(changed(SPAN, f"{ATTRIBUTES}/gen_ai.operation.name", "invoke_agent")) == []


def test_what_a_computer_shows_is_an_image_and_no_text_of_a_tool() -> None:
    shown = {"type": "computer_screenshot", "image_url": "data:image/png;base64,AAAA"}
    asked = [{"role": "user", "content": "Hi"}, {"type": "computer_call_output", "call_id": "c", "output": shown}]
    [item] = read(changed(fixture("openai_responses"), "request/input", asked))
    assert isinstance(item, Received), item.reason
    message = item.exchange.messages[-1]
    assert (message.role, message.text, message.not_monitored) == ("tool", "", {"image"})


def test_traces_in_a_cloud_event_are_read() -> None:
    body = base64.b64encode(fixture("otlp_semconv_proto")).decode()
    event = {"specversion": "1.0", "id": "e", "source": "s", "type": "t", "data_base64": body}
    [item] = read(event)
    assert isinstance(item, Received), item.reason
    assert item.format == "otlp"


def test_a_prompt_of_the_older_completions_may_be_a_list_of_one() -> None:
    pair = {"request": {"model": "m", "prompt": ["Hi"]}, "response": {"choices": [{"text": "Yes."}]}}
    [item] = read(pair)
    assert isinstance(item, Received), item.reason
    assert item.exchange.messages[0].text == "Hi"
    assert "request.prompt[0]" in reason(changed(pair, "request/prompt", ["Hi", "there"]))
