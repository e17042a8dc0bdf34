"""OpenAI's chat completions and Responses API, as the `openai` library and every server that speaks them has them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from keelwatch_client.call_form import ChunkJoiner, count, get, listed, messages_of, present, text
from keelwatch_client.exchange import Json, light_part, without_media


class OpenAIChat:
    """`chat.completions`."""

    def request(self, asked: Mapping[str, Any]) -> Json:
        """Fields by the arguments of `create`."""
        return present(
            model={"requested": text(asked.get("model")) or ""},
            prompt=messages_of(asked.get("messages")),
            tools=listed(asked.get("tools")),
            user=text(asked.get("safety_identifier")) or text(asked.get("user")),
        )

    def answers(self, result: Any) -> list[Json]:
        """One for each choice: two answers to one prompt are two exchanges."""
        usage = _usage(get(result, "usage"), "prompt_tokens", "completion_tokens")
        model = present(served=text(get(result, "model")), fingerprint=text(get(result, "system_fingerprint")))
        found: list[Json] = []
        for choice in get(result, "choices") or ():
            message = get(choice, "message")
            response = {
                "content": get(message, "content"),
                **present(
                    tool_calls=listed(get(message, "tool_calls")),
                    function_call=get(message, "function_call"),
                    refusal=text(get(message, "refusal")),
                    finish_reason=text(get(choice, "finish_reason")),
                    audio=True if get(message, "audio") else None,
                ),
            }
            found.append(present(model=model, response=response, usage=None if found else usage))
        return found

    def joiner(self) -> ChunkJoiner:
        """Joins chunks of `stream=True`."""
        return _ChatChunks()

    def snapshot(self, stream: Any) -> Any:
        """Of the helper `stream()`."""
        return stream.current_completion_snapshot


class _ChatChunks:
    """Deltas by choice; a piece of a call is told by its index."""

    def __init__(self) -> None:
        self._choices: dict[int, Json] = {}
        self._top: Json = {}

    def add(self, chunk: Any) -> None:
        """Take the next chunk."""
        for name in ("model", "system_fingerprint", "usage"):
            if (value := get(chunk, name)) is not None:
                self._top[name] = value
        for choice in get(chunk, "choices") or ():
            into = self._choices.setdefault(
                get(choice, "index") or 0, {"texts": {}, "calls": {}, "finish_reason": None}
            )
            into["finish_reason"] = get(choice, "finish_reason") or into["finish_reason"]
            delta = get(choice, "delta")
            for name in ("content", "refusal"):
                if isinstance(piece := get(delta, name), str):
                    into["texts"].setdefault(name, []).append(piece)
            for call in get(delta, "tool_calls") or ():
                _add_call(into["calls"], call)

    def whole(self) -> Json:
        """The completion that they add up to."""
        return {**self._top, "choices": [_choice(index, found) for index, found in sorted(self._choices.items())]}


def _add_call(calls: dict[Any, Json], piece: Any) -> None:
    function, index = get(piece, "function"), get(piece, "index")
    into = calls.setdefault(len(calls) if index is None else index, {"type": "function", "name": None, "arguments": []})
    into["id"] = get(piece, "id") or into.get("id")
    into["name"] = get(function, "name") or into["name"]
    into["arguments"].append(get(function, "arguments") or "")


def _choice(index: int, found: Json) -> Json:
    texts = {name: "".join(pieces) for name, pieces in found["texts"].items()}
    calls = [
        {
            "id": call.get("id"),
            "type": "function",
            "function": {"name": call["name"], "arguments": "".join(call["arguments"])},
        }
        for call in found["calls"].values()
    ]
    message = {"content": texts.get("content"), "refusal": texts.get("refusal"), "tool_calls": calls}
    return {"index": index, "message": message, "finish_reason": found["finish_reason"]}


class OpenAIResponses:
    """`responses`."""

    def request(self, asked: Mapping[str, Any]) -> Json:
        """Fields by the arguments of `create`."""
        conversation = asked.get("conversation")
        instructions = text(asked.get("instructions"))
        system = [{"role": "system", "content": instructions}] if instructions else []
        sent = asked.get("input")
        items = messages_of(sent) if isinstance(sent, str) else [_turn(one) for one in listed(sent) or ()]
        return present(
            model={"requested": text(asked.get("model")) or ""},
            prompt=[*system, *(one for one in items if one is not None)],
            tools=listed(asked.get("tools")),
            user=text(asked.get("safety_identifier")) or text(asked.get("user")),
            conversation=text(conversation) or text(get(conversation, "id")),
        )

    def answers(self, result: Any) -> list[Json]:
        """The items of the output, as parts of one answer."""
        reason = get(get(result, "incomplete_details"), "reason") or get(result, "status")
        items = [light_part(one) for one in get(result, "output") or ()]
        response = {"content": items, **present(finish_reason=text(reason), error=get(result, "error"))}
        usage = _usage(get(result, "usage"), "input_tokens", "output_tokens")
        model = present(served=text(get(result, "model")))
        return [present(model=model, response=response, usage=usage)]

    def joiner(self) -> ChunkJoiner:
        """Joins events of `stream=True`."""
        return _ResponseEvents()

    def snapshot(self, stream: Any) -> Any:
        """Of the helper `stream()`: its events are joined, since it shows nothing before the end."""
        return None


_ENDS: Final = ("response.completed", "response.incomplete", "response.failed")


class _ResponseEvents:
    """The last event holds the whole; before it, the pieces of text and the items that were done."""

    def __init__(self) -> None:
        self._begun: Any = None
        self._whole: Any = None
        self._items: list[Any] = []
        self._pieces: list[str] = []

    def add(self, chunk: Any) -> None:
        """Take the next event."""
        kind = get(chunk, "type")
        if kind == "response.output_text.delta":
            self._pieces.append(get(chunk, "delta") or "")
        elif kind == "response.output_item.done":
            self._items.append(get(chunk, "item"))
            self._pieces.clear()
        elif kind == "response.created":
            self._begun = get(chunk, "response")
        elif kind in _ENDS:
            self._whole = get(chunk, "response")

    def whole(self) -> Json:
        """The response, or what there is of it."""
        if self._whole is not None:
            names = ("output", "status", "incomplete_details", "error", "usage", "model")
            return {name: get(self._whole, name) for name in names}
        part = [{"type": "output_text", "text": "".join(self._pieces)}] if self._pieces else []
        return {"output": [*self._items, *part], "model": get(self._begun, "model")}


def _turn(item: Any) -> Any:
    """An item of the input as a message; None for what is none, such as reasoning."""
    kind = get(item, "type")
    if kind in (None, "message"):
        return without_media(item)
    if kind.endswith("_call_output"):
        return {"role": "tool", "content": get(item, "output"), **present(tool_call_id=get(item, "call_id"))}
    return {"role": "assistant", "tool_calls": [item]} if kind.endswith("_call") else None


def _usage(usage: Any, sent: str, received: str) -> Json | None:
    return present(input_tokens=count(get(usage, sent)), output_tokens=count(get(usage, received))) or None
