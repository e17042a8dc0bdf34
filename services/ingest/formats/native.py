"""The native format of an exchange."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from schemas.exchange import Exchange
from schemas.identity import Model
from services.ingest.errors import FormatError
from services.ingest.formats.protocol import Format, Json

_TS: Final = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(?:[Zz]|[+-]\d\d:?\d\d)?", re.ASCII)
_TS_REMEDY: Final = "ts: must be ISO 8601 text in [2000, 2100), for example 2026-11-24T18:00:00Z"
_TELLING: Final = frozenset({"route", "prompt", "response", "model"})
_FIELDS: Final = frozenset(Exchange.model_fields)
_MODEL_FIELDS: Final = frozenset(Model.model_fields)


def is_native(value: Mapping[str, Any]) -> bool:
    """An object with one of the required fields is meant to be native, so that its faults are named as such."""
    return not _TELLING.isdisjoint(value)


def to_native(value: Mapping[str, Any]) -> Json:
    """Fields of `Exchange`: null is missing, unknown fields (also those of `model`) go under `extra`.

    Raises:
        FormatError: if `ts` is not a time or `extra` not an object.
    """
    known = {name: item for name, item in value.items() if name in _FIELDS and item is not None}
    unknown = {name: item for name, item in value.items() if name not in _FIELDS}
    if "ts" in known:
        known["ts"] = _time(known["ts"])
    model = known.get("model")
    if isinstance(model, dict) and not _MODEL_FIELDS.issuperset(model):
        known["model"] = {name: item for name, item in model.items() if name in _MODEL_FIELDS}
        unknown["model"] = {name: item for name, item in model.items() if name not in _MODEL_FIELDS}
    if unknown:
        known["extra"] = _merged(known.get("extra", {}), unknown)
    _lists_to_tuples(known)
    return known


def _time(value: Any) -> datetime:
    if not isinstance(value, str) or not _TS.fullmatch(value):
        raise FormatError(_TS_REMEDY)
    try:
        return datetime.fromisoformat(value.upper())
    except ValueError:
        raise FormatError(_TS_REMEDY) from None


def _merged(sent: Any, unknown: Json) -> Json:
    """Both the `extra` that was sent and the unknown fields; objects of one name are joined."""
    if not isinstance(sent, dict):
        raise FormatError("extra: must be an object")
    merged = dict(sent)
    for name, item in unknown.items():
        mine = merged.get(name)
        merged[name] = {**mine, **item} if isinstance(mine, dict) and isinstance(item, dict) else item
    return merged


def _lists_to_tuples(fields: Json) -> None:
    """The schema is frozen and strict: where it wants a tuple, a JSON list becomes one."""
    prompt = fields.get("prompt")
    if isinstance(prompt, list):
        fields["prompt"] = tuple(_with_tuple(message, "content") for message in prompt)
    if isinstance(fields.get("response"), dict):
        fields["response"] = _with_tuple(fields["response"], "tool_calls")
    if isinstance(fields.get("guardrails"), list):
        fields["guardrails"] = tuple(fields["guardrails"])


def _with_tuple(value: Any, name: str) -> Any:
    if isinstance(value, dict) and isinstance(value.get(name), list):
        return {**value, name: tuple(value[name])}
    return value


NATIVE: Final = Format("native", is_native, to_native)
