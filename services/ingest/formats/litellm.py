"""LiteLLM's StandardLoggingPayload, as its callbacks and its proxy log each call, and rows of its spend logs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from schemas.base import hash16
from services.ingest.formats.fields import Fields, host_of, milliseconds, without_nothing
from services.ingest.formats.messages import any_answer, any_prompt, is_marker
from services.ingest.formats.openai_responses import read_responses
from services.ingest.formats.protocol import Draft, Format, Json
from services.ingest.formats.spend_logs import KEPT, PRODUCT, as_payload, is_spend_log

_WRAPPED: Final = "standard_logging_object"
_CALLS: Final = frozenset(
    {"completion", "text_completion", "responses", "anthropic_messages", "generate_content", "generate_content_stream"}
)
_SILENT: Final = frozenset(
    {
        *("embedding", "image_generation", "image_edit", "image_variation", "moderation", "transcription", "speech"),
        *("rerank", "search", "vector_store_create", "vector_store_search", "ocr", "list_input_items"),
        *("file_retrieve", "file_delete", "file_list", "create_file", "file_content"),
        *("create_batch", "retrieve_batch", "create_fine_tuning_job", "cancel_fine_tuning_job"),
        *("list_fine_tuning_jobs", "retrieve_fine_tuning_job"),
    }
)
"""Calls that answer nobody: all else that is unknown is refused, since it may be a kind of answer that is new."""
_REDACTED: Final = "redacted-by-litellm"
_MASKED: Final = "REDACTED_BY_LITELM"
"""What stands in the place of texts, and in spend logs of all that might be a credential, fingerprints among them."""
_KEPT: Final = "set turn_off_message_logging to false, so that LiteLLM logs the texts"
_OUTCOMES: Final = {
    "success": "pass",
    "guardrail_intervened": "blocked",
    "blocked": "blocked",
    "failure": "blocked",
}


def _recognises(value: Mapping[str, Any]) -> bool:
    return _WRAPPED in value or (
        "call_type" in value and not value.keys().isdisjoint(("messages", "response", "model"))
    )


def _read(value: Json) -> list[Draft]:
    stored = is_spend_log(value)
    draft = Draft({}, product=PRODUCT if stored else None)
    whole = Fields(as_payload(value) if stored else value, draft.faults)
    call = whole.object(_WRAPPED) if _WRAPPED in value else whole
    kept = KEPT if stored else _KEPT
    kind = call.text("call_type", needed="send the payload as LiteLLM makes it")
    kinds = set() if kind is None else {kind.lower(), kind.lower().removeprefix("a")}
    if kinds & _SILENT:
        return []
    if kinds and not kinds & _CALLS:
        call.fault("call_type", "not one that is read; send completions, responses, messages or generated content")
    metadata = call.object("metadata")
    more = metadata.object("requester_metadata")
    draft.fields = without_nothing(
        {
            "id": _id(call),
            "ts": call.moment("startTime"),
            "route": metadata.text("keelwatch_route") or more.text("keelwatch_route"),
            "conversation": more.text("session_id") or metadata.text("session_id") or call.text("session_id"),
            "user": call.text("end_user") or metadata.text("user_api_key_end_user_id"),
            "model": _model(call),
            "prompt": _prompt(call, kept),
            "response": _response(call, kind or "", kept),
            "usage": without_nothing(
                {"input_tokens": call.whole("prompt_tokens"), "output_tokens": call.whole("completion_tokens")}
            ),
            "latency_ms": _latency(call),
            "guardrails": _guardrails(call),
            "tools": call.object("model_parameters").list("tools", "functions"),
        }
    )
    draft.facts = _facts(call, metadata, more, draft.fields)
    return [draft]


def _id(call: Fields) -> str | None:
    """Made of all that tells one log entry from another: fallbacks and retries of a call share its id."""
    own, payload = call.text("litellm_call_id"), call.text("id")
    if own is None and payload is None:
        return None
    return f"litellm:{hash16([own, payload, str(call.value.get('startTime')), str(call.value.get('status'))])}"


def _model(call: Fields) -> Json:
    served = call.object("response").text("model") if isinstance(call.value.get("response"), dict) else None
    named = call.text("model")
    requested = call.text("model_group") or named
    if requested is None:
        call.fault("model", "missing; send the payload as LiteLLM makes it")
    response = call.value.get("response")
    fingerprint = response.get("system_fingerprint") if isinstance(response, dict) else None
    return without_nothing(
        {
            "provider": call.text("custom_llm_provider"),
            "requested": requested,
            "served": served or (None if call.value.get("status") == "failure" else named),
            "fingerprint": None if fingerprint == _MASKED else fingerprint,
            "endpoint": host_of(call.text("api_base")),
            "guardrails_sha256": None if call.value.get("status") == "failure" else _guarded_by(call),
        }
    )


def _prompt(call: Fields, kept: str) -> list[Json]:
    sent = call.value.get("messages")
    found = any_prompt(sent, call, "messages", kept)
    if any(_is_hidden(one.get("content")) for one in found):
        call.fault("messages", f"redacted; {kept}")
    return found


def _response(call: Fields, kind: str, kept: str) -> Json:
    sent = call.value.get("response")
    if call.value.get("status") == "failure":
        told = call.object("error_information")
        error = without_nothing(
            {"type": told.text("error_class"), "code": told.text("error_code"), "message": call.text("error_str")}
        )
        return {"content": None, "error": error or {"type": "failure"}}
    if sent is None or sent in ("", {}, []):
        call.fault("response", f"missing; {kept}")
        return {}
    found = _answer(call, sent, kind)
    if _is_hidden(found.get("content")):
        call.fault("response", f"redacted; {kept}")
    return found


def _is_hidden(content: Any) -> bool:
    return any(is_marker(content, marker) for marker in (_REDACTED, _MASKED))


def _answer(call: Fields, sent: Any, kind: str) -> Json:
    if "responses" in kind and isinstance(sent, dict) and isinstance(sent.get("output"), list):
        draft = Draft({})
        read_responses(Fields({"model": "m", "input": "i"}, []), Fields(sent, call.faults, "response"), draft)
        found: Json = draft.fields.get("response", {})
        return found
    return any_answer(sent, call, "response")


def _latency(call: Fields) -> float | None:
    seconds = call.number("response_time")
    if seconds:
        return seconds * 1000
    return milliseconds(call.moment("startTime"), call.moment("endTime"))


def _guards(call: Fields) -> list[Json]:
    _, found = call.find("guardrail_information")
    listed = [found] if isinstance(found, dict) else found if isinstance(found, list) else []
    return [one for one in listed if isinstance(one, dict) and isinstance(one.get("guardrail_name"), str)]


def _guardrails(call: Fields) -> list[Json]:
    """What each guardrail made of the call; one that did not answer says nothing."""
    told = ((one["guardrail_name"], _OUTCOMES.get(str(one.get("guardrail_status")))) for one in _guards(call))
    return [{"name": name, "outcome": outcome} for name, outcome in told if outcome is not None]


def _guarded_by(call: Fields) -> str | None:
    """The configuration as far as a call tells it: which guardrails ran, and when."""
    ran = sorted({(one["guardrail_name"], str(one.get("guardrail_mode"))) for one in _guards(call)})
    return hash16([list(one) for one in ran]) if ran else None


def _facts(call: Fields, metadata: Fields, more: Fields, fields: Json) -> Json:
    named = {**metadata.value, **more.value}
    tags = [one for one in call.list("request_tags") if isinstance(one, str)]
    model = fields.get("model", {})
    return {f"metadata.{name}": item for name, item in named.items() if isinstance(item, str)} | {
        "model": model.get("requested"),
        "provider": model.get("provider"),
        "endpoint": model.get("endpoint"),
        "tag": tags,
    }


LITELLM: Final = Format("litellm", "LiteLLM StandardLoggingPayload", _recognises, _read)
