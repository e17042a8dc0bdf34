"""OpenAI Responses: items in, items out. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from services.evaluate.endpoints.protocol import AskedPrompt, EndpointAnswer, StreamEnded, declared
from services.evaluate.endpoints.vendor_parts import calls_of, refusal_of, string_of, text_of
from services.evaluate.suite import DeclaredTool, PromptMessage
from services.monitor.target_api import TARGET_APIS, ApiName, TargetApi

_ENDED: Final = ("completed", "incomplete")
_ITEM_DONE: Final = "response.output_item.done"


@dataclass(frozen=True, slots=True)
class Responses:
    """`POST /responses`."""

    name: ClassVar[ApiName] = "responses"
    api: ClassVar[TargetApi] = TARGET_APIS["responses"]

    def request(self, asked: AskedPrompt) -> dict[str, Any]:
        """`instructions`, `input` and `tools`."""
        system = [one.content for one in asked.messages if one.role == "system"]
        items = [item for one in asked.messages if one.role != "system" for item in _items(one)]
        instructions = {"instructions": "\n\n".join(system)} if system else {}
        return {**instructions, "input": items, **declared(asked, [_tool(tool) for tool in asked.tools])}

    def error(self, raw: Any) -> Any:
        """Why the response failed; one that has not ended has failed for us."""
        found = raw if isinstance(raw, dict) else {}
        unfinished = isinstance(found.get("output"), list) and found.get("status") not in (None, *_ENDED)
        return found.get("error") or ({"status": found["status"]} if unfinished else None)

    def answer(self, raw: Any) -> EndpointAnswer:
        """The messages and calls among the items."""
        items = raw["output"]
        if not isinstance(items, list):
            raise TypeError("no list of items")
        contents = [item["content"] for item in items if item.get("type") == "message"]
        texts = [text for content in contents if (text := text_of(content)) is not None]
        refusals = [said for content in contents if (said := refusal_of(content, None)) is not None]
        details = raw.get("incomplete_details") or {}
        return EndpointAnswer(
            raw,
            "\n".join(texts) if texts else None,
            "\n".join(refusals) or None,
            calls_of(items),
            string_of(details.get("reason")) or string_of(raw.get("status")),
            string_of(raw.get("model")) or None,
        )

    def joined(self, events: Sequence[Mapping[str, Any]], ended: bool) -> Any:
        """The response of the last event that has one that ended, with the items that came before it."""
        done = [event["item"] for event in events if event.get("type") == _ITEM_DONE and "item" in event]
        for event in reversed(events):
            if event.get("error") or event.get("type") == "error":
                return {"error": event.get("error") or dict(event)}
            response = event.get("response")
            if isinstance(response, dict) and response.get("status") in (*_ENDED, "failed", "cancelled"):
                return {**response, "output": response.get("output") or done}
        raise StreamEnded


def _items(message: PromptMessage) -> Iterator[dict[str, Any]]:
    if message.role == "tool":
        yield {"type": "function_call_output", "call_id": message.tool_call_id, "output": message.content}
        return
    if message.role == "assistant":  # a text alone would do for OpenAI, and not for all that speak its API
        yield {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": message.content}]}
    else:
        yield {"type": "message", "role": message.role, "content": message.content}
    for call in message.tool_calls:
        yield {"type": "function_call", "call_id": call.id, "name": call.name, "arguments": call.arguments}


def _tool(tool: DeclaredTool) -> dict[str, Any]:
    told = {"name": tool.name, "description": tool.description, "parameters": tool.parameters}
    return {"type": "function", **told, "strict": False}
