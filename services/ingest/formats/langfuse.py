"""Langfuse's exports: a generation a line, a trace with its observations, or a batch as its SDKs send it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, Final

from services.ingest.formats.fields import Fields, milliseconds, parsed_or_text, without_nothing
from services.ingest.formats.messages import any_answer, any_prompt
from services.ingest.formats.protocol import Draft, Format, Json

_KINDS: Final = frozenset(
    {"GENERATION", "SPAN", "EVENT", "AGENT", "TOOL", "CHAIN", "RETRIEVER", "EVALUATOR", "EMBEDDING", "GUARDRAIL"}
)
_CREATED: Final = ("generation-create", "generation-update")
_INPUT: Final = "log the generation's input, and do not mask it"
_OUTPUT: Final = "log the generation's output (update and end it), and do not mask it"
_MODEL: Final = "give the generation its model"


def _recognises(value: Mapping[str, Any]) -> bool:
    if isinstance(value.get("observations"), list) or isinstance(value.get("batch"), list):
        return "observations" not in value or "timestamp" in value or "traceId" in str(value["observations"])[:4000]
    traced = "traceId" in value or "trace_id" in value
    return traced and str(value.get("type")) in _KINDS and ("startTime" in value or "start_time" in value)


def _read(value: Json) -> Iterator[Draft]:
    if isinstance(value.get("batch"), list):
        yield from _several(value, "batch", _in_batch)
    elif isinstance(value.get("observations"), list):
        yield from _several(value, "observations", lambda one: one)
    elif value.get("type") == "GENERATION":
        yield _generation(value, {})
    elif value.get("type") not in _KINDS:
        yield Draft({}, ["type: must be GENERATION, or that of another observation; or send observations or a batch"])


def _several(value: Json, name: str, inner: Callable[[Any], Any]) -> Iterator[Draft]:
    trace = {key: item for key, item in value.items() if key != name}
    for i, sent in enumerate(value[name]):
        piece = partial(_piece, trace, name, sent)
        one = inner(sent)
        if not isinstance(sent, dict) or not isinstance(one, dict):
            if one is not None:
                yield Draft({}, [f"{name}[{i}]: must be an object"], piece=piece)
        elif one.get("type") == "GENERATION":
            draft = _generation(one, trace if name == "observations" else {})
            draft.piece = piece
            if "id" not in draft.fields:
                draft.faults.append("id: missing; send each generation with its id")
            yield draft


def _piece(trace: Mapping[str, Any], name: str, sent: Any) -> bytes:
    return json.dumps({**trace, name: [sent]}).encode()


def _in_batch(event: Any) -> Any:
    """The generation of an event of a batch; None of an event that is about something else."""
    if not isinstance(event, dict):
        return event
    if event.get("type") not in _CREATED:
        return None
    body = event.get("body")
    return {**body, "type": "GENERATION"} if isinstance(body, dict) else body if body is not None else ""


def _generation(value: Mapping[str, Any], trace: Mapping[str, Any]) -> Draft:
    draft = Draft({})
    whole, around = Fields(value, draft.faults), Fields(trace, [])
    start, end = whole.moment("startTime", "start_time"), whole.moment("endTime", "end_time")
    model = whole.text("model", "provided_model_name", "providedModelName", needed=_MODEL)
    metadata = _metadata(value, trace)
    name, sent = whole.find("input")
    draft.fields = without_nothing(
        {
            "id": whole.text("id"),
            "ts": start,
            "route": metadata.get("keelwatch_route"),
            "conversation": whole.text("sessionId", "session_id") or around.text("sessionId", "session_id"),
            "user": whole.text("userId", "user_id") or around.text("userId", "user_id"),
            "model": {"requested": model} if model else {},
            "prompt": any_prompt(sent, whole, name, _INPUT),
            "response": _response(whole),
            "usage": _usage(whole),
            "latency_ms": milliseconds(start, end),
            "tools": _tools(whole),
        }
    )
    told = {"model": model, "environment": value.get("environment"), "name": value.get("name")}
    tags = trace.get("tags", value.get("tags"))
    draft.facts = {f"metadata.{key}": item for key, item in metadata.items()} | told | {"tag": tags}
    return draft


def _metadata(value: Mapping[str, Any], trace: Mapping[str, Any]) -> Json:
    found: Json = {}
    for one in (trace.get("metadata"), value.get("metadata")):
        known = parsed_or_text(one)
        found |= known if isinstance(known, dict) else {}
    return found


def _response(whole: Fields) -> Json:
    if whole.value.get("output") is not None:
        return any_answer(whole.value["output"], whole, "output")
    if whole.value.get("level") == "ERROR":
        return {"content": None, "error": {"message": whole.text("statusMessage", "status_message") or ""}}
    whole.fault("output", f"missing; {_OUTPUT}")
    return {}


def _usage(whole: Fields) -> Json:
    name, sent = whole.find("usageDetails", "usage_details", "usage")
    usage = Fields(parsed_or_text(sent), whole.faults, name)
    told = {
        "input_tokens": usage.whole("input", "promptTokens", "input_tokens", "prompt_tokens"),
        "output_tokens": usage.whole("output", "completionTokens", "output_tokens", "completion_tokens"),
    }
    return without_nothing(told)


def _tools(whole: Fields) -> list[Any]:
    """Where the input is a request, it names them."""
    asked = parsed_or_text(whole.value.get("input"))
    found = asked.get("tools") if isinstance(asked, dict) else None
    return found if isinstance(found, list) else []


LANGFUSE: Final = Format("langfuse", "Langfuse generation", _recognises, _read)
