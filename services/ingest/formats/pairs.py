"""A request and its response as an application logs them together: what is around them, whatever the API."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from itertools import islice
from typing import Any, Final

from services.ingest import json_text
from services.ingest.errors import FormatError
from services.ingest.formats.fields import Fields, host_of, moment_of, parsed_or_text, without_nothing
from services.ingest.formats.protocol import Draft, Json

REQUESTS: Final = ("request", "request_body", "kwargs")
RESPONSES: Final = ("response", "response_body", "chunks", "events")
_INPUT, _OUTPUT = "input", "output"
_ASKED: Final = frozenset({"messages", "input", "input_messages", "prompt"})
_LINE_END: Final = re.compile("\r\n|\n|\r")
_OWN: Final = ("id", "route", "conversation", "user", "tags", "guardrails", "documents", "extra")
_ENDPOINTS: Final = ("endpoint", "base_url", "url", "api_base")
_PROVIDERS: Final[Mapping[str, str]] = {
    "api.openai.com": "openai",
    "api.anthropic.com": "anthropic",
    "openai.azure.com": "azure",
    "openrouter.ai": "openrouter",
}


def is_pair(value: Mapping[str, Any]) -> bool:
    """Whether an object holds a request, and a response or its chunks; or is a response that holds what was asked."""
    if is_stored(value):
        return True
    if value.keys().isdisjoint((*RESPONSES, _OUTPUT, "error")):
        return False
    return any(_is_object(value.get(name)) for name in REQUESTS) or _is_request(value.get(_INPUT))


def is_stored(value: Mapping[str, Any]) -> bool:
    """Whether an object is a response as OpenAI stores it, with its messages or input beside the answer."""
    return value.get("object") in {"chat.completion", "response"} and not value.keys().isdisjoint(_ASKED)


def _is_object(sent: Any) -> bool:
    return isinstance(sent, dict) or (isinstance(sent, str) and sent.lstrip()[:1] == "{")


def _is_request(sent: Any) -> bool:
    """Whether what is called `input` is a whole request: all kinds of logs have a field of that name."""
    return isinstance(sent, dict) and "model" in sent and not sent.keys().isdisjoint(_ASKED)


def request_of(value: Mapping[str, Any]) -> Mapping[str, Any]:
    """The request of a pair; in the form of the Batch API it is the body of one, in logs often a text of JSON."""
    if is_stored(value):
        return {**value, "messages": value.get("messages", value.get("input_messages"))}
    named = next((value[name] for name in REQUESTS if _is_object(value.get(name))), value.get(_INPUT))
    found = parsed_or_text(named)
    if not isinstance(found, dict):
        return {}
    body = parsed_or_text(found.get("body"))
    return body if isinstance(body, dict) and "model" not in found else found


def response_of(value: Mapping[str, Any]) -> Any:
    """The response of a pair: an object, or the list of its chunks; a stream as text becomes the list."""
    if is_stored(value):
        return value
    found = next((value[name] for name in (*RESPONSES, _OUTPUT) if value.get(name) is not None), None)
    if isinstance(found, dict) and "status_code" in found and _is_object(found.get("body")):
        found = found["body"]
    if isinstance(found, str) and found.lstrip().startswith(("data:", "event:")):
        return _streamed(found)
    if isinstance(found, list) and any(isinstance(one, str) for one in found):
        return _events(found)
    return parsed_or_text(found)


def _events(lines: Sequence[Any]) -> list[Any]:
    """Pieces of a stream that were logged as they came, as lines of text; what is none stays as it is."""
    found = [one.strip().removeprefix("data:").strip() if isinstance(one, str) else one for one in lines]
    return [parsed_or_text(one) for one in found if not _is_heading(one)]


def _is_heading(line: Any) -> bool:
    """Whether a line of a stream of server-sent events holds nothing of the answer."""
    return isinstance(line, str) and (line in {"", "[DONE]"} or line.startswith(("event:", "id:", "retry:", ":")))


def _streamed(text: str) -> list[Any] | str:
    """The events of a stream of server-sent events; one that was cut ends in a piece of an event, which is none."""
    lines = [line[5:].strip() for line in _LINE_END.split(text) if line.startswith("data:")]
    found: list[Any] = []
    for i, line in enumerate(lines, start=1):
        try:
            found += [] if line == "[DONE]" else [json_text.parse(line)]
        except FormatError:
            return found if found and i == len(lines) else text
    return found


def first_of(response: Any) -> Mapping[str, Any]:
    """The response itself, or the first of its chunks: what tells of which API it is."""
    one = response[0] if isinstance(response, list) and response else response
    return one if isinstance(one, dict) else {}


def pair_reader(
    join: Callable[[Sequence[Any]], Any], read: Callable[[Fields, Fields, Draft], None]
) -> Callable[[Json], Iterable[Draft]]:
    """What reads pairs of one API.

    Args:
        join: makes of the chunks of a stream the response that would have come without one.
        read: takes request and response and fills in model, prompt, response and usage.
    """

    def read_pair(value: Json) -> list[Draft]:
        draft = Draft({})
        around = Fields(value, draft.faults)
        sent = response_of(value)
        answer = (join(sent) if sent else None) if isinstance(sent, list) else sent
        odd = (i for i, one in enumerate(sent) if not isinstance(one, dict)) if isinstance(sent, list) else iter(())
        if _is_embedding(answer):
            return []
        request = Fields(request_of(value), draft.faults, "request")
        error = value.get("error") or (answer.get("error") if isinstance(answer, dict) else None)
        if error:
            read(request, Fields(_delivered(answer), [], "response"), draft)
            draft.faults[:] = [one for one in draft.faults if not one.startswith("response")]
            said = draft.fields.get("response")
            told = said if isinstance(said, dict) and said.get("content") else {"content": None}
            draft.fields["response"] = {**told, "error": error}
        else:
            read(request, Fields(answer, draft.faults, "response"), draft)
            draft.faults += [f"response[{i}]: must be an object, as each piece of a stream is" for i in islice(odd, 1)]
            if answer is None:
                around.fault("response", "missing; log the response beside the request, or its error")
        _around(around, request, draft)
        draft.made = _made(answer)
        return [draft]

    return read_pair


def _made(answer: Any) -> datetime | None:
    """When the vendor made a response, as it says itself; it is no fault if it does not."""
    told = answer.get("created", answer.get("created_at")) if isinstance(answer, dict) else None
    try:
        return moment_of(told) if told else None
    except ValueError:
        return None


def _delivered(answer: Any) -> Json:
    """What came of an answer before its error; of one that is an error alone, nothing."""
    if not isinstance(answer, dict):
        return {}
    return {name: item for name, item in answer.items() if name not in {"error", "type"} and item not in ([], {})}


def _is_embedding(answer: Any) -> bool:
    """Whether a response holds vectors, and so answers nobody."""
    data = answer.get("data") if isinstance(answer, dict) and answer.get("object") == "list" else None
    return (
        isinstance(data, list)
        and bool(data)
        and all(isinstance(one, dict) and one.get("object") == "embedding" for one in data)
    )


def _around(around: Fields, request: Fields, draft: Draft) -> None:
    """What the application says beside the pair: route, time, who asked, how long it took, where it was sent."""
    fields, value = draft.fields, around.value
    fields.update({name: value[name] for name in _OWN if value.get(name) is not None})
    fields["ts"] = around.moment("ts", "timestamp")
    fields.setdefault("user", request.text("safety_identifier", "user"))
    fields["latency_ms"] = around.number("latency_ms")
    seconds = around.number("latency_s", "duration")
    if fields["latency_ms"] is None and seconds is not None:
        fields["latency_ms"] = seconds * 1000
    model = fields["model"]
    model["endpoint"] = host_of(around.text(*_ENDPOINTS))
    model["provider"] = around.text("provider") or _provider(model["endpoint"]) or model.get("provider")
    fields["model"] = without_nothing(model)
    metadata = request.object("metadata").value
    fields.setdefault("route", metadata.get("keelwatch_route"))
    told = {"model": model.get("requested"), "provider": model["provider"], "endpoint": model["endpoint"]}
    draft.facts = {f"metadata.{name}": item for name, item in metadata.items()} | told
    draft.fields = without_nothing(fields)


def _provider(host: str | None) -> str | None:
    """Whose endpoint it is; one that nobody knows is nobody's."""
    known = (name for end, name in _PROVIDERS.items() if host and (host == end or host.endswith(f".{end}")))
    return next(known, None)
