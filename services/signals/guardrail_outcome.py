"""What guardrails in front of the model reported. See `GuardrailBlocked` and `GuardrailModified`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final

from schemas.spec import Spec
from services.signals.protocol import Measurement, ScoredText, parts_of

NO_GUARDRAIL: Final = "no_guardrail"


@dataclass(frozen=True, slots=True)
class GuardrailBlocked:
    """Whether a guardrail reported `blocked` in the exchange's `guardrails`; of each guardrail, whether that one did.

    Read, not measured: what no guardrail reported is unscored. Card: infra/models/guardrail_blocked.md.
    """

    spec: ClassVar[Spec] = Spec(
        name="guardrail_blocked",
        kind="signal",
        dimension="guardrail",
        family="guardrails",
        title="Blocked by a guardrail",
        noun="rate of answers that a guardrail blocked",
        says="was blocked by a guardrail",
        unscored="no exchange carries outcomes of guardrails",
    )
    version: str = "1"

    def measure(self, text: ScoredText) -> Measurement:
        """Value true or false; unscored where no guardrail reported anything."""
        return _outcome(text, "blocked")


@dataclass(frozen=True, slots=True)
class GuardrailModified:
    """Whether a guardrail reported `modified` in the exchange's `guardrails`; of each guardrail, whether that one did.

    Read, not measured: what no guardrail reported is unscored. Card: infra/models/guardrail_modified.md.
    """

    spec: ClassVar[Spec] = Spec(
        name="guardrail_modified",
        kind="signal",
        dimension="guardrail",
        family="guardrails",
        title="Modified by a guardrail",
        noun="rate of answers that a guardrail modified",
        says="was modified by a guardrail",
        unscored="no exchange carries outcomes of guardrails",
    )
    version: str = "1"

    def measure(self, text: ScoredText) -> Measurement:
        """Value true or false; unscored where no guardrail reported anything."""
        return _outcome(text, "modified")


def _outcome(text: ScoredText, outcome: str) -> Measurement:
    reported = text.exchange.guardrails
    if not reported:
        return Measurement(None, reason=NO_GUARDRAIL)
    parts = parts_of((one.name, one.outcome == outcome) for one in reported)
    return Measurement(any(one.outcome == outcome for one in reported), parts=parts)
