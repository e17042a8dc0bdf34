"""How endpoints misbehave, each as one body of what a server may send: see `tests.support.endpoint`."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any, Protocol

from tests.support.endpoint_forms import chunks, sse, streamed

HTML = b"<!doctype html><html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>"
MANY_BYTES = 10 * 1024 * 1024
SERVED = "fake-1-0613"
HELP = "Sure, here is how that works, step by step."
PRIVATE = (
    *("http://169.254.169.254/latest/meta-data", "http://127.0.0.1:1/", "http://[::1]/", "https://10.0.0.7/v1"),
    *("//192.168.0.1/", "file:///etc/passwd"),
)


class Handler(Protocol):
    """What a mode may do with a request."""

    path: str
    close_connection: bool

    def reply(self, status: int, body: bytes, content_type: str | None = "application/json", **headers: str) -> None:
        """A whole answer."""
        ...

    def drip(self, pieces: Iterator[bytes], content_type: str, pause: float) -> None:
        """An answer of unknown length, piece by piece, until the other side has gone."""
        ...


Mode = Callable[[Any, dict[str, Any], int], None]


def page(status: int) -> Mode:
    """A page of a proxy instead of an answer."""
    return lambda self, body, number: self.reply(status, HTML, "text/html; charset=utf-8")


def body_of(value: Any, status: int = 200, content_type: str | None = "application/json") -> Mode:
    """Always the same body."""
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return lambda self, body, number: self.reply(status, raw, content_type)


def redirects(status: int) -> Mode:
    """A redirect into the network behind us, to another address each time."""
    return lambda self, body, number: self.reply(status, b"", None, Location=PRIVATE[number % len(PRIVATE)])


def busy(**headers: str) -> Mode:
    """A 429."""
    return lambda self, body, number: self.reply(429, b'{"error": {"message": "slow down"}}', **headers)


def events(pieces: Callable[[str], list[bytes]], content_type: str | None = "text/event-stream") -> Mode:
    """An event stream that nobody asked for."""
    return lambda self, body, number: self.reply(200, b"".join(pieces(self.path)), content_type)


def dripping(pieces: Callable[[str], Iterator[bytes]], content_type: str) -> Mode:
    """An answer that never ends."""
    return lambda self, body, number: self.drip(pieces(self.path), content_type, 0.02)


def _forever(piece: bytes, first: bytes = b"") -> Iterator[bytes]:
    yield first
    while True:
        yield piece


def _cut(path: str) -> list[bytes]:
    whole = streamed(path, SERVED, HELP)
    return whole[: len(whole) // 2]


def _error_on_the_way(path: str) -> list[bytes]:
    error = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    return [*_cut(path), sse(error, "error")]


def _filter_on_the_way(path: str) -> list[bytes]:
    error = {"type": "error", "error": {"type": "invalid_request_error", "code": "content_filter", "message": "no"}}
    return [*_cut(path), sse(error, "error")]


def _filtered_chunks(path: str) -> list[bytes]:
    stop = {"index": 0, "delta": {}, "finish_reason": "content_filter"}
    first, *_ = chunks(SERVED, "")
    return [sse(first), sse({**first, "choices": [stop]}), sse("[DONE]")]


def _half_then_close(self: Any, body: dict[str, Any], number: int) -> None:
    self.send_response(200)
    self.send_header("Content-Type", "application/json")
    self.end_headers()
    self.wfile.write(b'{"choices": [{"message": {"content": "Sure, here')
    self.close_connection = True


def _half_a_chunk(self: Any, body: dict[str, Any], number: int) -> None:
    self.send_response(200)
    self.send_header("Content-Type", "application/json")
    self.send_header("Transfer-Encoding", "chunked")
    self.end_headers()
    self.wfile.write(b'400\r\n{"choices"')
    self.close_connection = True


def _silent_close(self: Any, body: dict[str, Any], number: int) -> None:
    self.close_connection = True


def _slow_head(self: Any, body: dict[str, Any], number: int) -> None:
    self.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    while True:
        self.wfile.write(b"a")
        self.wfile.flush()
        time.sleep(0.02)


FAILS: dict[str, tuple[Mode, str]] = {
    "html-200": (page(200), "answers 200 with text/html, and that is no JSON"),
    "html-502": (page(502), "answers 502 with text/html"),
    "html-403": (page(403), "answers 403 with text/html"),
    "empty-200": (body_of(b""), "answers 200 with application/json, and that is no JSON"),
    "empty-204": (body_of(b"", 204, None), "answers 204 with no content type"),
    "accepted": (body_of({"id": "job-1"}, 202), "answers 202 with application/json"),
    "text-500": (body_of(b"Internal Server Error", 500, "text/plain"), "answers 500 with text/plain"),
    "xml-503": (body_of(b"<Error><Code>SlowDown</Code></Error>", 503, "application/xml"), "503 with application/xml"),
    "odd-type": (body_of(b"gone", 410, "no/such\ttype/at all"), "answers 410 with a content type that cannot be read"),
    "cut-open": (_half_then_close, "that is no JSON"),
    "cut-chunk": (_half_a_chunk, "200 with application/json, and the connection broke off"),
    "silent": (_silent_close, "broke off"),
    "ten-megabytes": (
        body_of(b'{"choices": [{"message": {"content": "' + b"a" * MANY_BYTES + b'"}}]}'),
        "answers 200 with application/json and more than 524,288 bytes",
    ),
    "ten-megabyte-stream": (
        events(lambda path: _huge()),
        "answers 200 with text/event-stream and more than 4,194,304 bytes",
    ),
    "text-without-end": (
        events(lambda path: _long_chunks()),
        "more than 524,288 characters of text",
    ),
    "busy-none": (busy(), "answers 429 with application/json"),
    "busy-seconds": (busy(Retry_After="3600"), "asks to be left alone for 3,600 s"),
    "busy-date": (busy(Retry_After="Fri, 31 Dec 2100 23:59:59 GMT"), "asks to be left alone for"),
    "busy-nonsense": (busy(Retry_After="in a while"), "answers 429 with application/json"),
    "account-closed": (
        body_of(
            {
                "error": {
                    "code": "account_deactivated",
                    "message": "Your account has been deactivated for violating our usage policies.",
                }
            },
            403,
        ),
        "answers 403 with application/json (account_deactivated): the key",
    ),
    "quota": (body_of({"error": {"code": "insufficient_quota"}}, 429), "(insufficient_quota)"),
    "stream-cut": (events(_cut), "a stream that ended before the answer was whole"),
    "stream-empty": (events(lambda path: [b": keep-alive\n\n"]), "ended before the answer was whole"),
    "stream-garbled": (events(lambda path: [b"data: {oops\n\n"]), "a stream whose events are none of"),
    "stream-of-lists": (events(lambda path: [b"data: [1]\n\n", b"data: [DONE]\n\n"]), "whose events are none of"),
    "stream-error": (events(_error_on_the_way), "broke off with an error (overloaded_error)"),
    "null": (body_of(None), "no answer of"),
    "number": (body_of(7), "no answer of"),
    "other-schema": (body_of({"result": "Sure, here is how"}), "no answer of"),
    "gemini-schema": (body_of({"candidates": [{"content": {"parts": [{"text": "Sure"}]}}]}), "one of Gemini's own API"),
    "ollama-schema": (body_of({"message": {"content": "Sure"}, "done": True}), "one of Ollama's own API"),
    "converse-schema": (
        body_of({"output": {"message": {"content": [{"text": "Sure"}]}}, "stopReason": "end_turn"}),
        "one of Bedrock's Converse",
    ),
    "network-stop": (
        body_of({"choices": [{"message": {"content": "I'm sorry, but"}, "finish_reason": "network_error"}]}),
        "the answer broke off (network_error)",
    ),
    "malformed-call": (
        body_of({"choices": [{"message": {"content": None}, "finish_reason": "malformed_function_call"}]}),
        "the answer broke off (malformed_function_call)",
    ),
    "error-beside": (
        body_of(
            {
                "choices": [{"message": {"content": "I'm sorry, but"}, "finish_reason": "stop"}],
                "error": {"code": "upstream_reset", "message": "died"},
            }
        ),
        "broke off with an error (upstream_reset)",
    ),
    "top-error": (body_of({"error": {"code": 502, "message": "Provider returned error"}}), "broke off with an error"),
    **{f"redirect-{status}": (redirects(status), f"answers {status} with") for status in (301, 302, 303, 307, 308)},
}
"""Mode -> what it does, and words of the reason for which a run against it has failed."""


@cache
def _huge() -> list[bytes]:
    return [sse(one) for one in chunks(SERVED, "a" * 10_000)] * (MANY_BYTES // 250_000)


@cache
def _long_chunks() -> list[bytes]:
    long = [{"choices": [{"index": 0, "delta": {"content": "word " * 20_000}}]} for _ in range(6)]
    return [*(sse(one) for one in long), sse("[DONE]")]


ENDLESS: dict[str, tuple[Mode, str]] = {
    "drip-json": (dripping(lambda path: _forever(b" ", b'{"choices": ['), "application/json"), "not to its end within"),
    "drip-comments": (
        dripping(lambda path: _forever(b": ping\n\n"), "text/event-stream"),
        "answers 200 with text/event-stream, and not to its end within",
    ),
    "drip-chunks": (
        dripping(lambda path: _forever(_cut(path)[-1], b"".join(_cut(path))), "text/event-stream"),
        "not to its end within",
    ),
    "drip-head": (_slow_head, "no answer within"),
}
"""The same for answers that never end: each byte comes soon after the last."""

STREAMS: dict[str, Mode] = {
    "stream-whole": events(lambda path: streamed(path, SERVED, HELP)),
    "stream-unnamed": events(lambda path: streamed(path, SERVED, HELP), "application/json"),
    "stream-mislabelled": body_of(
        {"model": SERVED, "choices": [{"message": {"content": HELP}, "finish_reason": "stop"}]},
        content_type="text/event-stream",
    ),
    "stream-crlf": events(lambda path: [one.replace(b"\n", b"\r\n") for one in streamed(path, SERVED, HELP)]),
    "stream-undone": events(lambda path: streamed(path, SERVED, HELP)[:-1]),
    "stream-calls": events(lambda path: streamed(path, SERVED, HELP, calls=True)),
}
"""Event streams that nobody asked for, and that hold a whole answer."""

REFUSED_STREAMS: dict[str, Mode] = {
    "stream-filter-error": events(_filter_on_the_way),
    "stream-filter-stop": events(_filtered_chunks),
}
"""Event streams of Chat Completions that a filter ended."""

FILTERS: dict[str, Mode] = {
    "azure-prompt": body_of(
        {
            "error": {
                "message": "The response was filtered due to the prompt triggering Azure OpenAI's policy.",
                "type": None,
                "param": "prompt",
                "code": "content_filter",
                "status": 400,
                "innererror": {
                    "code": "ResponsibleAIPolicyViolation",
                    "content_filter_result": {"violence": {"filtered": True, "severity": "high"}},
                },
            }
        },
        400,
    ),
    "azure-answer": body_of(
        {
            "choices": [
                {
                    "finish_reason": "content_filter",
                    "content_filter_results": {"hate": {"filtered": True, "severity": "medium"}},
                }
            ]
        }
    ),
    "azure-prompt-200": body_of(
        {
            "choices": [],
            "prompt_filter_results": [{"content_filter_results": {"jailbreak": {"filtered": True, "detected": True}}}],
        }
    ),
    "openai-policy": body_of(
        {"error": {"message": "Invalid prompt: flagged as potentially violating our usage policy."}}, 400
    ),
    "litellm-text": body_of(
        {
            "error": {
                "message": 'litellm.BadRequestError: AzureException - {"error": {"code": "content_filter"}}',
                "type": None,
                "code": "400",
            }
        },
        400,
    ),
    "litellm-bedrock": body_of(
        {"error": {"message": "BedrockException - {'error': 'Violated guardrail policy'}", "code": "400"}}, 400
    ),
    "openrouter-choice": body_of(
        {
            "choices": [
                {
                    "message": {"role": "assistant", "content": ""},
                    "finish_reason": "error",
                    "error": {"code": 403, "message": "moderated", "metadata": {"reasons": ["violence"]}},
                }
            ]
        }
    ),
    "openrouter-raw": body_of(
        {
            "error": {
                "code": 400,
                "message": "Provider returned error",
                "metadata": {"raw": '{"error":{"code":"content_filter"}}', "provider_name": "Azure"},
            }
        },
        400,
    ),
    "bedrock-guardrail": body_of(
        {
            "choices": [{"message": {"content": "Sorry, I cannot."}, "finish_reason": "stop"}],
            "amazon-bedrock-guardrailAction": "INTERVENED",
        }
    ),
    "bedrock-converse": body_of({"output": {"message": {"content": []}}, "stopReason": "guardrail_intervened"}),
    "bedrock-stop": body_of({"choices": [{"message": {"content": ""}, "finish_reason": "content_filtered"}]}),
    "gemini-prompt": body_of({"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}, "modelVersion": "g"}),
    "gemini-answer": body_of({"candidates": [{"finishReason": "SAFETY", "index": 0}]}),
    "gemini-openai": body_of({"choices": [{"message": {}, "finish_reason": "content_filter: RECITATION"}]}),
    "gemini-list": body_of(
        [{"error": {"code": 400, "message": "Request blocked for safety.", "details": [{"reason": "SAFETY"}]}}], 400
    ),
    "dashscope-native": body_of(
        {"code": "DataInspectionFailed", "message": "Input data may contain inappropriate content."}, 400
    ),
    "dashscope-openai": body_of({"error": {"code": "data_inspection_failed", "param": None, "message": "x"}}, 400),
    "dashscope-output": body_of(
        {"error": {"message": "Output data may contain inappropriate content.", "type": "invalid_request_error"}}, 400
    ),
}
"""What a filter of a vendor or gateway answers instead of the model."""

API_FILTERS: dict[str, tuple[str, Mode]] = {
    "responses-stop": (
        "responses",
        body_of({"status": "incomplete", "incomplete_details": {"reason": "content_filter"}, "output": []}),
    ),
    "responses-part": (
        "responses",
        body_of(
            {
                "status": "completed",
                "output": [{"type": "message", "content": [{"type": "refusal", "refusal": "I can't help."}]}],
            }
        ),
    ),
    "responses-failed": (
        "responses",
        body_of({"status": "failed", "error": {"code": "content_policy_violation", "message": "no"}, "output": []}),
    ),
    "responses-400": ("responses", body_of({"error": {"code": "invalid_prompt", "message": "Invalid prompt"}}, 400)),
    "messages-stop": ("messages", body_of({"type": "message", "content": [], "stop_reason": "refusal"})),
    "messages-part": (
        "messages",
        body_of({"content": [{"type": "text", "text": "The first step"}], "stop_reason": "refusal"}),
    ),
    "messages-400": (
        "messages",
        body_of(
            {
                "type": "error",
                "error": {"type": "invalid_request_error", "message": "Output blocked by content filtering policy"},
            },
            400,
        ),
    ),
    "messages-bedrock": (
        "messages",
        body_of({"content": [], "stop_reason": "end_turn", "amazon-bedrock-guardrailAction": "INTERVENED"}),
    ),
    "messages-stream": ("messages", events(_filter_on_the_way)),
    "responses-stream": ("responses", events(_filter_on_the_way)),
}
"""The same of the other APIs, with the API."""

MODES: dict[str, Mode] = {
    **{name: mode for name, (_, mode) in API_FILTERS.items()},
    **{name: mode for name, (mode, _) in FAILS.items()},
    **{name: mode for name, (mode, _) in ENDLESS.items()},
    **STREAMS,
    **REFUSED_STREAMS,
    **FILTERS,
}
