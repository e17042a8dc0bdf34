"""One line of the bad-input corpus, and the valid exchange that the lines are made from."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from schemas.exchange import Exchange

TS: Final = "2026-11-24T18:00:00Z"
MIB: Final = 1024 * 1024
KEPT: Final = 256 * 1024
BAD: Final = "\N{REPLACEMENT CHARACTER}"

Check = Callable[[Exchange], bool]


@dataclass(frozen=True)
class Case:
    """One line. `flags` None: a dead letter whose reason has `reason`; else `holds` is true of the exchange."""

    name: str
    raw: bytes
    flags: tuple[str, ...] | None = None
    reason: str = ""
    holds: Check | None = None

    @property
    def scored(self) -> bool:
        return self.flags is not None


def exchange(name: str, /, **changes: Any) -> dict[str, Any]:
    """A valid exchange with every field, changed; a change to `...` removes the field."""
    value: dict[str, Any] = {
        "id": name,
        "ts": TS,
        "route": "support-bot/prod",
        "conversation": "c-17",
        "user": "u-4",
        "model": {"provider": "openai", "requested": "gpt-4", "served": "gpt-4-0613", "endpoint": "api.openai.com"},
        "prompt": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Where is my parcel?"}],
        "response": {"content": "On its way.", "tool_calls": None, "finish_reason": "stop"},
        "usage": {"input_tokens": 12, "output_tokens": 4},
        "latency_ms": 310,
        "guardrails": [{"name": "topic", "outcome": "pass"}],
        "tags": {"locale": "de"},
    }
    return {name: item for name, item in {**value, **changes}.items() if item is not ...}


def line(value: Any, ascii: bool = False) -> bytes:
    return json.dumps(value, ensure_ascii=ascii).encode("utf-8", "surrogatepass")


def changed(id: str, path: tuple[str | int, ...], value: Any) -> bytes:
    """The valid exchange with `value` at `path` (`...` removes it)."""
    whole = exchange(id)
    here: Any = whole
    for step in path[:-1]:
        here = here[step]
    if value is ...:
        del here[path[-1]]
    else:
        here[path[-1]] = value
    return line(whole)


def dotted(path: tuple[str | int, ...]) -> str:
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text


WHOLE: Final = line(exchange("whole"))
"""A valid line."""
