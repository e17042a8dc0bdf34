"""Did a guardrail report that it modified something? See `GuardrailModified`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from schemas.spec import Spec
from services.signals.guardrail_outcomes import outcome
from services.signals.protocol import Measurement, ScoredText


@dataclass(frozen=True, slots=True)
class GuardrailModified:
    """Whether a guardrail reported `modified` in the exchange's `guardrails`; of each guardrail, whether that one did.

    Read, not measured: where no guardrail reported anything it is unscored, which is not the same as "let through".
    Card: infra/models/guardrail_modified.md.
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
        """Value true or false, and the same of each guardrail that reported."""
        return outcome(text, "modified")
