"""Text, refusals and calls of tools in answers, in whatever parts vendors put them: as live traffic is read. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

from schemas.exchange import Answer
from services.evaluate.result import MadeCall
from services.signals.tool_calls import named_call

_IDS: Final = ("call_id", "id", "toolUseId", "tool_use_id", "tool_call_id", "toolCallId")


def text_of(content: Any) -> str | None:
    """The text of a content: its own, or that of its parts; reasoning, calls and refusals among these add nothing.

    Raises:
        TypeError: if it is neither text nor parts.
    """
    if isinstance(content, list):
        return "".join(filter(None, (_part_text(part) for part in content))) or None
    return string_of(content)


def _part_text(part: Any) -> str | None:
    return part if isinstance(part, str) else Answer.model_construct(content=(_mapping(part),)).text


def refusal_of(content: Any, field: Any) -> str | None:
    """What the model says in a field `refusal`, or in a part of that type."""
    parts = tuple(_mapping(part) for part in content if not isinstance(part, str)) if isinstance(content, list) else ()
    return Answer.model_construct(content=parts, refusal=string_of(field or None)).declined


def calls_of(content: Any, **fields: Any) -> tuple[MadeCall, ...]:
    """The calls of tools among the parts of a content, and in the fields `tool_calls` and `function_call`."""
    parts = tuple(part for part in content if isinstance(part, dict)) if isinstance(content, list) else None
    return made_calls(Answer.model_construct(content=parts, **fields).calls)


def made_calls(found: Iterable[Any]) -> tuple[MadeCall, ...]:
    """Calls in any vendor's form, with the arguments as text; what is no object is a call all the same."""
    return tuple(_made_call(one) for one in found)


def _made_call(raw: Any) -> MadeCall:
    if not isinstance(raw, Mapping):
        return MadeCall(name="", arguments=_as_text(raw))
    name, arguments = named_call(raw)
    inner = [raw, *(value for value in raw.values() if isinstance(value, Mapping))]
    ids = (one[key] for key in _IDS for one in inner if isinstance(one.get(key), str))
    return MadeCall(id=next(ids, ""), name=name, arguments=_as_text(arguments))


def _as_text(arguments: Any) -> str:
    return arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False, sort_keys=True)


def string_of(value: Any) -> str | None:
    """The text itself, or None.

    Raises:
        TypeError: if it is something else.
    """
    if value is not None and not isinstance(value, str):
        raise TypeError("not a text")
    return value


def _mapping(part: Any) -> Mapping[str, Any]:
    if not isinstance(part, dict):
        raise TypeError("not a part")
    return part
