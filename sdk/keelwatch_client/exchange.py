"""An exchange in the native form, written as JSON at once: what the application changes later is not changed in it."""

from __future__ import annotations

import dataclasses
import json
import os
import time
import uuid
from collections import deque
from collections.abc import Callable, KeysView, Mapping, ValuesView
from datetime import date, datetime, timezone
from decimal import Decimal
from enum import Enum
from typing import Any

Json = dict[str, Any]
_TEXT_KINDS = ("text", "tool", "function", "refusal", "message", "call")


def uuid7() -> str:
    """An id that says when, and nothing of the content: two equal greetings are two exchanges."""
    when, chance = f"{time.time_ns() // 1_000_000:012x}", os.urandom(10).hex()
    variant = "89ab"[int(chance[3], 16) & 3]
    return f"{when[:8]}-{when[8:]}-7{chance[:3]}-{variant}{chance[4:7]}-{chance[7:19]}"


def now() -> str:
    """This moment, as the field `ts` has it."""
    return datetime.now(timezone.utc).isoformat()


def dumps(value: Any) -> bytes:
    """JSON in UTF-8. Half of a surrogate pair is written as an escape, which the server counts as odd text.

    Raises:
        ValueError, TypeError, RecursionError: if there is no JSON for it (NaN, a circle, keys that are no texts).
    """
    try:
        return _WRITE(value).encode()
    except UnicodeEncodeError:
        return _WRITE_ASCII(value).encode()


def plain(value: Any) -> Any:
    """An object of a library as JSON has it: models, dataclasses, times, sets; of any other the name of its type.

    Nothing that can be read only once is read: it is the application's.
    """
    if callable(dump := getattr(value, "model_dump", None)):
        return dump(mode="json", exclude_none=True, warnings=False)
    for kinds, convert in _CONVERSIONS:
        if isinstance(value, kinds):
            return convert(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if type(value).__name__ == "ValidatorIterator" and type(value).__module__.startswith("pydantic_core"):
        return list(value)  # of a message that has no other reader, where a vendor's model says `Iterable`
    return f"<{type(value).__name__}>"


_CONVERSIONS: tuple[tuple[Any, Callable[[Any], Any]], ...] = (
    (Mapping, dict),
    ((datetime, date), lambda value: value.isoformat()),
    (Enum, lambda value: value.value),
    ((uuid.UUID, Decimal), str),
    ((set, frozenset), lambda value: sorted(value, key=str)),
    ((deque, ValuesView, KeysView), list),
)
_WRITE = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=plain).encode
_WRITE_ASCII = json.JSONEncoder(allow_nan=False, separators=(",", ":"), default=plain).encode


def without_media(message: Any) -> Any:
    """A message without the bytes of images, audio and files: of such a part only its type is sent, and is counted."""
    message = message if isinstance(message, Mapping) else plain(message)
    content = message.get("content") if isinstance(message, Mapping) else None
    if not isinstance(content, (list, tuple)):
        return message
    return {**message, "content": [light_part(part) for part in content]}


def light_part(part: Any) -> Any:
    """A part of a content if it is text, a call or a result; of any other, also of reasoning, the type alone."""
    part = part if isinstance(part, (Mapping, str)) else plain(part)
    kind = str(part.get("type") or "") if isinstance(part, Mapping) else "text"
    if kind == "tool_result":
        return without_media(part)
    return part if not kind or any(word in kind for word in _TEXT_KINDS) else {"type": kind}
