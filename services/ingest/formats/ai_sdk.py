"""Spans of the Vercel AI SDK: `ai.generateText.doGenerate`, `ai.streamText.doStream` and their like.

The span around such a call repeats it with its retries and steps, and is passed over.
"""

from __future__ import annotations

from typing import Any, Final

from services.ingest.formats.fields import Fields, without_nothing
from services.ingest.formats.messages import chat_messages, declared_tools
from services.ingest.formats.protocol import Draft, Json
from services.ingest.formats.spans import Convention, TraceSpan, failure, json_attribute, with_failure

_CONTENT: Final = "leave recordInputs and recordOutputs of experimental_telemetry on"
_MODEL: Final = "send the spans as the AI SDK makes them"
_CALLS: Final = frozenset(
    f"ai.{what}.{does}"
    for what in ("generateText", "streamText", "generateObject", "streamObject")
    for does in ("doGenerate", "doStream")
)


def _operation(span: TraceSpan) -> Any:
    return span.attributes.get("ai.operationId")


def _claims(span: TraceSpan) -> bool:
    return isinstance(_operation(span), str)


def _is_call(span: TraceSpan) -> bool:
    return _operation(span) in _CALLS


def _read(span: TraceSpan, draft: Draft) -> None:
    about = Fields(span.attributes, draft.faults)
    fields = draft.fields
    fields["model"] = {
        "provider": about.text("ai.model.provider", "gen_ai.system"),
        "requested": about.text("ai.model.id", "gen_ai.request.model", needed=_MODEL),
        "served": about.text("ai.response.model", "gen_ai.response.model"),
    }
    fields["usage"] = without_nothing(
        {
            "input_tokens": about.whole("ai.usage.inputTokens", "ai.usage.promptTokens", "gen_ai.usage.input_tokens"),
            "output_tokens": about.whole(
                "ai.usage.outputTokens", "ai.usage.completionTokens", "gen_ai.usage.output_tokens"
            ),
        }
    )
    fields["tools"] = declared_tools(about.list("ai.prompt.tools"))
    fields["conversation"] = about.text("ai.telemetry.metadata.sessionId")
    fields["user"] = about.text("ai.telemetry.metadata.userId")
    messages = json_attribute(about, "ai.prompt.messages")
    fields["prompt"] = chat_messages(messages, about, "ai.prompt.messages", _CONTENT)
    fields["response"] = _answer(span, about)


def _answer(span: TraceSpan, about: Fields) -> Json:
    text = about.text("ai.response.text", "ai.response.object")
    calls = json_attribute(about, "ai.response.toolCalls")
    if text is None and calls is None:
        error = failure(span)
        if error is not None:
            return {"content": None, "error": error}
        if about.value.get("ai.response.text") != "":
            about.fault("ai.response.text", f"missing; {_CONTENT}")
        text = ""
    made: Json = {"content": text}
    if isinstance(calls, list):
        made["tool_calls"] = calls
    elif calls is not None:
        about.fault("ai.response.toolCalls", "must be a list")
    reason = about.text("ai.response.finishReason")
    return with_failure(made | ({"finish_reason": reason} if reason else {}), failure(span))


AI_SDK: Final = Convention("Vercel AI SDK", _claims, _is_call, _read)
