"""Request and response of OpenAI's chat completions, which many servers speak; also the older completions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from services.ingest.formats.fields import Fields, without_nothing
from services.ingest.formats.messages import chat_messages, choice_of
from services.ingest.formats.pairs import is_pair, pair_reader
from services.ingest.formats.protocol import Draft, Format, Json

_MESSAGES: Final = "log the request's messages with their content"
_CHOICES: Final = "log the whole response, or all chunks of its stream"
_MODEL: Final = "log the request's model"


def joined_chunks(chunks: Sequence[Any]) -> Json:
    """The response that the chunks of a stream make: texts of a choice one after the other, calls by their index."""
    whole: Json = {}
    choices: dict[Any, Json] = {}
    for chunk in chunks:
        if not isinstance(chunk, dict):
            continue
        whole.update({name: item for name, item in chunk.items() if item is not None and name != "choices"})
        parts = chunk.get("choices")
        for part in parts if isinstance(parts, list) else ():
            if isinstance(part, dict):
                _join(choices.setdefault(str(part.get("index", 0)), {"message": {"role": "assistant"}}), part)
    return whole | {"choices": [choices[index] for index in sorted(choices)]}


def _join(choice: Json, part: Mapping[str, Any]) -> None:
    if part.get("finish_reason") is not None:
        choice["finish_reason"] = part["finish_reason"]
    if isinstance(part.get("text"), str):
        choice["text"] = choice.get("text", "") + part["text"]
        choice["message"] = None
    delta, message = part.get("delta"), choice["message"]
    if not isinstance(delta, dict) or message is None:
        return
    for name, item in delta.items():
        if name == "tool_calls":
            for call in item if isinstance(item, list) else ():
                _join_call(message.setdefault("tool_calls", []), call)
        elif isinstance(item, str) and name != "role":
            message[name] = message.get(name, "") + item if isinstance(message.get(name, ""), str) else item
        elif item is not None:
            message[name] = item


def _join_call(calls: list[Json], part: Any) -> None:
    """Arguments come in pieces; a call that is new has the next index."""
    if not isinstance(part, dict):
        return
    index = part.get("index", len(calls))
    known = next((one for one in calls if one.get("index") == index), None)
    if known is None:
        calls.append({**part, "function": dict(part["function"]) if isinstance(part.get("function"), dict) else {}})
        calls[-1]["index"] = index
        return
    function = part.get("function")
    for name, item in function.items() if isinstance(function, dict) else ():
        if isinstance(item, str):
            before = known["function"].get(name)
            known["function"][name] = (before if isinstance(before, str) else "") + item


def read_chat(request: Fields, response: Fields, draft: Draft) -> None:
    """Fill in what a chat's request and response say."""
    fields = draft.fields
    fields["model"] = {
        "requested": request.text("model", needed=_MODEL),
        "served": response.text("model"),
        "fingerprint": response.text("system_fingerprint"),
    }
    name, sent = request.find("messages", "prompt")
    fields["prompt"] = chat_messages(sent, request, name, _MESSAGES)
    fields["tools"] = request.list("tools", "functions")
    choices = response.list("choices")
    if choices:
        fields["response"] = choice_of(choices[0], response, "choices[0]")
    elif response.value:
        response.fault("choices", f"missing; {_CHOICES}")
    usage = response.object("usage")
    fields["usage"] = without_nothing(
        {"input_tokens": usage.whole("prompt_tokens"), "output_tokens": usage.whole("completion_tokens")}
    )


OPENAI_CHAT: Final = Format("openai", "OpenAI chat completion", is_pair, pair_reader(joined_chunks, read_chat))
