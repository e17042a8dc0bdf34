"""Does the answer evade the question? See `Evasion`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from schemas.spec import Spec
from services.signals.heads.head import HeadInputs, Heads, probability_of
from services.signals.heads.multilingual import answer_kind
from services.signals.heads.reading import NOT_EMBEDDED, answer_inputs, is_english
from services.signals.heads.shipped import shipped, version_of
from services.signals.protocol import Measurement, ScoredText
from services.signals.refusal import Refusal


@dataclass(frozen=True, slots=True)
class Evasion:
    """Whether an answer neither refuses nor does what was asked.

    A head over words and windows of the answer, times the probability that it is no refusal. It knows platitudes,
    praise, questions in return and the like by their wording, not by holding them against the question, so an answer
    to another question is none to it. No recorded set labels evasion: the head learnt it from answers written for
    Keelwatch. Refit it (`keelwatch head fit`) before a floor is set. Card with figures: infra/models/evasion.md.
    """

    spec: ClassVar[Spec] = Spec(
        name="evasion",
        kind="signal",
        family="answers",
        title="Evasion",
        noun="rate of evasive answers",
        says="evades the question",
    )
    refusal: Refusal = field(default_factory=Refusal)
    own: Heads | None = None
    multilingual: bool = False
    version: str = ""

    def __post_init__(self) -> None:
        if not self.version:
            own = version_of("2", "evasion", self.own)
            object.__setattr__(self, "version", f"{own}, {self.refusal.version}")  # which names the tier

    def measure(self, text: ScoredText) -> Measurement:
        """Value true or false, and the probability; unscored where `refusal` is."""
        refused = self.refusal.measure(text)
        if refused.probability is None:
            return Measurement(None, reason=refused.reason)
        given = self.given(text)
        if given is None:
            return Measurement(False, 0.01)
        if not is_english(text.spoken or ""):
            return self._in_other_words(text)
        head = (self.own or shipped("evasion")).only
        odds = head.log_odds(given)
        if odds is None:
            return Measurement(None, reason=NOT_EMBEDDED)
        probability = round(probability_of(odds) * (1 - refused.probability), 4)
        return Measurement(probability >= head.threshold_for(given), probability)

    def _in_other_words(self, text: ScoredText) -> Measurement:
        """In another language than English, which the head never saw: what the multilingual tier says, if anything."""
        kind = answer_kind(text) if self.multilingual else None
        if kind is None:
            return Measurement(None, reason="not_english")
        return Measurement(kind.evasion >= 0.5, round(kind.evasion, 4))

    def given(self, text: ScoredText) -> HeadInputs | None:
        """What the head reads; None where nothing was said."""
        return answer_inputs(text) if (text.spoken or "").strip() else None
