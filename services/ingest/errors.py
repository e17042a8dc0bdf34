"""Why a record was refused, in one line that names field and remedy and never repeats content."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from pydantic import BaseModel, ValidationError

from schemas.exchange import Answer, Exchange, Guardrail, Message, Usage
from schemas.identity import Model

LONGEST: Final = 300

_RECORDS: Final[tuple[type[BaseModel], ...]] = (Exchange, Model, Message, Answer, Usage, Guardrail)
_KNOWN_NAMES: Final = frozenset(name for record in _RECORDS for name in record.model_fields)
_SHAPES: Final = {
    "id": "must be text of 1 to 512 characters; leave it out to have one made",
    "route": "must be 1-200 characters of [a-z0-9._/-], for example support-bot/prod",
    "conversation": "must be text",
    "user": "must be text (a pseudonym)",
    "model": 'must be an object with at least "requested"',
    "prompt": "must be text or a list of at least one {role, content}",
    "response": "must be text or an object {content, tool_calls, finish_reason, refusal, error}",
    "usage": "must be an object {input_tokens, output_tokens}",
    "latency_ms": "must be a number of at least 0, without quotes",
    "guardrails": "must be a list of {name, outcome}",
    "tags": "must be an object whose values are text, numbers, true, false or null",
    "extra": "must be an object",
    "schema_version": "must be 1, or left out",
    "content": "must be text or a list of parts {type, text}",
    "role": "must be text, for example user",
    "tool_calls": "must be a list",
    "input_tokens": "must be a whole number of at least 0, without quotes",
    "output_tokens": "must be a whole number of at least 0, without quotes",
    "outcome": "must be pass, modified or blocked",
}


class FormatError(ValueError):
    """A record that is no valid exchange; the message names field and remedy, never content."""


def own_fault(error: Exception) -> str:
    """The reason of a record over which a reader fell; `error`'s own words may quote content, and are left out."""
    return f"record: cannot be read ({type(error).__name__}); this is a fault of Keelwatch: report it with the format"


def violation_message(error: ValidationError, value: Mapping[str, Any]) -> str:
    """The first violation of the schema by `value`: path, what is wanted there, and how many more there are."""
    found: dict[str, str] = {}
    for item in error.errors(include_url=False, include_input=False):
        steps = _steps(item["loc"], value)
        found.setdefault(path_of(steps), _wanted(item["type"], steps, item["msg"]))
    _drop_outer(found)
    path, wanted = next(iter(found.items()))
    more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
    return shortened(f"{path}: {wanted}{more}")


def path_of(steps: Iterable[int | str]) -> str:
    """JSON path such as `prompt[0].content`; a name that the schema does not know may be personal: `*`."""
    path = ""
    for step in steps:
        if isinstance(step, int):
            path += f"[{step}]"
        else:
            name = step if step in _KNOWN_NAMES else "*"
            path += f".{name}" if path else name
    return path


def shortened(reason: str) -> str:
    """`reason` on one line, at most 300 characters."""
    line = " ".join(reason.split())
    return line if len(line) <= LONGEST else line[: LONGEST - 1] + "…"


def _drop_outer(found: dict[str, str]) -> None:
    """Of a union, the branch that fits best reports the inner path; the others' complaints about the outer go."""
    for outer in [path for path in found if any(_inside(other, path) for other in found)]:
        del found[outer]


def _inside(inner: str, outer: str) -> bool:
    return inner.startswith((f"{outer}.", f"{outer}["))


def _steps(loc: tuple[int | str, ...], value: Any) -> list[int | str]:
    """The steps of `loc` that lead through `value`: pydantic names the branch of a union as if it were a key."""
    steps: list[int | str] = []
    here = value
    for step in loc:
        if isinstance(step, int):
            steps.append(step)
            here = here[step] if isinstance(here, list | tuple) and step < len(here) else None
        elif isinstance(here, Mapping) and (step in here or step in _KNOWN_NAMES):
            steps.append(step)
            here = here.get(step)
    return steps


def _wanted(kind: str, steps: Sequence[int | str], message: str) -> str:
    if kind == "missing":
        return "is missing, and every exchange needs it"
    if kind == "value_error":
        return message.removeprefix("Value error, ")
    names = [step for step in steps if isinstance(step, str)]
    if names and names[0] == "tags":
        return _SHAPES["tags"]
    return _SHAPES.get(names[-1], "must be text") if names else "must be an object"
