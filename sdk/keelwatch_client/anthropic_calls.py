"""Anthropic's Messages API, as the `anthropic` library has it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from keelwatch_client.call_form import ChunkJoiner, count, get, listed, messages_of, present, text
from keelwatch_client.exchange import Json, light_part

_USAGE = ("input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")


class AnthropicMessages:
    """`messages`."""

    def request(self, asked: Mapping[str, Any]) -> Json:
        """Fields by the arguments of `create`."""
        system = asked.get("system")
        told = [{"role": "system", "content": system}] if isinstance(system, (str, list)) and system else []
        return present(
            model={"requested": text(asked.get("model")) or ""},
            prompt=[*told, *messages_of(asked.get("messages"))],
            tools=listed(asked.get("tools")),
            user=text(get(asked.get("metadata"), "user_id")),
        )

    def answers(self, result: Any) -> list[Json]:
        """The blocks of the message as parts of one answer."""
        reason = text(get(result, "stop_reason"))
        response = {
            "content": [light_part(one) for one in get(result, "content") or ()],
            **present(finish_reason=reason),
        }
        usage = present(**{name: count(get(get(result, "usage"), name)) for name in _USAGE}) or None
        return [present(model=present(served=text(get(result, "model"))), response=response, usage=usage)]

    def joiner(self) -> ChunkJoiner:
        """Joins events of `stream=True`."""
        return _MessageEvents()

    def snapshot(self, stream: Any) -> Any:
        """Of the helper `stream()`."""
        return stream.current_message_snapshot


class _MessageEvents:
    """Blocks by index, each with the pieces of its text or of its arguments."""

    def __init__(self) -> None:
        self._message: Json = {"usage": {}}
        self._blocks: dict[int, Json] = {}
        self._pieces: dict[int, list[str]] = {}

    def add(self, chunk: Any) -> None:
        """Take the next event."""
        kind, index = get(chunk, "type"), get(chunk, "index")
        if kind == "message_start":
            message = get(chunk, "message")
            self._message["model"] = get(message, "model")
            self._count(get(message, "usage"))
        elif kind == "content_block_start":
            block = get(chunk, "content_block")
            names = ("type", "text", "id", "name", "input", "tool_use_id", "content")
            self._blocks[index] = present(**{name: get(block, name) for name in names})
        elif kind == "content_block_delta":
            delta = get(chunk, "delta")
            piece = get(delta, "text") or get(delta, "partial_json")
            if isinstance(piece, str):
                self._pieces.setdefault(index, []).append(piece)
        elif kind == "message_delta":
            self._message["stop_reason"] = get(get(chunk, "delta"), "stop_reason")
            self._count(get(chunk, "usage"))

    def _count(self, usage: Any) -> None:
        self._message["usage"].update(present(**{name: count(get(usage, name)) for name in _USAGE}))

    def whole(self) -> Json:
        """The message that they add up to."""
        return {**self._message, "content": [self._block(index) for index in sorted(self._blocks)]}

    def _block(self, index: int) -> Json:
        block, told = self._blocks[index], "".join(self._pieces.get(index, ()))
        if not told:
            return block
        return {**block, **({"text": (block.get("text") or "") + told} if block["type"] == "text" else {"input": told})}
