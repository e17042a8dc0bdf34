"""What heads read of an exchange, made once however many heads ask. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from services.signals.heads.grams import buckets_of, long_buckets, opening_buckets
from services.signals.heads.head import HeadInputs
from services.signals.protocol import ScoredText

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

BUCKETS: Final = 1 << 17
"""Into so many buckets n-grams are hashed; heads of another width would hash every text again."""
NOT_EMBEDDED: Final = "not_embedded"
"""Why a signal is unscored whose head needs windows, of an exchange that was not embedded (`embed_share`)."""
NOTHING_SAID: Final[Mapping[str, float]] = {}
_FUNCTION_WORDS: Final = frozenset(
    [
        "about",
        "also",
        "and",
        "any",
        "are",
        "aren't",
        "be",
        "because",
        "been",
        "being",
        "but",
        "by",
        "can",
        "cannot",
        "can't",
        "could",
        "did",
        "does",
        "doesn't",
        "doing",
        "don't",
        "for",
        "from",
        "has",
        "have",
        "having",
        "how",
        "i",
        "i'd",
        "i'll",
        "i'm",
        "i've",
        "if",
        "into",
        "isn't",
        "it",
        "it's",
        "its",
        "just",
        "may",
        "might",
        "must",
        "my",
        "not",
        "one",
        "our",
        "out",
        "should",
        "some",
        "such",
        "than",
        "that",
        "that's",
        "the",
        "their",
        "them",
        "then",
        "there",
        "these",
        "they",
        "this",
        "those",
        "to",
        "up",
        "us",
        "want",
        "were",
        "what",
        "when",
        "where",
        "which",
        "who",
        "why",
        "with",
        "would",
        "you",
        "your",
    ]
)
"""English words that are none of another widespread language (`in`, `no`, `me`, `was` are)."""
_ENGLISH: Final = 0.15
_FEW_WORDS: Final = 4


def answer_inputs(text: ScoredText, said: Mapping[str, float] = NOTHING_SAID) -> HeadInputs:
    """Of the answer without its reasoning: n-grams, opening and closing window."""
    windows = text.windows
    seen = None if windows.opening is None else (windows.opening, windows.closing)
    return HeadInputs(text.once("heads.answer", lambda: _buckets(text.spoken or "")), seen, said)


def voice_inputs(text: ScoredText, voice: str, said: Mapping[str, float] = NOTHING_SAID) -> HeadInputs:
    """Of an answer, of which `voice` counts: n-grams of its long opening; the windows of the whole answer."""
    import numpy as np  # noqa: PLC0415 -- whoever only asks for a signal's spec needs none

    windows = text.windows
    seen = None if windows.opening is None else (windows.opening, windows.closing)
    return HeadInputs(np.array(opening_buckets(voice, BUCKETS), dtype=np.int64), seen, said)


def prompt_inputs(text: ScoredText, said: Mapping[str, float] = NOTHING_SAID) -> HeadInputs:
    """Of the last user message: n-grams, and the window of its opening."""
    return HeadInputs(text.once("heads.prompt", lambda: _buckets(text.prompt)), _prompt_window(text), said)


def long_prompt_inputs(text: ScoredText, said: Mapping[str, float] = NOTHING_SAID) -> HeadInputs:
    """Of the last user message: n-grams of its long opening and its closing, and the window of its opening."""
    import numpy as np  # noqa: PLC0415 -- whoever only asks for a signal's spec needs none

    return HeadInputs(np.array(long_buckets(text.prompt, BUCKETS), dtype=np.int64), _prompt_window(text), said)


def _prompt_window(text: ScoredText) -> tuple[NDArray[np.float16] | None, ...] | None:
    return None if text.windows.prompt is None else (text.windows.prompt,)


def _buckets(text: str) -> NDArray[np.int64]:
    import numpy as np  # noqa: PLC0415 -- whoever only asks for a signal's spec needs none

    return np.array(buckets_of(text, BUCKETS), dtype=np.int64)


def is_english(text: str) -> bool:
    """Whether the opening of a text is in the words that shipped heads were fitted on, told by its small words.

    A few words, or none, are taken for English when they are ASCII: too short to tell.
    """
    words = text[:600].lower().translate(_APOSTROPHES).split()[:60]
    if len(words) <= _FEW_WORDS:
        return text.isascii()
    small = sum(word.strip(_MARKS) in _FUNCTION_WORDS for word in words)
    return small >= _ENGLISH * len(words)


_APOSTROPHES: Final = {0x2019: "'", 0x2018: "'"}
_MARKS: Final = ".,;:!?\"'()[]*_`"
