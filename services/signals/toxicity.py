"""Is the answer toxic? See `Toxicity`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final

from schemas.spec import Spec
from services.signals.heads.head import HeadInputs, Heads, probability_of
from services.signals.heads.reading import answer_inputs
from services.signals.heads.shipped import shipped, version_of
from services.signals.protocol import Measurement, ScoredText
from services.signals.toxic_wordings import kind_of, toxic_log_odds

_GENERAL: Final = "toxicity"


@dataclass(frozen=True, slots=True)
class Toxicity:
    """Whether the answer is toxic, and of which kind: `hate`, `insult`, `threat`, else `toxicity`, in `reason`.

    Wordings of the first 16 Ki characters, and heads over words and windows of opening and closing of the answer,
    fitted on what people wrote. No toxicity head transfers well: refit it with labels of the deployment before a floor
    is set. An answer that was not embedded is judged by wordings and words.
    Card with figures: infra/models/toxicity.md.
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
            object.__setattr__(self, "version", version_of("2", "toxicity", self.own))

    def measure(self, text: ScoredText) -> Measurement:
        """Value true or false, the probability, and the kind as reason; unscored where nothing was said."""
        given, heads = self.given(text), self.own or shipped("toxicity")
        if given is None:
            return Measurement(None, reason="no_response")
        general = heads.only
        odds = general.log_odds(given)
        probability = probability_of(given.said["rules"] if odds is None else odds)
        if probability < (0.5 if odds is None else general.threshold_for(given)):
            return Measurement(False, probability)
        found = {label: head.log_odds(given) for label, head in heads.by_label.items() if head is not general}
        kinds = {label: kind for label, kind in found.items() if kind is not None}
        likeliest = max(sorted(kinds), key=kinds.__getitem__, default=_GENERAL)
        if kinds.get(likeliest, 0.0) > 0:
            return Measurement(True, probability, reason=likeliest)
        return Measurement(True, probability, reason=kind_of(text.spoken or "") or _GENERAL)

    def given(self, text: ScoredText) -> HeadInputs | None:
        """What the heads read; None where nothing was said."""
        spoken = text.spoken or ""
        return answer_inputs(text, {"rules": toxic_log_odds(spoken)}) if spoken.strip() else None
