"""Is the same tool called with the same arguments over and over? See `ToolLoop`."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import ClassVar, Final

from schemas.spec import Spec
from services.signals.protocol import Measurement, ScoredText, parts_of
from services.signals.tool_calls import NO_TOOL_CALL, calls_of

REPEATS: Final = 3
"""The same call so many times is a loop."""


@dataclass(frozen=True, slots=True)
class ToolLoop:
    """Whether one call, of the same name and the same arguments, stands 3 times or more in messages and answer.

    Arguments are compared as JSON, whatever the order of their names and whether they came as text. A tool that is
    asked on purpose again and again (a status) counts as well: the rate's change says what is new.

    Exact by construction. Card with limits: infra/models/tool_loop.md.
    """

    spec: ClassVar[Spec] = Spec(
        name="tool_loop",
        kind="signal",
        dimension="tool",
        family="agents",
        title="Tool loops",
        noun="rate of repeated tool calls",
        says="repeats the same tool call",
        unscored="no exchange calls a tool",
        worse="up",
    )
    version: str = "1"

    def measure(self, text: ScoredText) -> Measurement:
        """Value true or false, and the same of each tool that was called."""
        calls = calls_of(text)
        if not calls:
            return Measurement(None, reason=NO_TOOL_CALL)
        keys = [call.key for call in calls]
        times = Counter(keys)
        parts = parts_of((call.label, times[key] >= REPEATS) for call, key in zip(calls, keys, strict=True))
        return Measurement(any(parts.values()), parts=parts)
