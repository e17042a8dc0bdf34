"""A request and its response as an application logs them together: what is around them, whatever the API."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from services.ingest import json_text
from services.ingest.errors import FormatError
from services.ingest.formats.fields import Fields, host_of, without_nothing
from services.ingest.formats.protocol import Draft, Json

REQUESTS: Final = ("request", "request_body", "kwargs")
RESPONSES: Final = ("response", "response_body", "chunks", "events")
_LINE_END: Final = re.compile("\r\n|\n|\r")
_OWN: Final = ("id", "ts", "route", "conversation", "user", "tags", "guardrails", "documents", "extra")
_ENDPOINTS: Final = ("endpoint", "base_url", "url", "api_base")
_PROVIDERS: Final[Mapping[str, str]] = {
    "api.openai.com": "openai",
    "api.anthropic.com": "anthropic",
    "openai.azure.com": "azure",
    "openrouter.ai": "openrouter",
}


def is_pair(value: Mapping[str, Any]) -> bool:
    """Whether an object holds a request, and a response or its chunks."""
    return any(isinstance(value.get(name), dict) for name in REQUESTS) and not value.keys().isdisjoint(
        (*RESPONSES, "error")
    )


def request_of(value: Mapping[str, Any]) -> Mapping[str, Any]:
    """The request of a pair; in the form of the Batch API it is the body of one."""
    found: Json = next((value[name] for name in REQUESTS if isinstance(value.get(name), dict)), {})
    body = found.get("body")
    return body if isinstance(body, dict) and "model" not in found else found


def response_of(value: Mapping[str, Any]) -> Any:
    """The response of a pair: an object, or the list of its chunks; a stream as text becomes the list."""
    found = next((value[name] for name in RESPONSES if value.get(name) is not None), None)
    if isinstance(found, dict) and isinstance(found.get("body"), dict) and "status_code" in found:
        return found["body"]
    if isinstance(found, str) and found.lstrip().startswith(("data:", "event:")):
        return _streamed(found)
    return found


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
            if answer is None:
                around.fault("response", "missing; log the response beside the request, or its error")
        _around(around, request, draft)
        return [draft]

    return read_pair


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
