"""Rows of LiteLLM's table of spend logs, as its database, its API and a CSV of it have them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from services.ingest.formats.fields import parsed_or_text
from services.ingest.formats.protocol import Json

PRODUCT: Final = "LiteLLM spend log"
KEPT: Final = "set general_settings.store_prompts_in_spend_logs to true, so that LiteLLM stores the texts"
_TELLING: Final = frozenset({"request_id", "call_type", "spend"})
_WHOLE: Final = frozenset({"prompt_tokens", "completion_tokens", "request_duration_ms"})
_OF_METADATA: Final = ("error_information", "guardrail_information", "status")
_TOOLS: Final = ("tools", "functions")
_ASKED: Final = frozenset({"messages", "input", "prompt", "contents"})


def is_spend_log(value: Mapping[str, Any]) -> bool:
    """Whether an object is such a row: a payload of a callback has neither `request_id` nor `spend`."""
    return value.keys() >= _TELLING


def as_payload(row: Mapping[str, Any]) -> Json:
    """The row as a StandardLoggingPayload: what stands as text of JSON or of digits as what it says.

    The messages stand in the body of the request that the proxy keeps, those of older versions in their own column.
    """
    read = {name: _number(item) if name in _WHOLE else parsed_or_text(item) for name, item in row.items()}
    metadata, body = _object(read.get("metadata")), _object(read.get("proxy_server_request"))
    asked, logged = _object(body.get("metadata")), _object(metadata.get("spend_logs_metadata"))
    found = {name: metadata[name] for name in _OF_METADATA if metadata.get(name) is not None}
    error = found.get("error_information")
    return {
        **found,
        **{name: item for name, item in read.items() if item is not None and item != ""},
        "id": read.get("request_id"),
        "messages": read.get("messages") or (body if body.keys() & _ASKED else None),
        "metadata": {**asked, **logged, **metadata},
        "model_parameters": {name: body[name] for name in _TOOLS if body.get(name) is not None},
        "error_str": error.get("error_message") if isinstance(error, dict) else None,
        "response_time": _seconds(read.get("request_duration_ms")),
    }


def _seconds(milliseconds: Any) -> Any:
    known = isinstance(milliseconds, (int, float)) and not isinstance(milliseconds, bool)
    return milliseconds / 1000 if known else milliseconds


def _object(value: Any) -> Json:
    return value if isinstance(value, dict) else {}


def _number(value: Any) -> Any:
    """Of a table the number that a text of digits is."""
    return int(value) if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 16 else value
