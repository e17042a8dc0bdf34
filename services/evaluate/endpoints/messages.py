"""Anthropic Messages: the system prompt apart, calls and results of tools as parts. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from services.evaluate.endpoints.protocol import AskedPrompt, EndpointAnswer, StreamEnded, declared
from services.evaluate.endpoints.vendor_parts import calls_of, refusal_of, string_of, text_of
from services.evaluate.suite import AskedCall, DeclaredTool, PromptMessage
from services.monitor.target_api import TARGET_APIS, ApiName, TargetApi
from services.strict_json import read_json

_TEXTS: Final[Mapping[str, str]] = {
    "text_delta": "text",
    "input_json_delta": "partial_json",
    "thinking_delta": "thinking",
    "signature_delta": "signature",
}
_MOST_BLOCKS: Final = 1024


@dataclass(frozen=True, slots=True)
class Messages:
    """`POST /messages`."""

    name: ClassVar[ApiName] = "messages"
    api: ClassVar[TargetApi] = TARGET_APIS["messages"]

    def request(self, asked: AskedPrompt) -> dict[str, Any]:
        """`system`, `messages` and `tools`."""
        system = [one.content for one in asked.messages if one.role == "system"]
        spoken = [one for one in asked.messages if one.role != "system"]
        apart = {"system": "\n\n".join(system)} if system else {}
        return {**apart, "messages": _turns(spoken), **declared(asked, [_tool(tool) for tool in asked.tools])}

    def error(self, raw: Any) -> Any:
        """The error of a body that is one."""
        return (raw.get("error") or None) if isinstance(raw, dict) else None

    def answer(self, raw: Any) -> EndpointAnswer:
        """The parts of the message."""
        content = raw["content"]
        if not isinstance(content, list) or raw.get("role", "assistant") != "assistant":
            raise TypeError("no message of an assistant")
        details = raw.get("stop_details") or {}
        return EndpointAnswer(
            raw,
            text_of(content),
            refusal_of(content, details.get("explanation") if details.get("type") == "refusal" else None),
            calls_of(content),
            string_of(raw.get("stop_reason")),
            string_of(raw.get("model")) or None,
        )

    def joined(self, events: Sequence[Mapping[str, Any]], ended: bool) -> Any:
        """The message that begins, with the blocks and the stop reason that follow."""
        message: dict[str, Any] = {"type": "message", "role": "assistant"}
        blocks: dict[Any, _Block] = {}
        for event in events:
            kind = event.get("type")
            if event.get("error"):
                return {"type": "error", "error": event["error"]}
            if kind == "message_start":
                message |= event["message"]
            elif kind == "content_block_start":
                blocks[event["index"]] = _Block(dict(event["content_block"]), {})
                if len(blocks) > _MOST_BLOCKS:
                    raise TypeError("blocks without end")
            elif kind == "content_block_delta":
                blocks[event["index"]].add(event["delta"])
            elif kind == "message_delta":
                message |= {name: value for name, value in event["delta"].items() if value is not None}
                message["usage"] = {**(message.get("usage") or {}), **(event.get("usage") or {})}
            ended = ended or kind == "message_stop"
        if not (ended or message.get("stop_reason")):
            raise StreamEnded
        return {**message, "content": [block.whole for block in blocks.values()]}


@dataclass(slots=True)
class _Block:
    """A part, and the pieces that came of it by the kind of the piece."""

    begun: dict[str, Any]
    pieces: dict[str, list[str]]

    def add(self, delta: Mapping[str, Any]) -> None:
        """One more piece."""
        if (name := _TEXTS.get(delta["type"])) is not None:
            self.pieces.setdefault(name, []).append(string_of(delta[name]) or "")

    @property
    def whole(self) -> dict[str, Any]:
        """The part in the form of a whole answer; arguments that are no JSON stay the text that they are."""
        found = {name: "".join(pieces) for name, pieces in self.pieces.items()}
        arguments = found.pop("partial_json", None)
        texts = {name: (self.begun.get(name) or "") + text for name, text in found.items()}
        return {**self.begun, **texts, **({"input": _parsed(arguments)} if arguments else {})}


def _turns(messages: Sequence[PromptMessage]) -> list[dict[str, Any]]:
    """Turns that alternate: the results of tools are parts of the user's turn, and stand first in it."""
    turns: list[dict[str, Any]] = []
    for message in messages:
        role = "assistant" if message.role == "assistant" else "user"
        content = list(_parts(message))
        if turns and turns[-1]["role"] == role:
            turns[-1]["content"] += content
        else:
            turns.append({"role": role, "content": content})
    return [_plain(turn) for turn in turns]


def _plain(turn: dict[str, Any]) -> dict[str, Any]:
    """A turn of one text as that text."""
    (first, *more) = turn["content"]
    return {**turn, "content": first["text"]} if not more and first["type"] == "text" else turn


def _parts(message: PromptMessage) -> Iterator[dict[str, Any]]:
    if message.role == "tool":
        yield {"type": "tool_result", "tool_use_id": message.tool_call_id, "content": message.content}
        return
    if message.content or not message.tool_calls:
        yield {"type": "text", "text": message.content}
    for call in message.tool_calls:
        yield {"type": "tool_use", "id": call.id, "name": call.name, "input": _input(call)}


def _input(call: AskedCall) -> dict[str, Any]:
    found = _parsed(call.arguments)
    return found if isinstance(found, dict) else {"input": found}


def _parsed(arguments: str) -> Any:
    try:
        return read_json(arguments)
    except ValueError:
        return arguments


def _tool(tool: DeclaredTool) -> dict[str, Any]:
    return {"name": tool.name, "description": tool.description, "input_schema": tool.parameters}
