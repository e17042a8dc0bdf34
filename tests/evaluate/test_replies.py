"""What bodies mean in each API: the forms of vendors, streams joined, and that nothing hostile is an answer."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.evaluate.endpoints import API_FORMS
from services.evaluate.endpoints.protocol import MANY, EndpointAnswer, EndpointFault
from services.evaluate.endpoints.replies import parse_reply
from services.evaluate.endpoints.stop_fields import beside_stop
from services.evaluate.result import MadeCall
from services.evaluate.token_usage import Tokens, request_tokens
from services.monitor.target_api import ApiName
from services.outbound import HttpReply
from tests.support.endpoint_forms import sse, streamed, whole

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
PATHS: dict[ApiName, str] = {
    "chat_completions": "/chat/completions",
    "responses": "/responses",
    "messages": "/messages",
}
MAIL = MadeCall(id="call_1", name="send_mail", arguments='{"to": "a@example.com"}')


def read(
    body: Any, api: ApiName = "chat_completions", status: int = 200, **headers: str
) -> EndpointAnswer | EndpointFault:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    sent = {"content-type": "application/json", **{name.replace("_", "-"): one for name, one in headers.items()}}
    return parse_reply(API_FORMS[api], HttpReply(status, sent, raw), NOW)


def chat(message: dict[str, Any], **choice: Any) -> EndpointAnswer:
    found = read({"choices": [{"message": message, "finish_reason": "stop", **choice}]})
    assert isinstance(found, EndpointAnswer), found
    return found


def joined(events: Sequence[Any], api: ApiName = "chat_completions") -> EndpointAnswer | EndpointFault:
    body = b"".join(one if isinstance(one, bytes) else sse(one) for one in events)
    return read(body, api, content_type="text/event-stream")


def pieces(*deltas: dict[str, Any], stop: str | None = "stop") -> list[dict[str, Any]]:
    found = [{"choices": [{"index": 0, "delta": delta}]} for delta in deltas]
    return [*found, {"choices": [{"index": 0, "delta": {}, "finish_reason": stop}]}]


@pytest.mark.parametrize(
    ("message", "text"),
    [
        ({"content": "a"}, "a"),
        ({"content": "a", "reasoning_content": "I think"}, "a"),
        ({"content": "a", "reasoning": "I think", "reasoning_details": [{"text": "I think"}]}, "a"),
        ({"content": None, "reasoning_content": "I think"}, None),
        ({"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "I"}]}]}, None),
        ({"content": [{"type": "reasoning", "text": "I"}, {"type": "text", "text": "a"}]}, "a"),
        ({"content": [{"type": "text", "text": "a"}, {"type": "output_text", "text": "b"}]}, "ab"),
        ({"content": [{"text": "a"}, "b"]}, "ab"),
        ({"content": [{"type": "text", "text": {"value": "a", "annotations": []}}]}, "a"),
        ({"content": [{"type": "image_url", "image_url": {}}]}, None),
        ({"content": [{"text": "I think", "thought": True}, {"text": "a"}]}, "a"),
    ],
)
def test_text_is_read_in_every_vendors_parts_and_reasoning_is_none_of_it(
    message: dict[str, Any], text: str | None
) -> None:
    assert chat(message).text == text


@pytest.mark.parametrize(
    "message",
    [
        {"content": None, "refusal": "I can't."},
        {"content": [{"type": "refusal", "refusal": "I can't."}]},
        {"content": "", "refusal": "I can't."},
    ],
)
def test_a_refusal_is_a_field_or_a_part(message: dict[str, Any]) -> None:
    assert chat(message).refusal == "I can't."


@pytest.mark.parametrize(
    ("message", "call"),
    [
        ({"tool_calls": [{"id": "1", "function": {"name": "f", "arguments": '{"a": 1}'}}]}, ("1", "f", '{"a": 1}')),
        ({"tool_calls": [{"function": {"name": "f", "arguments": {"a": 1}}}]}, ("", "f", '{"a": 1}')),
        ({"tool_calls": [{"id": "1", "custom": {"name": "f", "input": "go"}}]}, ("1", "f", "go")),
        ({"tool_calls": [{"id": "1", "function": {"name": "f", "arguments": "{not json"}}]}, ("1", "f", "{not json")),
        ({"tool_calls": [{"id": "1"}]}, ("1", "", "{}")),
        ({"tool_calls": ["f"]}, ("", "", "f")),
        ({"function_call": {"name": "f", "arguments": "{}"}}, ("", "f", "{}")),
        ({"content": [{"type": "tool_use", "id": "1", "name": "f", "input": {"a": 1}}]}, ("1", "f", '{"a": 1}')),
        ({"content": [{"functionCall": {"name": "f", "args": {"a": 1}}}]}, ("", "f", '{"a": 1}')),
        ({"content": [{"toolUse": {"toolUseId": "1", "name": "f", "input": {"a": 1}}}]}, ("1", "f", '{"a": 1}')),
    ],
)
def test_a_call_of_a_tool_is_read_in_every_form(message: dict[str, Any], call: tuple[str, str, str]) -> None:
    found = chat({"content": None, **message})
    assert [(one.id, one.name, one.arguments) for one in found.calls] == [call]
    assert found.tool_calls


@pytest.mark.parametrize("api", PATHS)
def test_each_api_gives_text_calls_model_and_tokens(api: ApiName) -> None:
    for body, kind in (
        (whole(PATHS[api], "m", "Fine.", calls=True), "application/json"),
        (b"".join(streamed(PATHS[api], "m", "Fine.", calls=True)), "text/event-stream"),
    ):
        found = read(body, api, content_type=kind)
        assert isinstance(found, EndpointAnswer), found
        assert (found.text, found.calls, found.served) == ("Fine.", (MAIL,), "m")
        assert request_tokens(found.raw, (), None, failed=False, status=200).total == 30


@pytest.mark.parametrize(
    ("body", "reason", "refusal"),
    [
        ({"incomplete_details": {"reason": "content_filter"}, "output": []}, "content_filter", None),
        ({"incomplete_details": {"reason": "max_output_tokens"}, "output": []}, "max_output_tokens", None),
        ({"output": [{"type": "message", "content": [{"type": "refusal", "refusal": "No."}]}]}, "completed", "No."),
    ],
)
def test_responses_say_why_they_ended(body: dict[str, Any], reason: str, refusal: str | None) -> None:
    status = "incomplete" if "incomplete_details" in body else "completed"
    found = read({**body, "status": status}, "responses")
    assert isinstance(found, EndpointAnswer), found
    assert (found.finish_reason, found.refusal, found.text) == (reason, refusal, None)


@pytest.mark.parametrize("status", ["failed", "cancelled", "queued", "in_progress"])
def test_a_response_that_did_not_end_is_none(status: str) -> None:
    assert isinstance(read({"status": status, "output": [], "error": None}, "responses"), EndpointFault)


def test_messages_that_the_model_refused_say_so_with_the_reason() -> None:
    details = {"type": "refusal", "category": "cyber", "explanation": "This may harm."}
    found = read({"type": "message", "content": [], "stop_reason": "refusal", "stop_details": details}, "messages")
    assert isinstance(found, EndpointAnswer)
    assert (found.finish_reason, found.refusal) == ("refusal", "This may harm.")


def test_thinking_is_no_text_of_a_message() -> None:
    content = [{"type": "thinking", "thinking": "I"}, {"type": "redacted_thinking", "data": "x"}]
    found = read({"content": [*content, {"type": "text", "text": "a"}], "stop_reason": "end_turn"}, "messages")
    assert isinstance(found, EndpointAnswer)
    assert found.text == "a"


@pytest.mark.parametrize(
    ("body", "name"),
    [
        ({"choices": [{"native_finish_reason": "SAFETY", "message": {}}]}, "native_finish_reason"),
        ({"choices": [{"content_filter_results": {"hate": {"filtered": True}}}]}, "content_filter_results"),
        ({"prompt_filter_results": [{"content_filter_results": {"a": {"filtered": True}}}]}, "content_filter_results"),
        ({"amazon-bedrock-guardrailAction": "INTERVENED", "choices": []}, "amazon-bedrock-guardrailAction"),
        ({"promptFeedback": {"blockReason": "SAFETY"}}, "promptFeedback"),
        ({"incomplete_details": {"reason": "content_filter"}, "output": []}, "incomplete_details"),
        ({"stop_reason": "refusal", "content": []}, "stop_reason"),
        ({"choices": [{"message": {"reasoning_content": "I"}}]}, "reasoning_content"),
    ],
)
def test_what_stands_beside_the_stop_is_found_in_every_form(body: dict[str, Any], name: str) -> None:
    assert name in beside_stop(body)


@pytest.mark.parametrize(
    "body", [None, 7, "a", [], {}, {"choices": None}, {"choices": [7]}, {"choices": [{"message": 7}]}]
)
def test_nothing_stands_beside_the_stop_of_what_is_no_answer(body: Any) -> None:
    assert beside_stop(body) == {}


@pytest.mark.parametrize(
    ("headers", "body", "seconds"),
    [
        ({"retry_after_ms": "1500"}, {}, 1.5),
        ({"retry_after": "0.5"}, {}, 0.5),
        ({"retry_after": " 7 "}, {}, 7.0),
        ({"retry_after": "Wednesday, 25-Nov-26 12:00:30 GMT"}, {}, 30.0),
        ({"retry_after": "Wed Nov 25 12:00:30 2026"}, {}, 30.0),
        ({}, {"error": {"details": [{"@type": "RetryInfo", "retryDelay": "17s"}]}}, 17.0),
        ({}, [{"error": {"details": [{"retryDelay": "1.25s"}]}}], 1.25),
        ({}, {"error": {"details": [{"retryDelay": "soon"}, 7]}}, 0.0),
        ({}, {"error": {"details": 7}}, 0.0),
        ({"retry_after_ms": "-1", "retry_after": "nan"}, {}, 0.0),
    ],
)
def test_when_to_ask_again_is_read_where_vendors_say_it(headers: dict[str, str], body: Any, seconds: float) -> None:
    found = read(body, status=429, **headers)
    assert isinstance(found, EndpointFault)
    assert (found.after, found.tries) == (seconds, MANY)


def test_a_spent_quota_is_not_waited_for() -> None:
    found = read({"error": {"code": "insufficient_quota", "message": "no"}}, status=429)
    assert isinstance(found, EndpointFault)
    assert (found.words, found.tries) == ("the endpoint answers 429 with application/json (insufficient_quota)", 1)


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({"error": {"code": "model_not_found", "message": "no"}}, " (model_not_found)"),
        ({"error": {"code": 400, "type": "invalid_request_error"}}, " (invalid_request_error)"),
        ({"error": {"code": "unsupported_parameter", "param": "max_tokens"}}, " (unsupported_parameter: max_tokens)"),
        ({"type": "error", "error": {"type": "not_found_error"}}, " (not_found_error)"),
        ({"error": "overloaded"}, " (overloaded)"),
        ({"error": "You are not allowed to see this page"}, ""),
        ({"__type": "ValidationException"}, " (ValidationException)"),
        ({"error": {"status": "INVALID_ARGUMENT", "code": 400}}, " (INVALID_ARGUMENT)"),
        ([{"error": {"status": "RESOURCE_EXHAUSTED", "code": 429}}], " (RESOURCE_EXHAUSTED)"),
        ({"error": {"code": "<script>", "type": ["a"], "param": "a b"}}, ""),
        ([], ""),
        (b"<html>", ""),
    ],
)
def test_an_error_is_named_by_its_code_and_never_by_its_sentences(body: Any, told: str) -> None:
    found = read(body, status=400)
    assert isinstance(found, EndpointFault)
    assert found.words == f"the endpoint answers 400 with application/json{told}"


def test_what_says_nothing_may_have_an_odd_form() -> None:
    message = {"content": "a", "refusal": False, "tool_calls": None}
    odd = {"system_fingerprint": 7, "model": "", "usage": {"total_tokens": "7", "prompt_tokens": True}, "error": {}}
    found = read({"choices": [{"message": message}], **odd})
    assert isinstance(found, EndpointAnswer)
    assert (found.text, found.refusal, found.calls, found.fingerprint) == ("a", None, (), None)
    assert found.served is None
    assert request_tokens(found.raw, (), None, failed=False, status=200) == Tokens()


def test_a_body_may_begin_with_a_byte_order_mark() -> None:
    body = b"\xef\xbb\xbf" + json.dumps(whole("/chat/completions", "m", "a")).encode()
    assert isinstance(read(body), EndpointAnswer)


@pytest.mark.parametrize(
    ("events", "text", "calls"),
    [
        (pieces({"content": "a"}, {"content": "b"}), "ab", []),
        (pieces({"content": "a"}, {"reasoning_content": "I"}, {"content": None}), "a", []),
        (pieces({"content": [{"type": "thinking"}]}, {"content": [{"type": "text", "text": "a"}]}), "a", []),
        (pieces({"content": "a"}, {"content": [{"type": "text", "text": "b"}]}), "ab", []),
        ([{"choices": [{"index": 1, "delta": {"content": "no"}}]}, *pieces({"content": "a"})], "a", []),
        ([{"choices": [{"message": {"content": "a"}, "finish_reason": "stop"}]}], "a", []),
        (
            pieces(
                {"tool_calls": [{"index": 0, "id": "1", "function": {"name": "f", "arguments": ""}}]},
                {"tool_calls": [{"index": 1, "id": "2", "function": {"name": "g", "arguments": "{"}}]},
                {"tool_calls": [{"index": n, "function": {"arguments": end}} for n, end in enumerate(("[]", "}"))]},
            ),
            None,
            [("1", "f", "[]"), ("2", "g", "{}")],
        ),
        (
            pieces(
                {"tool_calls": [{"index": 0, "id": "1", "function": {"name": "f", "arguments": "{}"}}]},
                {"tool_calls": [{"index": 0, "id": "2", "function": {"name": "f", "arguments": "[]"}}]},
            ),
            None,
            [("1", "f", "{}"), ("2", "f", "[]")],
        ),
        (
            pieces(
                {"tool_calls": [{"id": "1", "function": {"name": "f", "arguments": "{"}}]},
                {"tool_calls": [{"function": {"arguments": "}"}}]},
                {"tool_calls": [{"function": {"name": "g", "arguments": {"a": 1}}}]},
            ),
            None,
            [("1", "f", "{}"), ("", "g", '{"a": 1}')],
        ),
        (
            pieces({"function_call": {"name": "f", "arguments": "{"}}, {"function_call": {"arguments": "}"}}),
            None,
            [("", "f", "{}")],
        ),
    ],
)
def test_chunks_add_up_to_the_answer_as_vendors_send_them(
    events: list[Any], text: str | None, calls: list[Any]
) -> None:
    found = joined(events)
    assert isinstance(found, EndpointAnswer), found
    assert (found.text, found.finish_reason) == (text, "stop")
    assert [(one.id, one.name, one.arguments) for one in found.calls] == calls


def test_a_filter_that_filtered_in_one_chunk_has_filtered() -> None:
    results = [{"hate": {"filtered": True}}, {"hate": {"filtered": False}, "violence": {"filtered": False}}]
    events = [{"choices": [{"index": 0, "delta": {}, "content_filter_results": one}]} for one in results]
    found = joined([*events, *pieces({"content": "a"})])
    assert isinstance(found, EndpointAnswer)
    assert beside_stop(found.raw)["content_filter_results"]["hate"] == {"filtered": True}


@pytest.mark.parametrize(
    "events",
    [
        [b""],
        [b": ping\n\n"],
        pieces({"content": "I'm sorry"}, stop=None),
        [*pieces({"content": "a"})[:-1], b'data: {"choices": [{"ind'],
        [{"error": {"message": "overloaded", "code": 529}}],
        [*pieces({"content": "a"}), sse({"code": 500, "message": "died"}, "error")],
        [b"data: [DONE]\n\n"],
        pieces({"tool_calls": [7]}),
        pieces({"tool_calls": [{"index": n, "function": {"name": "f"}} for n in range(300)]}),
        pieces({"content": "a"}, stop="error"),
        [{"choices": "a"}, b"data: [DONE]\n\n"],
    ],
)
def test_what_is_no_whole_stream_is_no_answer(events: list[Any]) -> None:
    found = joined(events)
    assert isinstance(found, EndpointFault)
    assert found.words.startswith("the endpoint answers 200 with text/event-stream")


@pytest.mark.parametrize("api", PATHS)
def test_no_beginning_of_a_stream_is_an_answer(api: ApiName) -> None:
    """Cut at whatever event, up to the one that says why the answer ended."""
    events = streamed(PATHS[api], "m", "I'm sorry, but I can't help with that.", calls=True)
    said = {"chat_completions": 3, "responses": 1, "messages": 2}[api]
    for length in range(len(events) - said + 1):
        assert isinstance(joined(events[:length], api), EndpointFault), length
    assert isinstance(joined(events, api), EndpointAnswer)


NAMES = [
    *("choices", "message", "content", "delta", "error", "output", "type", "text", "tool_calls", "function", "index"),
    *("stop_reason", "status", "response", "item", "usage", "model", "finish_reason", "incomplete_details", "role"),
    *("content_block", "name", "arguments", "refusal", "stop_details", "function_call", "prompt_filter_results", "a"),
]
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
LEAVES = SCALARS | st.text(max_size=8)


def nested(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=4)


JSON = LEAVES | nested(LEAVES | nested(LEAVES | nested(LEAVES | nested(LEAVES))))
EVENT = st.dictionaries(st.sampled_from(["choices", "response", "message", "delta", "index", "item"]), JSON)
KINDS = st.sampled_from(
    ["message_start", "content_block_start", "content_block_delta", "message_delta", "response.completed", "error", "x"]
)


@given(JSON, st.sampled_from(sorted(PATHS)), st.sampled_from([200, 400, 429, 500]))
def test_whatever_json_comes_it_is_an_answer_or_a_fault(body: Any, api: ApiName, status: int) -> None:
    found = read(body, api, status=status)
    assert isinstance(found, (EndpointAnswer, EndpointFault))
    assert isinstance(found, EndpointAnswer) or found.words.startswith(f"the endpoint answers {status} with")


@given(st.lists(st.tuples(EVENT, KINDS), max_size=4), st.sampled_from(sorted(PATHS)))
def test_whatever_events_come_they_are_an_answer_or_a_fault(events: list[tuple[Any, str]], api: ApiName) -> None:
    found = joined([{**event, "type": kind} for event, kind in events], api)
    assert isinstance(found, (EndpointAnswer, EndpointFault))
