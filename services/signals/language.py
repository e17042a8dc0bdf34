"""In which language is the answer? See `Language`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from schemas.spec import Spec
from services.signals.protocol import Measurement, ScoredText
from services.signals.spoken_language import language_of


@dataclass(frozen=True, slots=True)
class Language:
    """The language of the answer, as BCP 47 names it: a slice (`language=de`), never a rate.

    Where the answer is too short, is code or was cut inside its reasoning, the language of the last user message.
    Unscored where neither is known: `language_not_known`.

    CLD2's tables. Card with figures and limits: infra/models/language.md.
    """

    spec: ClassVar[Spec] = Spec(
        name="language",
        kind="signal",
        category=True,
        family="languages",
        title="Language",
        noun="language",
        says="is in which language",
        unscored="no answer is long enough to say in which language it is",
    )
    version: str = "1"

    def measure(self, text: ScoredText) -> Measurement:
        """A tag such as `de` or `zh-Hant`; unscored where it is not known."""
        found = language_of(text.spoken or "") or language_of(text.prompt)
        return Measurement(found, reason=None if found else "language_not_known")
