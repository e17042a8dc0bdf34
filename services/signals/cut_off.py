"""Did the provider stop the answer for its length? See `CutOff`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from schemas.spec import Spec
from services.signals.protocol import Measurement, ScoredText
from services.signals.stop_reasons import says_why, stop_of


@dataclass(frozen=True, slots=True)
class CutOff:
    """Whether the provider says that the answer ended at a limit: of tokens asked for, or of the context window.

    After the table of stop reasons that refusals are read by. Unscored where the provider gave no reason at all: an
    answer without one may be whole or not.

    Read, not measured. Card with limits: infra/models/cut_off.md.
    """

    spec: ClassVar[Spec] = Spec(
        name="cut_off",
        kind="signal",
        family="answers",
        title="Cut-off answers",
        noun="rate of answers cut for length",
        says="was stopped for its length",
        unscored="no exchange says why its answer ended",
    )
    version: str = "1"

    def measure(self, text: ScoredText) -> Measurement:
        """Value true or false; unscored without a stop reason."""
        meaning = stop_of(text.answer)
        if meaning == "length":
            return Measurement(True, 1.0)
        if meaning == "ordinary" and not says_why(text.answer):
            return Measurement(None, reason="no_stop_reason")
        return Measurement(False, 0.0)
