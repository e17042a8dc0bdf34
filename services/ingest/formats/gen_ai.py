"""OpenTelemetry's conventions for generative AI in their three eras, each as real libraries write it.

- numbered attributes `gen_ai.prompt.N.content`, `gen_ai.completion.N.content` (OpenLLMetry);
- events `gen_ai.user.message`, `gen_ai.choice` of the span, or `gen_ai.content.prompt` (conventions 1.26 to 1.36);
- `gen_ai.input.messages`, `gen_ai.output.messages` with parts, on the span or an event of it (since 1.37).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from services.ingest.errors import FormatError
from services.ingest.formats.fields import Fields, parsed, parsed_or_text, without_nothing
from services.ingest.formats.messages import answer_of, any_answer, chat_messages, content_of, declared_tools
from services.ingest.formats.protocol import Draft, Json
from services.ingest.formats.spans import Convention, TraceSpan, failure, indexed, json_attribute, with_failure

_OPERATIONS: Final = ("chat", "text_completion", "text.", "completion", "generate_content", "responses")
"""How the names of calls that answer with text begin: Semantic Kernel has `chat.completions` and more of its kind."""
_CONTENT: Final = (
    "switch content capture on: OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT=span_only (true in older ones), "
    "for OpenLLMetry TRACELOOP_TRACE_CONTENT=true"
)
_MODEL: Final = "set it on the span, as the conventions ask"
_ROLES: Final = {
    "gen_ai.system.message": "system",
    "gen_ai.user.message": "user",
    "gen_ai.assistant.message": "assistant",
    "gen_ai.tool.message": "tool",
}
_SAID: Final = ("content", "tool_calls", "function_call", "refusal", "audio")
_DETAILS: Final = "gen_ai.client.inference.operation.details"
EVENTS: Final = frozenset({*_ROLES, "gen_ai.choice", "gen_ai.content.prompt", "gen_ai.content.completion", _DETAILS})
"""Events that hold what was said, on a span or as log records."""


def _claims(span: TraceSpan) -> bool:
    return any(name.startswith(("gen_ai.", "llm.request.")) for name in span.attributes)


def _is_call(span: TraceSpan) -> bool:
    """A call of a model that answers with text: no embedding, no tool, no step of an agent around such calls."""
    about = span.attributes
    operation, kind = about.get("gen_ai.operation.name"), about.get("llm.request.type")
    if isinstance(operation, str):
        return operation.startswith(_OPERATIONS)
    if isinstance(kind, str):
        return kind in {"chat", "completion"}
    return "traceloop.span.kind" not in about and ("gen_ai.request.model" in about or "gen_ai.response.model" in about)


def _read(span: TraceSpan, draft: Draft) -> None:
    about = Fields(_with_details(span), draft.faults)
    fields = draft.fields
    fields["model"] = {
        "provider": about.text("gen_ai.provider.name", "gen_ai.system"),
        "requested": about.text("gen_ai.request.model", "gen_ai.response.model", needed=_MODEL),
        "served": about.text("gen_ai.response.model"),
        "fingerprint": about.text("gen_ai.openai.response.system_fingerprint", "openai.response.system_fingerprint"),
    }
    fields["usage"] = without_nothing(
        {
            "input_tokens": about.whole("gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens"),
            "output_tokens": about.whole("gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens"),
        }
    )
    fields["tools"] = _tools(about)
    error = failure(span)
    name, messages = _messages(span, about)
    fields["prompt"] = chat_messages(messages, about, name, _CONTENT)
    answer = _answer(span, about)
    if error is not None and answer is None:
        fields["response"] = {"content": None, "error": error}
    elif answer is None:
        about.fault(name.replace("input", "output").replace("prompt", "completion"), f"missing; {_CONTENT}")
    else:
        fields["response"] = answer = with_failure(answer, error)
        reasons = about.value.get("gen_ai.response.finish_reasons")
        first = reasons[0] if isinstance(reasons, list) and reasons else None
        if isinstance(first, str):
            answer.setdefault("finish_reason", first)


def _with_details(span: TraceSpan) -> Mapping[str, Any]:
    """The span's attributes, with those of the event that may carry the messages instead."""
    details = next((about for name, about in span.events if name == _DETAILS), None)
    return span.attributes if details is None else {**details, **span.attributes}


def _messages(span: TraceSpan, about: Fields) -> tuple[str, Any]:
    """The messages that were sent, and the name under which they are, or should be."""
    value = about.value
    if "gen_ai.input.messages" in value:
        system = json_attribute(about, "gen_ai.system_instructions")
        sent = _with_parts(json_attribute(about, "gen_ai.input.messages"))
        told = [] if system is None else [{"role": "system", "content": content_of(system, about, "system")}]
        return "gen_ai.input.messages", [*told, *sent] if isinstance(sent, list) else sent
    if "gen_ai.prompt.0.role" in value or "gen_ai.prompt.0.content" in value:
        return "gen_ai.prompt", [_numbered(one) for one in indexed(value, "gen_ai.prompt.")]
    events = list(_event_messages(span, about))
    if events:
        return "gen_ai.user.message", events
    prompt = parsed_or_text(value.get("gen_ai.prompt", _in_event(span, "gen_ai.content.prompt", "gen_ai.prompt")))
    return "gen_ai.input.messages", prompt


