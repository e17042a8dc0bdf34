"""Request and response of OpenAI's Responses API."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from services.ingest.formats.fields import Fields, as_text, without_nothing
from services.ingest.formats.messages import chat_messages, content_of
from services.ingest.formats.pairs import first_of, is_pair, pair_reader, request_of, response_of
from services.ingest.formats.protocol import Draft, Format, Json

_INPUT: Final = "log the request's input"
_OUTPUT: Final = "log the whole response, or all events of its stream"
_MODEL: Final = "log the request's model"
_FINAL: Final = frozenset({"response.completed", "response.incomplete", "response.failed"})


def _is_responses(value: Mapping[str, Any]) -> bool:
    if not is_pair(value):
        return False
    request, first = request_of(value), first_of(response_of(value))
    told = first.get("object") == "response" or str(first.get("type")).startswith("response.")
    return told or ("input" in request and "messages" not in request) or isinstance(first.get("output"), list)


def joined_events(events: Sequence[Any]) -> Json:
    """The response that ends a stream; of one that was cut off, the texts that had come."""
    known = [one for one in events if isinstance(one, dict)]
    for one in reversed(known):
        if str(one.get("type")) in _FINAL and isinstance(one.get("response"), dict):
            found: Json = one["response"]
            return found
    begun: Json = next((one["response"] for one in known if isinstance(one.get("response"), dict)), {})
    whole = [one["item"] for one in known if _is_done(one)]
    ended = {str(item.get("id")) for item in whole}
    rest = [one for one in known if str(one.get("item_id", "")) not in ended]
    text, refusal = _deltas(rest, "response.output_text.delta"), _deltas(rest, "response.refusal.delta")
    broke = next((one for one in known if one.get("type") == "error"), None)
    declined = [{"type": "refusal", "refusal": refusal}] if refusal else []
    said = [{"type": "output_text", "text": text}] if text or not (refusal or broke or whole) else []
    output = [*whole, *([{"type": "message", "content": [*said, *declined]}] if said or declined else [])]
    error = {} if broke is None else {"error": {name: item for name, item in broke.items() if name != "type"}}
    return {**begun, "status": "incomplete", "output": output, **error}


def _is_done(event: Json) -> bool:
    """Whether an event holds an item of the output that is whole: a message, a call of a tool."""
    return event.get("type") == "response.output_item.done" and isinstance(event.get("item"), dict)


def _deltas(events: Sequence[Json], kind: str) -> str:
    found = (one.get("delta") for one in events if one.get("type") == kind)
    return "".join(one for one in found if isinstance(one, str))


def read_responses(request: Fields, response: Fields, draft: Draft) -> None:
    """Fill in what request and response say."""
    fields = draft.fields
    fields["model"] = {"requested": request.text("model", needed=_MODEL), "served": response.text("model")}
    instructions = request.text("instructions")
    system = [{"role": "system", "content": instructions}] if instructions else []
    sent = request.value.get("input")
    items = [_as_message(one) for one in sent] if isinstance(sent, list) else sent
    fields["prompt"] = [*system, *chat_messages(items, request, "input", _INPUT)]
    fields["tools"] = request.list("tools")
    conversation = request.value.get("conversation")
    if isinstance(conversation, dict):
        conversation = conversation.get("id")
    if isinstance(conversation, str):
        fields["conversation"] = conversation
    if response.value:
        fields["response"] = _answer(response)
    usage = response.object("usage")
    fields["usage"] = without_nothing(
        {"input_tokens": usage.whole("input_tokens"), "output_tokens": usage.whole("output_tokens")}
    )


def _as_message(item: Any) -> Any:
    """An item of the input as a message: calls are the assistant's, what they gave back is a tool's."""
    if not isinstance(item, dict) or "role" in item:
        return item
    kind = str(item.get("type"))
    if kind.endswith("_output"):
        output = item.get("output")
        if isinstance(output, dict) and "type" in output:  # what a computer shows
            output = [output]
        return {"role": "tool", "content": output if isinstance(output, list) else as_text(output)}
    if kind == "None":
        return item
    return {"role": "assistant", "content": [item]}


def _answer(response: Fields) -> Json:
    if not isinstance(response.value.get("output"), list):
        response.fault("output", f"missing; {_OUTPUT}")
        return {}
    reason = response.object("incomplete_details").text("reason") or response.text("status")
    return {"content": list(_parts(response)), **({"finish_reason": reason} if reason else {})}


def _parts(response: Fields) -> Iterator[Json]:
    """The parts of the answer's messages, and what stands beside them: calls of tools, reasoning."""
    for i, item in enumerate(response.value["output"]):
        if not isinstance(item, dict):
            response.fault(f"output[{i}]", "must be an object")
        elif item.get("type") == "message":
            parts = content_of(item.get("content"), response, f"output[{i}].content")
            yield from [{"type": "text", "text": parts}] if isinstance(parts, str) else parts or ()
        else:
            yield item


OPENAI_RESPONSES: Final = Format(
    "openai-responses", "OpenAI Responses API", _is_responses, pair_reader(joined_events, read_responses)
)
