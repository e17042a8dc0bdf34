"""Style features of an answer without its reasoning: how it is written, not what it says."""

from __future__ import annotations

import re
from math import log1p
from typing import Final

import numpy as np
from numpy.typing import NDArray

from schemas.style import STYLE_FEATURES

STYLE_VERSION: Final = "style-2"
STYLE_NAMES: Final[tuple[str, ...]] = tuple(feature.name for feature in STYLE_FEATURES)
HEAD: Final = 16_384  # characters that are read; the length counts them all
LINES: Final = 512  # lines whose first characters are looked at

_REFUSALS: Final = (
    "i cannot ",
    "i can't ",
    "i am unable",
    "i'm unable",
    "i am not able",
    "i'm not able",
    "i won't",
    "as an ai",
    "not appropriate",
    "against my",
    "i must decline",
)
_HEDGES: Final = (
    " may ",
    " might ",
    " could ",
    "perhaps",
    "possibly",
    "generally",
    "it's important",
    "it is important",
)
_CONTRASTS: Final = ("however", "although", " but ", "on the other hand", "instead")
_FIRST: Final = (" i ", " i'", " my ", " me ")
_SECOND: Final = (" you ", " you'", " your ")
_APOLOGIES: Final = ("i'm sorry", "i am sorry", "sorry", "i apologize", "apologies", "unfortunately")
_BULLETS: Final = ("- ", "* ", "• ", "+ ")
_OPTION: Final = re.compile(r"\s*\(?[A-H]\)?(?:[.:)]|\s*$)")
_NUMBER: Final = re.compile(r"\d{1,3}[.)]\s")


def style_features(text: str) -> NDArray[np.float64]:
    """How a response is written: (30,) values in the order of `STYLE_NAMES`, all finite and within [0, 30].

    Counts and lengths are log(1 + x), punctuation is log(1 + x) per 100 words or a share, yes-or-no is 0 or 1, so
    that float16 keeps them. Only the first 16,384 characters are read, for a bounded time; `log_chars` counts
    all.

    >>> float(style_features("(A). Very optimistic")[STYLE_NAMES.index("option_letter")])
    1.0
    """
    head = text[:HEAD]
    lower = f" {head.lower()} ".replace("\u2019", "'").replace("\n", " ")
    raw = np.frombuffer(head.encode("utf-8", "replace"), dtype=np.uint8)
    kinds: list[int] = np.bincount(raw, minlength=256).tolist()
    lines = [line.lstrip() for line in head.split("\n", LINES)[:LINES] if line and not line.isspace()]
    words = max(lower.count(" ") - lower.count("  ") - 1, 0)
    values = (*_lengths(len(text), kinds, len(lines), words), *_phrases(lower), *_layout(head, lines))
    return np.array((*values, *_marks(head, kinds, words), *_edges(head, lower)), dtype=np.float64)


def _lengths(chars: int, kinds: list[int], lines: int, words: int) -> tuple[float, ...]:
    """Lengths, and shares of kinds of characters; `kinds` counts the bytes of the part that was read."""
    size, capitals = max(sum(kinds), 1), sum(kinds[65:91])
    letters = capitals + sum(kinds[97:123])
    sentences = kinds[33] + kinds[46] + kinds[63]  # ! . ?
    return (
        log1p(chars),
        log1p(words),
        min(letters / max(words, 1), 30.0),
        log1p(words / max(sentences, 1)),
        log1p(size / max(lines, 1)),
        capitals / max(letters, 1),
        sum(kinds[48:58]) / size,
        sum(kinds[128:]) / size,
    )


def _phrases(lower: str) -> list[float]:
    """How often phrases of each kind occur in lower-case text."""
    kinds = (_REFUSALS, _HEDGES, _CONTRASTS, _FIRST, _SECOND)
    return [log1p(sum(map(lower.count, kind))) for kind in kinds]


def _layout(head: str, lines: list[str]) -> list[float]:
    """Marks of Markdown, counted by line where they are."""
    starts = [line[:5] for line in lines]
    bullets = sum(start.startswith(_BULLETS) for start in starts)
    numbered = sum(start[:1].isdigit() and _NUMBER.match(start) is not None for start in starts)
    headings = sum(start.startswith("#") for start in starts)
    counts = (bullets, numbered, head.count("**") / 2, headings, head.count("```") / 2)
    return [log1p(count) for count in counts]


def _marks(head: str, kinds: list[int], words: int) -> list[float]:
    """Punctuation per 100 words."""
    per = 100 / max(words, 10)
    dashes = kinds[ord(";")] + head.count(" - ") + head.count("\u2014") + head.count("\u2013")
    quotes = kinds[ord('"')] + head.count("\u201c") + head.count("\u201d")
    counts = (*(kinds[ord(mark)] for mark in "?!,.:"), dashes, kinds[ord("(")], quotes)
    return [log1p(count * per) for count in counts]


def _edges(head: str, lower: str) -> tuple[float, ...]:
    """How the text opens and how the part that was read ends."""
    end = head[-64:].rstrip()[-1:]
    opening = lower[:64].lstrip()
    return (
        float(_OPTION.match(head[:64]) is not None),
        float(opening.startswith(_APOLOGIES)),
        float(end in (".", "!", '"')),
        float(end == "?"),
    )
