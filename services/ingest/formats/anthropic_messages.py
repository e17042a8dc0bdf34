"""Request and response of Anthropic's Messages API."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from services.ingest import json_text
from services.ingest.errors import FormatError
from services.ingest.formats.fields import Fields, without_nothing
from services.ingest.formats.messages import chat_messages, content_of
from services.ingest.formats.pairs import first_of, is_pair, pair_reader, request_of, response_of
from services.ingest.formats.protocol import Draft, Format, Json

_MESSAGES: Final = "log the request's messages with their content"
_CONTENT: Final = "log the whole message, or all events of its stream"
_MODEL: Final = "log the request's model"
_CACHED: Final = ("cache_creation_input_tokens", "cache_read_input_tokens")
_DELTAS: Final = {"text_delta": "text", "thinking_delta": "thinking", "input_json_delta": "partial_json"}


def _is_messages(value: Mapping[str, Any]) -> bool:
    if not is_pair(value):
        return False
    request, first = request_of(value), first_of(response_of(value))
    told = str(first.get("type")) in {"message", "message_start"} or "stop_reason" in first
    told = told or (first.get("type") == "error" and isinstance(first.get("error"), dict))
    return told or ("system" in request and "messages" in request) or "anthropic_version" in request


def joined_stream(events: Sequence[Any]) -> Json:
    """The message that the events of a stream make."""
    whole: Json = {}
    blocks: dict[str, Json] = {}
    pieces: dict[str, dict[str, list[Any]]] = {}
    for event in events:
        if not isinstance(event, dict):
            continue
        kind, delta = event.get("type"), event.get("delta")
        if kind == "message_start" and isinstance(event.get("message"), dict):
            whole = dict(event["message"])
        elif kind == "content_block_start" and isinstance(event.get("content_block"), dict):
            blocks[str(event.get("index"))] = dict(event["content_block"])
        elif kind == "content_block_delta" and isinstance(delta, dict):
            index = str(event.get("index"))
            block = blocks.setdefault(index, {"type": "text"})
            _grow(block, pieces.setdefault(index, {}), delta)
        elif kind == "message_delta" and isinstance(delta, dict):
            whole.update(delta)
            whole["usage"] = _merged(whole.get("usage"), event.get("usage"))
        elif kind == "error":
            whole["error"] = event.get("error")
    return whole | {"content": [_closed(block, pieces.get(index, {})) for index, block in blocks.items()]}


def _merged(before: Any, after: Any) -> Json:
    """Counts of before, and those that came later; clients write null for what an event does not say."""
    told = [one for one in (before, after) if isinstance(one, dict)]
    return {name: item for one in told for name, item in one.items() if item is not None}


def _grow(block: Json, pieces: dict[str, list[Any]], delta: Mapping[str, Any]) -> None:
    name = _DELTAS.get(str(delta.get("type")))
    piece = None if name is None else delta.get(name)
    if name is not None and piece is not None:
        before = block.get(name)
        pieces.setdefault(name, [before] if isinstance(before, str) else []).append(piece)


def _closed(block: Json, pieces: Mapping[str, list[Any]]) -> Any:
    """A block with its pieces joined; a call of a tool has its arguments as one text until it is whole.

    One of which a piece is no text is no block, and is refused as such.
    """
    if not all(isinstance(piece, str) for several in pieces.values() for piece in several):
        return list(pieces.values())
    block |= {name: "".join(several) for name, several in pieces.items()}
    text = block.pop("partial_json", None)
    if isinstance(text, str) and text:
        try:
            block["input"] = json_text.parse(text)
        except FormatError:
            block["input"] = text
    return block


def read_messages(request: Fields, response: Fields, draft: Draft) -> None:
    """Fill in what request and response say."""
    fields = draft.fields
    fields["model"] = {
        "provider": "anthropic",
        "requested": request.text("model", needed=_MODEL),
        "served": response.text("model"),
    }
    system = content_of(request.value.get("system"), request, "system")
    told = [{"role": "system", "content": system}] if system else []
    fields["prompt"] = [*told, *chat_messages(request.value.get("messages"), request, "messages", _MESSAGES)]
    fields["tools"] = request.list("tools")
    fields["user"] = request.object("metadata").text("user_id")
    if fields["user"] is None:
        del fields["user"]
    if response.value:
        content = content_of(response.value.get("content"), response, "content")
        if response.value.get("content") is None:
            response.fault("content", f"missing; {_CONTENT}")
        reason = response.text("stop_reason")
        fields["response"] = {"content": content, **({"finish_reason": reason} if reason else {})}
    usage = response.object("usage")
    fields["usage"] = without_nothing({"input_tokens": _sent(usage), "output_tokens": usage.whole("output_tokens")})


def _sent(usage: Fields) -> int | None:
    """All tokens that were sent: what was read from a cache or written to one is told beside the others."""
    told = [usage.whole(name) for name in ("input_tokens", *_CACHED)]
    return None if told[0] is None else sum(one for one in told if one is not None)


ANTHROPIC: Final = Format(
    "anthropic", "Anthropic Messages API", _is_messages, pair_reader(joined_stream, read_messages)
)
