"""What fake endpoints send, in the form of each API: whole, or as an event stream."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

USAGE = {"prompt_tokens": 20, "completion_tokens": 10, "total_tokens": 30}
TOKENS = {"input_tokens": 20, "output_tokens": 10}
CALL = {"id": "call_1", "name": "send_mail", "arguments": '{"to": "a@example.com"}'}


def api_of(path: str) -> str:
    """The last step of a path: `completions`, `responses` or `messages`."""
    return path.partition("?")[0].rsplit("/", 1)[-1]


def last_user(body: dict[str, Any]) -> str:
    """What the last message says, in a request of any API."""
    turns = body.get("messages") or body["input"]
    content = turns[-1].get("content") or turns[-1].get("output")
    return content if isinstance(content, str) else json.dumps(content)


def systems(body: dict[str, Any]) -> list[str]:
    """The system prompts of a request of any API."""
    own = [str(turn["content"]) for turn in body.get("messages", ()) if turn["role"] == "system"]
    return [*own, *(str(body[name]) for name in ("system", "instructions") if name in body)]


def whole(path: str, served: str, text: str | None, calls: bool = False) -> dict[str, Any]:
    """An answer without a fault."""
    return {"responses": _response, "messages": _message}.get(api_of(path), _completion)(served, text, calls)


def _completion(served: str, text: str | None, calls: bool) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": text}
    if calls:
        function = {"name": CALL["name"], "arguments": CALL["arguments"]}
        message["tool_calls"] = [{"id": CALL["id"], "type": "function", "function": function}]
    choice = {"index": 0, "message": message, "finish_reason": "tool_calls" if calls else "stop"}
    return {"id": "x", "model": served, "choices": [choice], "usage": USAGE, "system_fingerprint": "fp_1"}


def _response(served: str, text: str | None, calls: bool) -> dict[str, Any]:
    output: list[dict[str, Any]] = [{"type": "reasoning", "summary": []}]
    if text is not None:
        part = {"type": "output_text", "text": text, "annotations": []}
        output.append({"type": "message", "role": "assistant", "status": "completed", "content": [part]})
    if calls:
        output.append({"type": "function_call", "id": "fc_1", "call_id": CALL["id"], **_without_id()})
    usage = {**TOKENS, "total_tokens": 30}
    whole = {"id": "resp_1", "object": "response", "status": "completed", "model": served, "output": output}
    return {**whole, "error": None, "incomplete_details": None, "usage": usage}


def _message(served: str, text: str | None, calls: bool) -> dict[str, Any]:
    content: list[dict[str, Any]] = [] if text is None else [{"type": "text", "text": text}]
    if calls:
        content.append(
            {"type": "tool_use", "id": CALL["id"], "name": CALL["name"], "input": json.loads(CALL["arguments"])}
        )
    whole = {"id": "msg_1", "type": "message", "role": "assistant", "model": served, "content": content}
    return {**whole, "stop_reason": "tool_use" if calls else "end_turn", "stop_sequence": None, "usage": TOKENS}


def _without_id() -> dict[str, str]:
    return {"name": CALL["name"], "arguments": CALL["arguments"]}


def streamed(path: str, served: str, text: str, calls: bool = False) -> list[bytes]:
    """The same answer as the events of a stream, one by one."""
    return {"responses": _response_events, "messages": _message_events}.get(api_of(path), _chunks)(served, text, calls)


def sse(value: Any, name: str = "") -> bytes:
    """One event."""
    data = value if isinstance(value, str) else json.dumps(value)
    return (f"event: {name}\n" if name else "").encode() + f"data: {data}\n\n".encode()


def _chunks(served: str, text: str, calls: bool) -> list[bytes]:
    return [sse(chunk) for chunk in chunks(served, text, calls)] + [sse("[DONE]")]


def chunks(served: str, text: str, calls: bool = False) -> list[dict[str, Any]]:
    """Chunks of a chat completion: role, words, calls, the stop, and the usage apart."""
    whole: dict[str, Any] = {
        "id": "x",
        "object": "chat.completion.chunk",
        "model": served,
        "system_fingerprint": "fp_1",
    }
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}]
    deltas += [{"content": word} for word in _words(text)]
    if calls:
        deltas += [_call_piece({"id": CALL["id"], "type": "function"}, name=CALL["name"], arguments="")]
        deltas += [_call_piece({}, arguments=piece) for piece in _words(CALL["arguments"])]
    found = [{**whole, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas]
    stop = {"index": 0, "delta": {}, "finish_reason": "tool_calls" if calls else "stop"}
    return [*found, {**whole, "choices": [stop]}, {**whole, "choices": [], "usage": USAGE}]


def _call_piece(told: dict[str, Any], **function: str) -> dict[str, Any]:
    return {"tool_calls": [{"index": 0, **told, "function": function}]}


def _words(text: str) -> list[str]:
    return [text[i : i + 7] for i in range(0, len(text), 7)]


def _response_events(served: str, text: str, calls: bool) -> list[bytes]:
    done = _response(served, text, calls)
    begun = {**done, "status": "in_progress", "output": [], "usage": None}
    deltas = [{"type": "response.output_text.delta", "output_index": 1, "delta": word} for word in _words(text)]
    items = [{"type": "response.output_item.done", "item": item} for item in done["output"]]
    events = [{"type": "response.created", "response": begun}, *deltas, *items]
    return [sse(one, str(one["type"])) for one in (*events, {"type": "response.completed", "response": done})]


def _message_events(served: str, text: str, calls: bool) -> list[bytes]:
    done = _message(served, text, calls)
    events: list[dict[str, Any]] = [
        {"type": "message_start", "message": {**done, "content": [], "stop_reason": None}},
        {"type": "ping"},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        *_deltas(0, "text_delta", "text", _words(text)),
        {"type": "content_block_stop", "index": 0},
    ]
    if calls:
        block = {"type": "tool_use", "id": CALL["id"], "name": CALL["name"], "input": {}}
        events.append({"type": "content_block_start", "index": 1, "content_block": block})
        events += _deltas(1, "input_json_delta", "partial_json", ["", *_words(CALL["arguments"])])
        events.append({"type": "content_block_stop", "index": 1})
    delta = {"stop_reason": done["stop_reason"], "stop_sequence": None}
    events += [{"type": "message_delta", "delta": delta, "usage": {"output_tokens": 10}}, {"type": "message_stop"}]
    return [sse(one, str(one["type"])) for one in events]


def _deltas(index: int, kind: str, name: str, pieces: Iterable[str]) -> list[dict[str, Any]]:
    return [{"type": "content_block_delta", "index": index, "delta": {"type": kind, name: piece}} for piece in pieces]
