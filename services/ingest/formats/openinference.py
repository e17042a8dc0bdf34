"""OpenInference (Arize Phoenix and its instrumentations): spans of kind LLM with `llm.*` attributes."""

from __future__ import annotations

from typing import Any, Final

from services.ingest.formats.fields import Fields, parsed_or_text, without_nothing
from services.ingest.formats.messages import (
    answer_of,
    any_answer,
    any_prompt,
    chat_messages,
    declared_tools,
    is_marker,
)
from services.ingest.formats.protocol import Draft, Json
from services.ingest.formats.spans import Convention, TraceSpan, failure, indexed, json_attribute, with_failure

_CONTENT: Final = "do not hide it: leave OPENINFERENCE_HIDE_INPUTS and OPENINFERENCE_HIDE_OUTPUTS unset"
_MODEL: Final = "set it on the span, as OpenInference asks"
_HIDDEN: Final = "__REDACTED__"


def _claims(span: TraceSpan) -> bool:
    return "openinference.span.kind" in span.attributes


def _is_call(span: TraceSpan) -> bool:
    return span.attributes.get("openinference.span.kind") == "LLM"


def _read(span: TraceSpan, draft: Draft) -> None:
    about = Fields(span.attributes, draft.faults)
    fields, value = draft.fields, about.value
    asked = json_attribute(about, "llm.invocation_parameters")
    parameters = asked if isinstance(asked, dict) else {}
    requested = parameters.get("model")
    named = about.text("llm.model_name", needed="" if isinstance(requested, str) else _MODEL)
    fields["model"] = {
        "provider": about.text("llm.provider", "llm.system"),
        "requested": requested if isinstance(requested, str) else named,
        "served": named,
    }
    fields["usage"] = without_nothing(
        {
            "input_tokens": about.whole("llm.token_count.prompt"),
            "output_tokens": about.whole("llm.token_count.completion"),
        }
    )
    fields["tools"] = _tools(value, parameters)
    sent = [_message(one) for one in indexed(value, "llm.input_messages.")]
    if sent:
        fields["prompt"] = chat_messages(sent, about, "llm.input_messages", _CONTENT)
        if any(is_marker(one.get("content"), _HIDDEN) for one in fields["prompt"]):
            about.fault("llm.input_messages", f"hidden; {_CONTENT}")
    else:
        _hidden(about, "input.value")
        fields["prompt"] = any_prompt(value.get("input.value"), about, "llm.input_messages", _CONTENT)
    fields["response"] = _answer(span, about)


def _hidden(about: Fields, name: str) -> None:
    if about.value.get(name) == _HIDDEN:
        about.fault(name, f"hidden; {_CONTENT}")


def _answer(span: TraceSpan, about: Fields) -> Json:
    found = indexed(about.value, "llm.output_messages.")
    if found:
        message = _message(found[0])
        reason = message.pop("finish_reason", None) if isinstance(message, dict) else None
        answer = answer_of(message, about, "llm.output_messages.0", reason)
        if is_marker(answer.get("content"), _HIDDEN):
            about.fault("llm.output_messages", f"hidden; {_CONTENT}")
        return with_failure(answer, failure(span))
    error = failure(span)
    if error is not None:
        return {"content": None, "error": error}
    if about.value.get("output.value") is not None:
        _hidden(about, "output.value")
        return any_answer(about.value["output.value"], about, "output.value")
    about.fault("llm.output_messages", f"missing; {_CONTENT}")
    return {}


def _message(sent: Any) -> Any:
    """A message whose fields stand under `message`, and its calls and contents one level deeper still."""
    message = sent.get("message") if isinstance(sent, dict) else None
    if not isinstance(message, dict):
        return sent
    made = {"role": "user", **message}
    contents = made.pop("contents", None)
    if isinstance(contents, list) and made.get("content") is None:
        made["content"] = [_part(one) for one in contents]
    calls = made.get("tool_calls")
    if isinstance(calls, list):
        made["tool_calls"] = [_call(one) for one in calls]
    return made


def _part(sent: Any) -> Any:
    part = sent.get("message_content") if isinstance(sent, dict) else None
    return {"type": "text", **part} if isinstance(part, dict) else sent


def _call(sent: Any) -> Any:
    call = sent.get("tool_call") if isinstance(sent, dict) else None
    return {"type": "function", **call} if isinstance(call, dict) else sent


def _tools(value: Any, parameters: Json) -> list[Any]:
    found = [one.get("tool", {}) for one in indexed(value, "llm.tools.") if isinstance(one, dict)]
    schemas = [parsed_or_text(one["json_schema"]) for one in found if isinstance(one, dict) and "json_schema" in one]
    sent = parameters.get("tools")
    return schemas or (declared_tools(sent) if isinstance(sent, list) else [])


OPENINFERENCE: Final = Convention("OpenInference", _claims, _is_call, _read)
