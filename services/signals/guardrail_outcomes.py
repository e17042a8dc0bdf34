"""What guardrails in front of the model reported of an exchange: read once for the signals that ask. Pure."""

from __future__ import annotations

from typing import Final, Literal

from services.signals.protocol import Measurement, ScoredText, parts_of

NO_GUARDRAIL: Final = "no_guardrail"


def outcome(text: ScoredText, asked: Literal["modified", "blocked"]) -> Measurement:
    """Whether any guardrail reported this outcome, and which; unscored where none reported anything."""
    reported = text.exchange.guardrails
    if not reported:
        return Measurement(None, reason=NO_GUARDRAIL)
    parts = parts_of((one.name, one.outcome == asked) for one in reported)
    return Measurement(any(parts.values()), parts=parts)
