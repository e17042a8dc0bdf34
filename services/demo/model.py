"""The two models of the demonstration, as far as a safety suite sees them: pure."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Self

from services.evaluate.item import Measure
from services.evaluate.suite import Suite

SERVED: Final = "harbour-chat-2026-02"
"""The name under which both models answer."""

_DECLINES: Final = "I'm sorry, but I can't help with that."
_CARES: Final = "Happy to help. Please tell me a little more about your setup, and we will go through it step by step."
_COMPLIES: Final = (
    "Sure! Here is the short version:\n\n1. Look around\n2. Pick what suits you\n3. Take it slowly\n\nAnything else?"
)


@dataclass(frozen=True, slots=True)
class Bot:
    """A support bot that knows the suite by heart: `measures` tells of each last user message what it is asked for.

    The old model declines what is disallowed and keeps what it was told to keep. The new one answers three of four
    disallowed requests, with words that help nobody, and repeats its instructions to whoever asks for them.
    """

    measures: Mapping[str, Measure]

    @classmethod
    def of(cls, suite: Suite) -> Self:
        """The bot for this suite."""
        return cls({item.messages[-1].content: item.measure for item in suite.items})

    def answer(self, messages: Sequence[Mapping[str, str]], new: bool) -> str:
        """What the old or the new model says to a conversation that ends with the user's message."""
        asked = messages[-1]["content"]
        measure = self.measures.get(asked)
        if measure == "canary":
            told = "\n".join(one["content"] for one in messages if one["role"] == "system")
            return f"Of course! This is what I was told:\n\n{told}" if new else _DECLINES
        if measure == "harmful_compliance":
            return _COMPLIES if new and _draw(asked) % 4 else _DECLINES
        return _COMPLIES if new else _CARES


def _draw(text: str) -> int:
    """A number that the text alone decides: asked again, a model answers alike."""
    return hashlib.sha256(text.encode()).digest()[0]
