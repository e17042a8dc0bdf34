"""What of a text an embedder reads, and in which fixed shapes texts run together.

A row's bits never depend on its neighbours.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Final

# 128 tokens of ordinary text are 600 characters; more than this is white space or words that no tokenizer knows.
MAX_CHARACTERS: Final = 16_384
_SURROGATES: Final = re.compile("[\ud800-\udfff]")


def readable(text: str) -> str:
    r"""The first 16,384 characters, lone surrogates as U+FFFD: a huge or hostile text costs no more than a long one.

    >>> readable("a\ud800b")
    'a\ufffdb'
    """
    return _SURROGATES.sub("\ufffd", text[:MAX_CHARACTERS])


MAX_TOKENS: Final = 128
LENGTHS: Final = (16, 32, 48, 64, 96, MAX_TOKENS)


def batches(token_counts: Sequence[int], rows: int) -> Iterator[tuple[int, list[int]]]:
    """The shape's length, and the places of at most `rows` texts that fit it.

    A text's length alone decides its shape. Texts have at most 128 tokens.

    >>> list(batches([3, 128, 16, 17], rows=2))
    [(16, [0, 2]), (128, [1]), (32, [3])]
    """
    by_length: dict[int, list[int]] = defaultdict(list)
    for place, count in enumerate(token_counts):
        by_length[LENGTHS[bisect_left(LENGTHS, count)]].append(place)
    for length, places in by_length.items():
        for start in range(0, len(places), rows):
            yield length, places[start : start + rows]
