"""Which texts of an exchange are embedded: what detectors compare, and the windows that heads read. Pure."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.signals.protocol import ScoredText, Windows

FIRST_WINDOW: Final = 640
"""Characters of ordinary text that an embedder's 128 tokens hold: a longer answer has a closing window of its own."""
CLOSING: Final = 480
MULTILINGUAL_CHARACTERS: Final = 240
"""Of an answer's beginning that the multilingual tier reads: it says what the answer does, and more dilutes it."""
_LONGEST_WORD: Final = 40


class WindowTexts(NamedTuple):
    """The texts; None where there is none.

    `opening` is the answer without its reasoning, most often the `response` itself.
    """

    prompt: str | None = None
    response: str | None = None
    opening: str | None = None
    closing: str | None = None


NO_TEXTS: Final = WindowTexts()


class ExchangeVectors(NamedTuple):
    """(384,) vectors of the texts of `WindowTexts`."""

    prompt: NDArray[np.float16] | None = None
    response: NDArray[np.float16] | None = None
    opening: NDArray[np.float16] | None = None
    closing: NDArray[np.float16] | None = None

    @property
    def windows(self) -> Windows:
        """Those that heads read."""
        return Windows(self.prompt, self.opening, self.closing)


def texts_of(text: ScoredText, answered: bool) -> WindowTexts:
    """What is embedded of an exchange."""
    if not answered:
        return WindowTexts(text.prompt)
    spoken = text.spoken
    return WindowTexts(text.prompt, text.response, spoken, None if spoken is None else closing_of(spoken))


def closing_of(spoken: str) -> str | None:
    """The last 480 characters of an answer, from the start of a word; None when the first window holds all of it."""
    if len(spoken) <= FIRST_WINDOW:
        return None
    closing = spoken[-CLOSING:]
    start = closing.find(" ", 0, _LONGEST_WORD)
    return closing[start + 1 :]
