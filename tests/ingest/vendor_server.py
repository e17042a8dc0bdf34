"""A server on this machine that answers as the vendors of models do, with and without a stream, for `make_fixtures`."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from typing import Any, Final

QUESTION: Final = "Where is my parcel?"
ANSWER: Final = "It left our warehouse this morning."
SYSTEM: Final = "Be brief."
PIXEL: Final = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
TOOL: Final = {
    "type": "function",
    "function": {
        "name": "track",
        "description": "Where a parcel is.",
        "parameters": {"type": "object", "properties": {"parcel": {"type": "string"}}},
    },
}
MESSAGES: Final[list[dict[str, Any]]] = [
    {"role": "system", "content": SYSTEM},
    {
        "role": "user",
        "content": [
            {"type": "text", "text": QUESTION},
            {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}},
        ],
    },
]
PLAIN: Final[list[dict[str, Any]]] = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": QUESTION}]
CALL: Final = {"id": "call_1", "type": "function", "function": {"name": "track", "arguments": '{"parcel": "7"}'}}
CHAT: Final[dict[str, Any]] = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1764500000,
    "model": "gpt-4o-2024-08-06",
    "system_fingerprint": "fp_44",
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": ANSWER, "tool_calls": [CALL], "refusal": None},
            "finish_reason": "stop",
            "logprobs": None,
        }
    ],
    "usage": {"prompt_tokens": 21, "completion_tokens": 9, "total_tokens": 30},
}
RESPONSE: Final[dict[str, Any]] = {
    "id": "resp_1",
    "object": "response",
    "created_at": 1764500000,
    "status": "completed",
    "model": "gpt-4o-2024-08-06",
    "output": [
        {
            "type": "message",
            "id": "msg_1",
            "status": "completed",
            "role": "assistant",
            "content": [{"type": "output_text", "text": ANSWER, "annotations": []}],
        },
        {
            "type": "function_call",
            "id": "fc_1",
            "call_id": "call_1",
            "name": "track",
            "arguments": '{"parcel": "7"}',
            "status": "completed",
        },
    ],
    "parallel_tool_calls": True,
    "tool_choice": "auto",
    "tools": [],
    "usage": {
        "input_tokens": 21,
        "output_tokens": 9,
        "total_tokens": 30,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens_details": {"reasoning_tokens": 0},
    },
}
MESSAGE: Final[dict[str, Any]] = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-sonnet-4-5-20250929",
    "content": [
        {"type": "text", "text": ANSWER},
        {"type": "tool_use", "id": "toolu_1", "name": "track", "input": {"parcel": "7"}},
    ],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {"input_tokens": 21, "output_tokens": 9},
}


def _chat_chunks() -> Iterator[dict[str, Any]]:
    head = {name: CHAT[name] for name in ("id", "created", "model", "system_fingerprint")}
    head["object"] = "chat.completion.chunk"
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}]
    deltas += [{"content": f"{word} "} for word in ANSWER.split()[:-1]] + [{"content": ANSWER.split()[-1]}]
    function = {"name": "track", "arguments": ""}
    deltas += [{"tool_calls": [{"index": 0, "id": "call_1", "type": "function", "function": function}]}]
    deltas += [{"tool_calls": [{"index": 0, "function": {"arguments": part}}]} for part in ('{"parcel', '": "7"}')]
    for delta in deltas:
        yield {**head, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]}
    yield {**head, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
    yield {**head, "choices": [], "usage": CHAT["usage"]}


def _response_events() -> Iterator[dict[str, Any]]:
    yield {"type": "response.created", "sequence_number": 0, "response": {**RESPONSE, "status": "in_progress"}}
    for i, word in enumerate(ANSWER.split(), start=1):
        place = {"item_id": "msg_1", "output_index": 0, "content_index": 0, "logprobs": []}
        yield {"type": "response.output_text.delta", "sequence_number": i, "delta": f"{word} ", **place}
    yield {"type": "response.completed", "sequence_number": 99, "response": RESPONSE}


def _message_events() -> Iterator[dict[str, Any]]:
    begun = {**MESSAGE, "content": [], "stop_reason": None, "usage": {"input_tokens": 21, "output_tokens": 1}}
    yield {"type": "message_start", "message": begun}
    yield {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
    for word in ANSWER.split()[:-1]:
        yield {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": f"{word} "}}
    last = ANSWER.split()[-1]
    yield {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": last}}
    yield {"type": "content_block_stop", "index": 0}
    call = {"type": "tool_use", "id": "toolu_1", "name": "track", "input": {}}
    yield {"type": "content_block_start", "index": 1, "content_block": call}
    for part in ('{"parcel', '": "7"}'):
        yield {"type": "content_block_delta", "index": 1, "delta": {"type": "input_json_delta", "partial_json": part}}
    yield {"type": "content_block_stop", "index": 1}
    yield {
        "type": "message_delta",
        "delta": {"stop_reason": "end_turn", "stop_sequence": None},
        "usage": {"output_tokens": 9},
    }
    yield {"type": "message_stop"}


ANSWERS: Final[dict[str, tuple[dict[str, Any], Callable[[], Iterator[dict[str, Any]]]]]] = {
    "/v1/chat/completions": (CHAT, _chat_chunks),
    "/v1/responses": (RESPONSE, _response_events),
    "/v1/messages": (MESSAGE, _message_events),
}


class Vendor(BaseHTTPRequestHandler):
    """Answers as the vendors do, and keeps the requests that it was sent."""

    seen: Final[list[dict[str, Any]]] = []

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["content-length"])))
        Vendor.seen.append(request)
        if "fail" in str(request.get("model")):
            self._send(429, "application/json", b'{"error": {"message": "slow down", "type": "rate_limit"}}')
            return
        whole, events = ANSWERS[self.path.split("?")[0]]
        if not request.get("stream"):
            self._send(200, "application/json", json.dumps(whole).encode())
            return
        lines = [f"event: {one.get('type', 'x')}\ndata: {json.dumps(one)}\n\n" for one in events()]
        if self.path.endswith("completions"):
            lines = [line.split("\n", 1)[1] for line in lines] + ["data: [DONE]\n\n"]
        self._send(200, "text/event-stream", "".join(lines).encode())

    def _send(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""
