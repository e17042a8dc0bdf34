"""Is the answer written in capitals? See `AllCaps`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from schemas.spec import Spec
from services.signals.protocol import Measurement, ScoredText


@dataclass(frozen=True, slots=True)
class AllCaps:
    """Whether every letter of the answer is a capital. Card: infra/models/all_caps.md."""

    spec: ClassVar[Spec] = Spec(
        name="all_caps",
        kind="signal",
        family="answers",
        title="Shouted answers",
        noun="share of shouted answers",
        says="is written in capitals",
        floor=0.02,
        worse="up",
    )
    version: str = "1"

    def measure(self, text: ScoredText) -> Measurement:
        """Value true or false; unscored where there is no letter."""
        if text.response.upper() == text.response.lower():
            return Measurement(None, reason="no_letters")
        return Measurement(text.response.isupper())
