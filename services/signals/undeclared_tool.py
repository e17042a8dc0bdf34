"""Does the answer call a tool that was not declared to the model? See `UndeclaredTool`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from schemas.spec import Spec
from services.signals.protocol import Measurement, ScoredText, parts_of
from services.signals.tool_calls import NO_TOOL_CALL, recent_calls


@dataclass(frozen=True, slots=True)
class UndeclaredTool:
    """Whether a call of this turn names a tool that is not among `tools`, letter by letter.

    A model that calls what nobody declared makes it up, or follows instructions that came from elsewhere. A call
    without a name counts, since nobody declared it. Unscored without a call, and where no tools are sent.

    Exact by construction, given that `tools` is complete. Card: infra/models/undeclared_tool.md.
    """

    spec: ClassVar[Spec] = Spec(
        name="undeclared_tool",
        kind="signal",
        dimension="tool",
        family="agents",
        title="Undeclared tools",
        noun="rate of calls of undeclared tools",
        says="calls a tool that was not declared",
        unscored="no exchange calls a tool and says which were declared",
        worse="up",
    )
    version: str = "1"

    def measure(self, text: ScoredText) -> Measurement:
        """Value true or false, and the same of each tool that was called."""
        calls, declared = recent_calls(text), {tool.name for tool in text.exchange.tools}
        if not calls:
            return Measurement(None, reason=NO_TOOL_CALL)
        if not declared:
            return Measurement(None, reason="no_tools_declared")
        parts = parts_of((call.label, call.name not in declared) for call in calls)
        return Measurement(any(parts.values()), parts=parts)
