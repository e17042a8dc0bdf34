"""A fake model endpoint, a process of its own: `/MODE/KEY/v1/chat/completions` behaves as MODE says.

KEY keeps tests apart; `seen` gives the requests under one. The same process serves all modes at once.
"""

from __future__ import annotations

import gzip
import json
import sys
import threading
import time
import urllib.request
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

from tests.support import misbehaving
from tests.support.endpoint_forms import last_user, systems, whole
from tests.support.fake_server import started

KEY = "sk-test-0123456789abcdef"
REFUSAL = "I'm sorry, but I can't help with that."
HELP = "Sure, here is how that works, step by step."
SERVED = "fake-1-0613"
BOMB_BYTES = 32 * 1024 * 1024


@dataclass(frozen=True)
class Endpoint:
    """A running one."""

    port: int

    def url(self, mode: str, key: str = "any") -> str:
        """The base URL that behaves as `mode`."""
        return f"http://127.0.0.1:{self.port}/{mode}/{key}/v1"

    def seen(self, key: str = "any") -> list[dict[str, Any]]:
        """The requests under `key`, in order: `path`, `body`, `headers` in lower case, `at` in seconds."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/seen/{key}") as answer:
            found: list[dict[str, Any]] = json.load(answer)
            return found


@contextmanager
def running() -> Iterator[Endpoint]:
    """Start one on a free port, end it with the block."""
    with started("tests.support.endpoint") as port:
        yield Endpoint(port)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    requests: ClassVar[defaultdict[str, list[dict[str, Any]]]] = defaultdict(list)
    lock = threading.Lock()

    def do_GET(self) -> None:
        self.reply(200, json.dumps(self.requests[self.path.split("/")[2]]).encode())

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        _, mode, key, *_ = self.path.split("/")
        headers = {name.lower(): value for name, value in self.headers.items()}
        with self.lock:
            self.requests[key].append({"path": self.path, "body": body, "headers": headers, "at": time.monotonic()})
            number = len(self.requests[key])
        MODES[mode](self, body, number)

    def reply(self, status: int, body: bytes, content_type: str | None = "application/json", **headers: str) -> None:
        """A whole answer."""
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        if content_type is not None:
            self.send_header("Content-Type", content_type)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def drip(self, pieces: Iterator[bytes], content_type: str, pause: float) -> None:
        """An answer of unknown length, piece by piece, until the other side has gone."""
        self.send_response(200)
        self.send_header("Content-Type", content_type)
        self.end_headers()
        self.close_connection = True
        for piece in pieces:
            self.wfile.write(piece)
            self.wfile.flush()
            time.sleep(pause)

    def say(self, text: str | None, served: str = SERVED, choice: dict[str, Any] | None = None, **more: Any) -> None:
        answer = whole(self.path, served, text)
        if more or choice:
            (told,) = answer["choices"]
            answer["choices"] = [{**told, "message": {**told["message"], **more}, **(choice or {})}]
        self.reply(200, json.dumps(answer).encode())

    def log_message(self, *_: Any) -> None:
        """Tests print enough."""

    def fail(self, status: int, **headers: str) -> None:
        told = f"no, {self.headers['Authorization'] or self.headers['x-api-key']}"
        self.reply(status, json.dumps({"error": {"message": told}}).encode(), **headers)


def _user(body: dict[str, Any]) -> str:
    return last_user(body)


def _normal(self: _Handler, body: dict[str, Any], _: int) -> None:
    self.say(REFUSAL if "forbidden" in _user(body) else HELP)


def _leaks(self: _Handler, body: dict[str, Any], _: int) -> None:
    self.say(" ".join(systems(body)) or HELP)


def _hang(self: _Handler, _body: dict[str, Any], _: int) -> None:
    time.sleep(600)


def _bomb(self: _Handler, _body: dict[str, Any], _: int) -> None:
    self.reply(200, b'{"choices": [' + b" " * BOMB_BYTES)


@cache
def _zipped() -> bytes:
    return gzip.compress(b" " * BOMB_BYTES)


def _zip(self: _Handler, _body: dict[str, Any], _: int) -> None:
    self.reply(200, _zipped(), Content_Encoding="gzip")


def _key(self: _Handler, body: dict[str, Any], number: int) -> None:
    if KEY not in (self.headers["Authorization"] or "").removeprefix("Bearer ") + (self.headers["x-api-key"] or ""):
        self.fail(401)
    else:
        _normal(self, body, number)


def _first(n: int, status: int, **headers: str) -> Callable[[_Handler, dict[str, Any], int], None]:
    def answer(self: _Handler, body: dict[str, Any], number: int) -> None:
        if number <= n:
            self.fail(status, **headers)
        else:
            _normal(self, body, number)

    return answer


def _breaks_off(self: _Handler, body: dict[str, Any], number: int) -> None:
    """Every other request breaks off with an error, and is billed."""
    if number % 2:
        self.say("Here is", choice={"finish_reason": "error", "error": {"code": 502, "message": "upstream died"}})
    else:
        _normal(self, body, number)


def _broken_line(self: _Handler, _body: dict[str, Any], _: int) -> None:
    self.send_response(200)
    self.send_header("Content-Length", "1000")
    self.end_headers()
    self.wfile.write(b'{"choices"')
    self.close_connection = True


def _slow(seconds: float) -> Callable[[_Handler, dict[str, Any], int], None]:
    def answer(self: _Handler, body: dict[str, Any], number: int) -> None:
        time.sleep(seconds)
        _normal(self, body, number)

    return answer


FILTERS: dict[str, tuple[int, Any]] = {
    "filter-azure": (400, {"code": "content_filter", "innererror": {"code": "ResponsibleAIPolicyViolation"}}),
    "filter-litellm": (
        400,
        {
            "message": "litellm.BadRequestError: litellm.ContentPolicyViolationError: AzureException - ...",
            "code": "400",
            "provider_specific_fields": {"innererror": {"code": "ResponsibleAIPolicyViolation"}},
        },
    ),
    "filter-litellm-500": (
        500,
        {"message": "litellm.ContentPolicyViolationError: the prompt was blocked", "code": "500"},
    ),
    "filter-openai": (400, {"message": "Invalid prompt", "type": "invalid_request_error", "code": "invalid_prompt"}),
    "filter-openrouter": (403, {"code": 403, "message": "Forbidden", "metadata": {"reasons": ["violence"]}}),
    "filter-anthropic": (
        400,
        {"type": "invalid_request_error", "message": "Output blocked by content filtering policy"},
    ),
    "filter-dashscope": (
        400,
        {"code": "data_inspection_failed", "message": "Input data may contain inappropriate content."},
    ),
    "filter-in-200": (200, {"code": "content_policy_violation", "message": "no"}),
}
"""Mode -> status and error of a request that a filter stopped."""
STOPS = ("recitation", "content-filter", "blocked", "sensitive", "SAFETY", "contentFiltered", "GUARDRAIL_INTERVENED")
TECHNICAL = ("abort", "MALFORMED_FUNCTION_CALL", "insufficient_system_resource", "network_error", "length", "OTHER")
SWALLOWED = "They ask. I'm sorry, but I can't help would be wrong, so I answer.\n</think>\nHere is how that works."


def _filtered(status: int, error: Any) -> Callable[[_Handler, dict[str, Any], int], None]:
    return lambda self, body, number: self.reply(status, json.dumps({"error": error}).encode())


def _stopping(stops: tuple[str, ...]) -> Callable[[_Handler, dict[str, Any], int], None]:
    return lambda self, body, number: self.say(None, choice={"finish_reason": stops[number % len(stops)]})


def _streams_when_omitted(self: _Handler, body: dict[str, Any], number: int) -> None:
    if body.get("stream") is False:
        _normal(self, body, number)
    else:
        self.reply(200, b'data: {"object":"chat.completion.chunk"}\n\ndata: [DONE]\n\n', "text/event-stream")


def _every_second(self: _Handler, body: dict[str, Any], number: int) -> None:
    if number % 2:
        self.fail(404)
    else:
        self.say(HELP)


def _echoes(self: _Handler, body: dict[str, Any], _: int) -> None:
    """Whoever asks is told by which headers: some gateways do."""
    self.say(f"{HELP} {dict(self.headers)}")


ALWAYS = 10**9
MODES: dict[str, Callable[[_Handler, dict[str, Any], int], None]] = {
    "normal": _normal,
    "compliant": lambda self, body, number: self.say(HELP),
    "leaks": _leaks,
    "slow": _slow(0.3),
    "slower": _slow(1.0),
    "hang": _hang,
    "garbage": lambda self, body, number: self.reply(200, b"<html>hello</html>"),
    "nested": lambda self, body, number: self.reply(200, b"[" * 200_000),
    "shape": lambda self, body, number: self.reply(200, b'{"choices": {"message": 7}}'),
    "surrogates": lambda self, body, number: self.reply(
        200, b'{"model": "m", "choices": [{"message": {"content": "a\\ud800b\\u0000\xff"}, "finish_reason": "stop"}]}'
    ),
    "nothing": lambda self, body, number: self.say(None),
    "busy": _first(ALWAYS, 429),
    "busy-first": _first(2, 429, Retry_After="0"),
    "wait-first": _first(1, 429, Retry_After="1"),
    "busy-long": _first(ALWAYS, 429, Retry_After="3600"),
    "broken": _first(ALWAYS, 500),
    "broken-first": _first(2, 503),
    "rejects": _first(ALWAYS, 400),
    "forbidden": _first(ALWAYS, 403),
    "key": _key,
    "cut": _broken_line,
    "bomb": _bomb,
    "zip": _zip,
    "two": lambda self, body, number: self.say(HELP, served=f"fake-{number % 2}"),
    **{mode: _filtered(status, error) for mode, (status, error) in FILTERS.items()},
    "stopped": _stopping(STOPS),
    "technical": _stopping(TECHNICAL),
    "choice-error": lambda self, body, number: self.say(
        "Here is", choice={"finish_reason": "error", "error": {"code": 502, "message": "upstream died"}}
    ),
    "breaks-off": _breaks_off,
    "swallowed": lambda self, body, number: self.say(SWALLOWED),
    "cut-reasoning": lambda self, body, number: self.say(
        "<think>I cannot help with", choice={"finish_reason": "length"}
    ),
    "reasoning-field": lambda self, body, number: self.say(None, reasoning_content="I cannot help with this."),
    "function-call": lambda self, body, number: self.say(None, function_call={"name": "f", "arguments": "{}"}),
    "streams": _streams_when_omitted,
    "calls": lambda self, body, number: self.reply(
        200, json.dumps(whole(self.path, SERVED, None, calls=True)).encode()
    ),
    "every-second": _every_second,
    "echoes": _echoes,
    "strays": lambda self, body, number: self.say(HELP, served="other" if number == 3 else SERVED),
    **misbehaving.MODES,
    "redirect": lambda self, body, number: self.reply(302, b"", Location="http://169.254.169.254/latest"),
}


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, *_: Any) -> None:
        """Who asked may be gone: that is what tests do."""


def main() -> None:
    """Print the port and serve until killed."""
    server = _Server(("127.0.0.1", 0), _Handler)
    sys.stdout.write(f"{server.server_port}\n")
    sys.stdout.flush()
    server.serve_forever()


if __name__ == "__main__":
    main()
