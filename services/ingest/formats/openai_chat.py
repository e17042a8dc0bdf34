"""Request and response of OpenAI's chat completions, which many servers speak; also the older completions."""

from __future__ import annotations

from collections.abc import Sequence
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
    choices: dict[str, list[Json]] = {}
    for chunk in chunks:
        if not isinstance(chunk, dict):
            continue
        whole.update({name: item for name, item in chunk.items() if item is not None and name != "choices"})
        parts = chunk.get("choices")
        for part in parts if isinstance(parts, list) else ():
            if isinstance(part, dict):
                choices.setdefault(str(part.get("index", 0)), []).append(part)
    return whole | {"choices": [_choice(choices[index]) for index in sorted(choices)]}


def _choice(parts: list[Json]) -> Json:
    reasons = [part["finish_reason"] for part in parts if part.get("finish_reason") is not None]
    ended = {"finish_reason": reasons[-1]} if reasons else {}
    texts = [part["text"] for part in parts if isinstance(part.get("text"), str)]
    if texts:
        return {"text": "".join(texts), "message": None, **ended}
    deltas = [part["delta"] for part in parts if isinstance(part.get("delta"), dict)]
    said = [{name: item for name, item in delta.items() if name not in {"role", "tool_calls"}} for delta in deltas]
    calls = _calls(deltas)
    message = {"role": "assistant", **(joined(said) or {}), **({"tool_calls": calls} if calls else {})}
    return {"message": message, **ended}


def _calls(deltas: list[Json]) -> list[Json]:
    """The calls whose arguments come in pieces; one without an index is new."""
    calls: dict[str, list[Json]] = {}
    for delta in deltas:
        sent = delta.get("tool_calls")
        for part in sent if isinstance(sent, list) else ():
            if isinstance(part, dict):
                index = part.get("index")
                calls.setdefault(str(len(calls) if index is None else index), []).append(part)
    return [
        {**parts[0], "function": joined([one["function"] for one in parts if isinstance(one.get("function"), dict)])}
        for parts in calls.values()
    ]


def joined(pieces: list[Any]) -> Any:
    """What pieces of one field make: texts, lists of parts and objects such as `function_call` go on; else the last.

    It reads each piece once: a text that grew piece by piece would be copied as often.
    """
    told = [one for one in pieces if one is not None]
    if told and all(isinstance(one, str) for one in told):
        return "".join(told)
    if told and all(isinstance(one, dict) for one in told):
        fields: dict[str, list[Any]] = {}
        for one in told:
            for name, item in one.items():
                fields.setdefault(name, []).append(item)
        return {name: joined(items) for name, items in fields.items()}
    if told and all(isinstance(one, (list, str)) for one in told):
        return [part for one in told for part in (one if isinstance(one, list) else [one])]
    if any(isinstance(one, str) for one in told):
        return told  # which is no text, and is refused as such: the last alone would be another answer
    return told[-1] if told else None


def read_chat(request: Fields, response: Fields, draft: Draft) -> None:
    """Fill in what a chat's request and response say."""
    fields = draft.fields
    fields["model"] = {
        "requested": request.text("model", needed=_MODEL),
        "served": response.text("model"),
        "fingerprint": response.text("system_fingerprint"),
    }
    name, sent = request.find("messages", "prompt")
    if name == "prompt" and isinstance(sent, list) and len(sent) == 1 and isinstance(sent[0], str):
        [sent] = sent  # the older completions take several at a time
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
