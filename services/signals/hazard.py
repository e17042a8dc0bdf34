"""Of which hazard is the prompt? See `Hazard`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final

from schemas.spec import Spec
from services.signals.heads.head import Heads, probability_of
from services.signals.heads.reading import NOT_EMBEDDED, prompt_inputs
from services.signals.heads.shipped import shipped, version_of
from services.signals.protocol import Measurement, ScoredText

NO_HAZARD: Final = "none"


@dataclass(frozen=True, slots=True)
class Hazard:
    """The hazard of the last user message, by the short names of AILuminate; `none` below the heads' threshold.

    Names such as `vcr` (violent crimes), `ssh` (suicide and self-harm), `prv` (privacy) stand in the card. One head a
    hazard over words and window of the prompt; the likeliest counts. A slice, never a rate. Card with figures:
    infra/models/hazard.md.
    """

    spec: ClassVar[Spec] = Spec(
        name="hazard",
        kind="signal",
        family="prompts",
        title="Hazard",
        noun="hazard",
        says="was asked about which hazard",
        category=True,
    )
    version: str = ""
    own: Heads | None = None

    def __post_init__(self) -> None:
        if not self.version:
            object.__setattr__(self, "version", version_of("2", "hazard", self.own))

    def measure(self, text: ScoredText) -> Measurement:
        """A short name, and its probability; unscored where nobody asked anything, or heads need windows."""
        if not text.prompt.strip():
            return Measurement(None, reason="no_prompt")
        given, heads = prompt_inputs(text), (self.own or shipped("hazard")).by_label
        odds = {label: found for label, head in heads.items() if (found := head.log_odds(given)) is not None}
        if len(odds) < len(heads):
            return Measurement(None, reason=NOT_EMBEDDED)
        label = max(sorted(odds), key=odds.__getitem__)
        probability = probability_of(odds[label])
        if probability < heads[label].threshold_for(given):
            return Measurement(NO_HAZARD, round(1 - probability, 4))
        return Measurement(label, probability)
