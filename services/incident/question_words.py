"""Which words mark the questions that are asked now, against those of before. Pure; of redacted texts alone.

The log-odds ratio of each word with an informative Dirichlet prior, in standard errors: Monroe, Colaresi and Quinn,
"Fightin' Words" (2008), eqs. 16, 20 and 22. A word counts once a question: a text that repeats it marks nothing.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable
from typing import Final

MOST_WORDS: Final = 5
LEAST_TEXTS: Final = 5
LEAST_QUESTIONS: Final = 3
"""Questions that must hold a word before it can mark them."""
LEAST_SCORE: Final = 1.96
_PRIOR: Final = 50.0
_MASK: Final = re.compile(r"<[a-z_:0-9]{1,80}>")
_WORD: Final = re.compile(r"[^\W\d_][^\W\d_'’-]{2,29}")
_CHARACTERS: Final = 4_000


def marking_words(before: Iterable[str], now: Iterable[str]) -> tuple[str, ...]:
    """The words that mark `now` most, the strongest first; none where there are too few texts to tell.

    >>> marking_words(["where is my parcel"] * 20, ["how do I pick a lock"] * 20)
    ('how', 'lock', 'pick')
    """
    old, new = [_words(text) for text in before], [_words(text) for text in now]
    if min(len(old), len(new)) < LEAST_TEXTS:
        return ()
    was, is_ = Counter(word for some in old for word in some), Counter(word for some in new for word in some)
    n_was, n_is = sum(was.values()), sum(is_.values())
    prior, total = was + is_, n_was + n_is
    scores: dict[str, float] = {}
    for word, count in is_.items():
        if count < LEAST_QUESTIONS:
            continue
        weight = _PRIOR * prior[word] / total
        now_odds = math.log((count + weight) / (n_is + _PRIOR - count - weight))
        old_odds = math.log((was[word] + weight) / (n_was + _PRIOR - was[word] - weight))
        scores[word] = (now_odds - old_odds) / math.sqrt(1 / (count + weight) + 1 / (was[word] + weight))
    told = [word for word, score in scores.items() if score >= LEAST_SCORE]
    return tuple(sorted(told, key=lambda word: (-scores[word], word))[:MOST_WORDS])


def _words(text: str) -> set[str]:
    """The words of a question, without what stands for masked values."""
    return set(_WORD.findall(_MASK.sub(" ", text[:_CHARACTERS]).casefold()))