def _with_parts(sent: Any) -> Any:
    """Messages whose `parts` are their content."""
    if not isinstance(sent, list):
        return sent
    return [
        {**{name: item for name, item in one.items() if name != "parts"}, "content": one["parts"]}
        if isinstance(one, dict) and "parts" in one
        else one
        for one in sent
    ]


def _numbered(sent: Any) -> Any:
    """A message of numbered attributes: calls in OpenAI's form, content that is JSON of parts as parts."""
    if not isinstance(sent, dict):
        return sent
    made = {"role": "user", **sent}
    content = made.get("content")
    if isinstance(content, str) and content.startswith('[{"'):
        parts = parsed_or_text(content)
        made["content"] = parts if isinstance(parts, list) else content
    if isinstance(made.get("tool_calls"), list):
        made["tool_calls"] = [_call(one) for one in made["tool_calls"]]
    return made


def _call(sent: Any) -> Any:
    if not isinstance(sent, dict) or "name" not in sent:
        return sent
    function = {"name": sent["name"], "arguments": sent.get("arguments", "{}")}
    return {"id": sent.get("id"), "type": "function", "function": function}


def _event_messages(span: TraceSpan, about: Fields) -> Iterator[Json]:
    for name, sent in span.events:
        role = _ROLES.get(name)
        if role is not None:
            body = _body(sent, about, name)
            calls = _listed(body.get("tool_calls"))
            yield {"role": role, "content": parsed_or_text(body.get("content"))} | (
                {"tool_calls": calls} if calls else {}
            )


def _body(sent: Mapping[str, Any], about: Fields, name: str) -> Mapping[str, Any]:
    """What an event says: its attributes, or the JSON that some libraries put into one of them."""
    whole = sent.get("gen_ai.event.content")
    try:
        found = parsed(whole)
    except FormatError:
        about.fault(f"{name}.gen_ai.event.content", "no JSON, perhaps cut; raise OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT")
        found = None
    return found if isinstance(found, dict) else sent


def _listed(value: Any) -> list[Any] | None:
    found = parsed_or_text(value)
    return found if isinstance(found, list) and found else None


def _in_event(span: TraceSpan, event: str, name: str) -> Any:
    return next((about[name] for known, about in span.events if known == event and name in about), None)


def _answer(span: TraceSpan, about: Fields) -> Json | None:
    """The answer under the same names as the prompt; the first where there are several."""
    value = about.value
    if "gen_ai.output.messages" in value:
        sent = _with_parts(json_attribute(about, "gen_ai.output.messages"))
        if not isinstance(sent, list) or not sent:
            return None
        return _from_message(sent[0], about, "gen_ai.output.messages[0]")
    numbered = indexed(value, "gen_ai.completion.")
    if numbered:
        return _from_message(_numbered(numbered[0]), about, "gen_ai.completion.0")
    choice = next((about_it for name, about_it in span.events if name == "gen_ai.choice"), None)
    if choice is not None:
        body = _body(choice, about, "gen_ai.choice")
        message = parsed_or_text(body.get("message", body))
        inner = message if isinstance(message, dict) else {"content": message}
        return _from_message({"finish_reason": body.get("finish_reason"), **inner}, about, "gen_ai.choice")
    plain = value.get("gen_ai.completion", _in_event(span, "gen_ai.content.completion", "gen_ai.completion"))
    return None if plain is None else any_answer(plain, about, "gen_ai.completion")


def _from_message(sent: Any, about: Fields, name: str) -> Json | None:
    """An answer; None of a message that only says why it ended, since its content was not captured."""
    kept = {key: item for key, item in sent.items() if key != "index"} if isinstance(sent, dict) else sent
    reason = kept.pop("finish_reason", None) if isinstance(kept, dict) else None
    if isinstance(kept, dict) and isinstance(kept.get("tool_calls"), str):
        kept["tool_calls"] = _listed(kept["tool_calls"])
    if isinstance(kept, dict) and not any(kept.get(one) is not None for one in _SAID):
        return None
    return answer_of(kept, about, name, reason)


def _tools(about: Fields) -> list[Any]:
    found = json_attribute(about, "gen_ai.tool.definitions")
    if isinstance(found, list):
        return declared_tools(found)
    functions = indexed(about.value, "llm.request.functions.")
    for one in functions:
        if isinstance(one, dict):
            one["parameters"] = parsed_or_text(one.get("parameters"))
    return functions


GEN_AI: Final = Convention("OpenTelemetry GenAI", _claims, _is_call, _read)
