"""Is the answer toxic? See `Toxicity`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final

from schemas.spec import Spec
from services.signals.heads.head import HeadInputs, Heads, probability_of
from services.signals.heads.reading import answer_inputs
from services.signals.heads.shipped import shipped, version_of
from services.signals.protocol import Measurement, ScoredText

_GENERAL: Final = "toxicity"


@dataclass(frozen=True, slots=True)
class Toxicity:
    """Whether the answer is toxic, and of which kind: `hate`, `insult`, `threat`, else `toxicity`, in `reason`.

    Heads over words and windows of opening and closing of the answer, fitted on what people wrote; what stands
    in the middle of a long answer is not read. No toxicity head transfers well: refit it with labels of the deployment
    before a floor is set. Card with figures: infra/models/toxicity.md.
    """

    spec: ClassVar[Spec] = Spec(
        name="toxicity",
        kind="signal",
        roles=("level",),
        family="answers",
        title="Toxicity",
        noun="rate of toxic answers",
        says="is toxic",
    )
    version: str = ""
    own: Heads | None = None

    def __post_init__(self) -> None:
        if not self.version:
            object.__setattr__(self, "version", version_of("1", "toxicity", self.own))

    def measure(self, text: ScoredText) -> Measurement:
        """Value true or false, the probability, and the kind as reason; unscored where nothing was said."""
        given, heads = self.given(text), (self.own or shipped("toxicity")).by_label
        if given is None:
            return Measurement(None, reason="no_response")
        general = heads.get(_GENERAL) or next(iter(heads.values()))
        probability = probability_of(general.log_odds(given))
        if probability < general.threshold:
            return Measurement(False, probability)
        kinds = {label: head.log_odds(given) for label, head in heads.items() if head is not general}
        kind = max(sorted(kinds), key=kinds.__getitem__, default=_GENERAL)
        return Measurement(True, probability, reason=kind if kinds.get(kind, 0.0) > 0 else _GENERAL)

    def given(self, text: ScoredText) -> HeadInputs | None:
        """What the heads read; None where nothing was said."""
        return answer_inputs(text) if (text.spoken or "").strip() else None
