"""What an endpoint's answer means, without an endpoint."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from services.evaluate.endpoints.chat_completions import ChatCompletions
from services.evaluate.endpoints.protocol import MANY, EndpointAnswer, EndpointFault
from services.evaluate.endpoints.replies import parse_reply
from services.outbound import HttpReply

FORM = ChatCompletions()
NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)


def reply(status: int, body: Any, **headers: str) -> HttpReply:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return HttpReply(status, {name.replace("_", "-"): value for name, value in headers.items()}, raw)


def said(message: dict[str, Any], **more: Any) -> EndpointAnswer | EndpointFault:
    return parse_reply(FORM, reply(200, {"choices": [{"message": message, "finish_reason": "stop"}], **more}), NOW)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("7", 7.0),
        ("Wed, 25 Nov 2026 12:00:30 GMT", 30.0),
        ("Wed, 25 Nov 2026 11:00:00 GMT", 0.0),
        ("Wed, 99 Nov 2026 11:00:00 GMT", 0.0),
        ("soon", 0.0),
        ("-5", 0.0),
        ("", 0.0),
        ("\u0663", 0.0),
        ("9" * 400, 999_999_999.0),
    ],
)
def test_when_to_ask_again_is_seconds_or_a_date_and_nonsense_is_nothing(header: str, seconds: float) -> None:
    found = parse_reply(FORM, reply(429, {}, retry_after=header), NOW)
    assert isinstance(found, EndpointFault)
    assert (found.after, found.tries) == (seconds, MANY)


@pytest.mark.parametrize(("status", "tries"), [(400, 1), (401, 1), (404, 1), (408, MANY), (500, MANY), (529, MANY)])
def test_only_what_may_pass_is_asked_again(status: int, tries: int) -> None:
    found = parse_reply(FORM, reply(status, {"error": {"message": "no"}}), NOW)
    assert isinstance(found, EndpointFault)
    assert found.tries == tries
    assert found.raw == {"error": {"message": "no"}}


def test_content_may_come_in_parts_and_a_call_of_a_tool_needs_none() -> None:
    parts = [{"type": "text", "text": "a"}, {"type": "image", "url": "x"}, {"type": "text", "text": "b"}]
    found = said({"content": parts}, model="m", usage={"total_tokens": 7})
    assert isinstance(found, EndpointAnswer)
    assert (found.text, found.served) == ("ab", "m")
    found = said({"content": None, "tool_calls": [{"id": "1"}]})
    assert isinstance(found, EndpointAnswer)
    assert (found.text, found.tool_calls) == (None, True)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"7",
        b'{"choices": []}',
        b'{"choices": [null]}',
        b'{"choices": [{"message": {"content": 7}}]}',
        b'{"choices": [{"message": {"content": "a"}}], "model": ["m"]}',
        b'{"choices": [{"message": {"content": [{"type": "text"}]}}]}',
        b'{"choices": [{"message": {"content": null}}]}',
        b'{"choices": [{"message": {"content": "a"}}], "x": NaN}',
        b'{"choices": [{"message": {"content": "a"}}], "x": 1e999}',
        b'{"choices": [{"message": {"content": "a"}}], "x": ' + b"9" * 5_000 + b"}",
        b'{"choices": [{"message": {"content": "a"}}], "x": ' + b"[" * 70 + b"]" * 70 + b"}",
        b'{"choices": [{"message": {"content": "a"}}], "x": ' + b"[" * 99_999 + b"]" * 99_999 + b"}",
        b"data: {}",
    ],
)
def test_what_is_not_of_the_known_form_is_a_fault_and_never_an_answer(body: bytes) -> None:
    assert isinstance(parse_reply(FORM, reply(200, body), NOW), EndpointFault)


def test_a_key_is_blotted_out_wherever_it_is_repeated() -> None:
    found = parse_reply(
        FORM, reply(401, {"error": {"message": "bad key sk-secret", "sk-secret": 1}}), NOW, ("sk-secret",)
    )
    assert isinstance(found, EndpointFault)
    assert "sk-secret" not in repr(found)
