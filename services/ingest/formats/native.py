"""The native format of an exchange."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final

from schemas.exchange import Exchange
from schemas.identity import Model
from services.ingest.errors import FormatError
from services.ingest.formats.protocol import Draft, Format, Json

_TS: Final = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(?:[Zz]|[+-]\d\d:?\d\d)?", re.ASCII)
_TS_REMEDY: Final = "ts: must be ISO 8601 text in [2000, 2100), for example 2026-11-24T18:00:00Z"
_TELLING: Final = frozenset({"route", "prompt", "response", "model"})
_FIELDS: Final = frozenset(Exchange.model_fields)
_SCHEMAS: Final = ("schema", "parameters", "input_schema", "inputSchema")
_CONTENTS: Final = ("content", "text", "page_content", "data")
_MODEL_FIELDS: Final = frozenset(Model.model_fields)


def is_native(value: Mapping[str, Any]) -> bool:
    """An object with one of the required fields is meant to be native, so that its faults are named as such."""
    return not _TELLING.isdisjoint(value)


def to_native(value: Mapping[str, Any]) -> Json:
    """Fields of `Exchange`: null is missing, unknown fields (also those of `model`) go under `extra`.

    Raises:
        FormatError: if `ts` is not a time or `extra` not an object.
    """
    known: Json = {}
    unknown: Json = {}
    for name, item in value.items():
        if name not in _FIELDS:
            unknown[name] = item
        elif item is not None:
            known[name] = item
    if "ts" in known:
        known["ts"] = _time(known["ts"])
    if isinstance(known.get("tags"), dict):
        known["tags"] = {name: _tag(value) for name, value in known["tags"].items() if value is not None}
    for name, read in _LISTED:
        if name in known and isinstance(known[name], list):
            _read_each(known, unknown, name, read)
    model = known.get("model")
    if isinstance(model, dict) and not _MODEL_FIELDS.issuperset(model):
        known["model"] = {name: item for name, item in model.items() if name in _MODEL_FIELDS}
        unknown["model"] = {name: item for name, item in model.items() if name not in _MODEL_FIELDS}
    if unknown:
        known["extra"] = _merged(known.get("extra", {}), unknown)
    _lists_to_tuples(known)
    return known


def _time(value: Any) -> datetime:
    if isinstance(value, datetime):
        return value
    if not isinstance(value, str) or not _TS.fullmatch(value):
        raise FormatError(_TS_REMEDY)
    try:
        return datetime.fromisoformat(value.upper())
    except ValueError:
        raise FormatError(_TS_REMEDY) from None


def _tag(value: Any) -> Any:
    """A number, true or false as it stands in JSON: a tag that is no text does not cost the exchange."""
    return json.dumps(value) if isinstance(value, (bool, int, float)) else value


def _tool(sent: Any) -> Json | None:
    """A declared tool in our form, OpenAI's (`function`, `parameters`) or Anthropic's (`input_schema`)."""
    if not isinstance(sent, dict):
        return {"name": sent} if isinstance(sent, str) else None
    own = sent["function"] if isinstance(sent.get("function"), dict) else sent
    name = own.get("name") or sent.get("type")
    schema = next((own[key] for key in _SCHEMAS if own.get(key) is not None), None)
    return {"name": name, "schema": schema} if isinstance(name, str) else None


def _document(sent: Any) -> Json | None:
    """A retrieved document: text, or an object with its text under a name that is in use."""
    if not isinstance(sent, dict):
        return {"content": sent} if isinstance(sent, str) else None
    content = next((sent[key] for key in _CONTENTS if sent.get(key) is not None), None)
    if isinstance(content, list) and all(isinstance(part, dict) for part in content):
        content = tuple(content)
    if not isinstance(content, (str, tuple)):
        return None
    return {"content": content} | ({"id": str(sent["id"])} if isinstance(sent.get("id"), (str, int)) else {})


def _read_each(known: Json, unknown: Json, name: str, read: Callable[[Any], Json | None]) -> None:
    """Those of a list that can be read, as a tuple; what is none of them goes under `extra`."""
    found = [(one, read(one)) for one in known[name]]
    if other := [one for one, made in found if made is None]:
        unknown[name] = other
    known[name] = tuple(made for _, made in found if made is not None)


_LISTED: Final = (("tools", _tool), ("documents", _document))


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
        fields["response"] = _with_tuple(_with_tuple(fields["response"], "tool_calls"), "content")
    if isinstance(fields.get("guardrails"), list):
        fields["guardrails"] = tuple(fields["guardrails"])


def _with_tuple(value: Any, name: str) -> Any:
    if isinstance(value, dict) and isinstance(value.get(name), list):
        return {**value, name: tuple(value[name])}
    return value


NATIVE: Final = Format("native", "Keelwatch exchange", is_native, lambda value: [Draft(to_native(value))])
"""Read by `to_native` alone: it is most of what comes, and travels as it is."""
