"""Does the prompt ask for something harmful? See `HarmfulRequest`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from schemas.spec import Spec
from services.signals.heads.head import HeadInputs, Heads, probability_of
from services.signals.heads.reading import NOT_EMBEDDED, prompt_inputs
from services.signals.heads.shipped import shipped, version_of
from services.signals.protocol import Measurement, ScoredText


@dataclass(frozen=True, slots=True)
class HarmfulRequest:
    """Whether the last user message asks for something harmful, by its words and its window.

    It sees topic more than intent: a safe question in the words of a harmful one ("how do I kill a Python process")
    may count. Good for a rate of the route and for `harmful_compliance`, no verdict on a person. Card with figures:
    infra/models/harmful_request.md.
    """

    spec: ClassVar[Spec] = Spec(
        name="harmful_request",
        kind="signal",
        roles=("attack", "risk"),
        family="prompts",
        title="Harmful requests",
        noun="rate of harmful requests",
        says="answers a request that is harmful",
        of_prompt=True,
    )
    version: str = ""
    own: Heads | None = None

    def __post_init__(self) -> None:
        if not self.version:
            object.__setattr__(self, "version", version_of("1", "harmful_request", self.own))

    def measure(self, text: ScoredText) -> Measurement:
        """Value true or false, and the probability; unscored where nobody asked anything, or its head needs windows."""
        return text.once(f"harmful_request {self.version}", lambda: self._measured(text))

    def given(self, text: ScoredText) -> HeadInputs | None:
        """What the head reads; None where nobody asked anything."""
        return prompt_inputs(text) if text.prompt.strip() else None

    def _measured(self, text: ScoredText) -> Measurement:
        given = self.given(text)
        if given is None:
            return Measurement(None, reason="no_prompt")
        head = (self.own or shipped("harmful_request")).only
        odds = head.log_odds(given)
        if odds is None:
            return Measurement(None, reason=NOT_EMBEDDED)
        probability = probability_of(odds)
        return Measurement(probability >= head.threshold_for(given), probability)
