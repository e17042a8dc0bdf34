"""OpenAI Chat Completions, and what vendors, clouds and gateways have made of it. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from services.evaluate.endpoints.protocol import AskedPrompt, EndpointAnswer, StreamEnded, declared
from services.evaluate.endpoints.vendor_parts import calls_of, refusal_of, string_of, text_of
from services.evaluate.suite import AskedCall, DeclaredTool, PromptMessage
from services.monitor.target_api import TARGET_APIS, ApiName, TargetApi

_TEXTS: Final = ("content", "refusal", "reasoning_content", "reasoning")
_FILTERS: Final = ("content_filter_results", "content_filter_result")
_WHOLE: Final = ("choices", "object", "error")
_MOST_CALLS: Final = 256


@dataclass(frozen=True, slots=True)
class ChatCompletions:
    """`POST /chat/completions`."""

    name: ClassVar[ApiName] = "chat_completions"
    api: ClassVar[TargetApi] = TARGET_APIS["chat_completions"]

    def request(self, asked: AskedPrompt) -> dict[str, Any]:
        """`messages` and `tools`."""
        return {"messages": [_sent(one) for one in asked.messages], **declared(asked, [_tool(t) for t in asked.tools])}

    def error(self, raw: Any) -> Any:
        """A choice's own error, or the one beside the choices: what there is of an answer then is a fragment."""
        if not isinstance(raw, dict):
            return None
        choices = raw.get("choices")
        choice = choices[0] if isinstance(choices, list) and choices else None
        return (choice.get("error") if isinstance(choice, dict) else None) or raw.get("error") or None

    def answer(self, raw: Any) -> EndpointAnswer:
        """The first choice."""
        choice = raw["choices"][0]
        message = choice["message"]
        content = message.get("content")
        fields = {name: message[name] for name in ("tool_calls", "function_call") if message.get(name)}
        return EndpointAnswer(
            raw,
            text_of(content),
            refusal_of(content, message.get("refusal")),
            calls_of(content, **fields),
            string_of(choice.get("finish_reason")),
            string_of(raw.get("model")) or None,
            fingerprint if isinstance(fingerprint := raw.get("system_fingerprint"), str) else None,
        )

    def joined(self, events: Sequence[Mapping[str, Any]], ended: bool) -> Any:
        """The chunks of the first choice as one message."""
        whole: dict[str, Any] = {"object": "chat.completion"}
        joining = _Joining()
        for event in events:
            if event.get("error"):
                return {**whole, "error": event["error"]}
            whole |= {name: value for name, value in event.items() if name not in _WHOLE and value}
            for piece in _pieces(event):
                joining.add(piece)
        if not (ended or joining.is_whole):
            raise StreamEnded
        return {**whole, "choices": joining.choices}


def _sent(message: PromptMessage) -> dict[str, Any]:
    sent: dict[str, Any] = {"role": message.role, "content": message.content}
    if message.tool_calls:
        sent["tool_calls"] = [_call(call) for call in message.tool_calls]
    if message.tool_call_id is not None:
        sent["tool_call_id"] = message.tool_call_id
    return sent


def _call(call: AskedCall) -> dict[str, Any]:
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}


def _tool(tool: DeclaredTool) -> dict[str, Any]:
    told = {"name": tool.name, "description": tool.description, "parameters": tool.parameters}
    return {"type": "function", "function": told}


def _pieces(event: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """What an event says of the first choice."""
    choices = event.get("choices")
    for piece in choices if isinstance(choices, list) else ():
        if isinstance(piece, dict) and not piece.get("index"):
            yield piece


class _Joining:
    """The first choice, as far as it has come."""

    def __init__(self) -> None:
        self._choice: dict[str, Any] = {}
        self._texts: dict[str, list[str]] = {}
        self._parts: list[Any] = []
        self._older: dict[str, Any] | None = None
        self._calls: list[dict[str, Any]] = []
        self._rest: dict[str, Any] = {}

    @property
    def is_whole(self) -> bool:
        """Whether the choice itself says that it ended."""
        return bool(self._choice.get("finish_reason") or self._choice.get("error"))

    @property
    def choices(self) -> list[Any]:
        """The choice in the form of a whole answer; none where there was none."""
        if not (self._choice or self._texts or self._parts or self._calls or self._older or self._rest):
            return []
        message: dict[str, Any] = {"role": "assistant", "content": None, **self._rest}
        message |= {name: "".join(texts) for name, texts in self._texts.items()}
        if self._parts:
            first = [{"type": "text", "text": message["content"]}] if message["content"] else []
            message["content"] = [*first, *self._parts]
        if self._calls:
            message["tool_calls"] = [_whole_call(call) for call in self._calls]
        if self._older is not None:
            message["function_call"] = {**self._older, "arguments": "".join(self._older["arguments"])}
        return [{**self._choice, "index": 0, "message": message}]

    def add(self, piece: Mapping[str, Any]) -> None:
        """One more chunk."""
        for name, value in piece.items():
            if name in _FILTERS and isinstance(value, dict):
                self._choice[name] = _filters(self._choice.get(name) or {}, value)
            elif name not in ("delta", "message", "index") and value:
                self._choice[name] = value
        delta = piece.get("delta") or piece.get("message")
        for name, value in delta.items() if isinstance(delta, dict) else ():
            self._add_field(name, value)

    def _add_field(self, name: str, value: Any) -> None:
        if name in _TEXTS and isinstance(value, str):
            self._texts.setdefault(name, []).append(value)
        elif name == "content" and isinstance(value, list):
            self._parts += value
        elif name == "tool_calls" and isinstance(value, list):
            for one in value:
                self._add_call(one)
        elif name == "function_call" and isinstance(value, dict):
            self._older = self._older or {"name": "", "arguments": []}
            self._older["name"] = self._older["name"] or value.get("name") or ""
            self._older["arguments"].append(_argument_text(value.get("arguments")))
        elif value is not None and name != "role":
            self._rest[name] = value

    def _add_call(self, piece: Any) -> None:
        if not isinstance(piece, dict):
            raise TypeError("no piece of a call")
        function = piece.get("function") or piece.get("custom") or {}
        index, id = piece.get("index"), piece.get("id")
        call = next((one for one in reversed(self._calls) if _continues(one, index, id, function)), None)
        if call is None:
            if len(self._calls) >= _MOST_CALLS:
                raise TypeError("calls without end")
            call = {"index": index, "id": None, "name": None, "arguments": []}
            self._calls.append(call)
        call["id"] = call["id"] or id
        call["name"] = call["name"] or function.get("name")
        call["arguments"].append(_argument_text(function.get("arguments", function.get("input"))))


def _continues(call: Mapping[str, Any], index: Any, id: Any, function: Mapping[str, Any]) -> bool:
    """Whether a piece goes on with a call: by its place, where vendors count places and do not give all calls one."""
    if index != call["index"]:
        return False
    if id:
        return id == call["id"] or call["id"] is None
    return index is not None or not function.get("name")


def _argument_text(arguments: Any) -> str:
    if isinstance(arguments, (dict, list)):
        return calls_of(None, tool_calls=({"name": "", "arguments": arguments},))[0].arguments
    return string_of(arguments) or ""


def _whole_call(call: Mapping[str, Any]) -> dict[str, Any]:
    told = {"name": call["name"] or "", "arguments": "".join(call["arguments"])}
    return {"id": call["id"] or "", "type": "function", "function": told}


def _filters(before: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, Any]:
    """Results of filters, chunk by chunk: what filtered once has filtered."""
    kept = {name: one for name, one in before.items() if isinstance(one, dict) and one.get("filtered") is True}
    return {**before, **now, **kept}
