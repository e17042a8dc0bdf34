"""Spans of Langfuse's own SDKs, which are OpenTelemetry: those of generations, with `langfuse.observation.*`."""

from __future__ import annotations

from typing import Any, Final

from services.ingest.formats.fields import Fields, parsed_or_text, without_nothing
from services.ingest.formats.messages import any_answer, any_prompt
from services.ingest.formats.protocol import Draft, Json
from services.ingest.formats.spans import Convention, TraceSpan, failure, json_attribute, with_failure

_OF: Final = "langfuse.observation."
_INPUT: Final = "give the generation its input, and do not mask it"
_OUTPUT: Final = "give the generation its output before it ends, and do not mask it"
_MODEL: Final = "give the generation its model"


def _claims(span: TraceSpan) -> bool:
    return f"{_OF}type" in span.attributes


def _is_call(span: TraceSpan) -> bool:
    return span.attributes.get(f"{_OF}type") == "generation"


def _read(span: TraceSpan, draft: Draft) -> None:
    about = Fields(span.attributes, draft.faults)
    fields = draft.fields
    fields["model"] = {"requested": about.text(f"{_OF}model.name", needed=_MODEL)}
    name = f"{_OF}usage_details"
    usage = Fields(json_attribute(about, name), draft.faults, name)
    fields["usage"] = without_nothing(
        {
            "input_tokens": usage.whole("input", "prompt_tokens", "input_tokens"),
            "output_tokens": usage.whole("output", "completion_tokens", "output_tokens"),
        }
    )
    asked: Any = parsed_or_text(about.value.get(f"{_OF}input"))
    tools = asked.get("tools") if isinstance(asked, dict) else None
    fields["tools"] = tools if isinstance(tools, list) else []
    fields["prompt"] = any_prompt(asked, about, f"{_OF}input", _INPUT)
    fields["route"] = _route(about)
    fields["response"] = _answer(span, about)


def _route(about: Fields) -> str | None:
    """What the metadata of the generation, or of its trace, names; each value of it is JSON."""
    found = about.text(*(f"langfuse.{of}.metadata.keelwatch_route" for of in ("observation", "trace")))
    return found.strip('"') if found else None


def _answer(span: TraceSpan, about: Fields) -> Json:
    error = failure(span)
    if error is None and about.value.get(f"{_OF}level") == "ERROR":
        error = {"type": "error", "message": about.text(f"{_OF}status_message") or ""}
    output = about.value.get(f"{_OF}output")
    if output is not None:
        return with_failure(any_answer(output, about, f"{_OF}output"), error)
    if error is None:
        about.fault(f"{_OF}output", f"missing; {_OUTPUT}")
    return {"content": None, "error": error}


LANGFUSE_SPANS: Final = Convention("Langfuse", _claims, _is_call, _read)
