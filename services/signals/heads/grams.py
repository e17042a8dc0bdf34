"""Word 1- to 3-grams of a text, hashed into buckets. Pure; linear in what it reads.

Of its opening and its closing, told apart, of a longer opening alone, or of that and the closing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, repeat
from typing import Final
from zlib import crc32

OPENING_WORDS: Final = 60
CLOSING_WORDS: Final = 60
LONG_OPENING_WORDS: Final = 200
_REACH: Final = 1200
"""Characters of either end that are read at all: sixty words of any ordinary text, whatever its length."""
_LONG_REACH: Final = 4000
_TOKEN: Final = re.compile(r"\w+|[^\w\s]")
_LONGEST: Final = 24
_MARKS: Final = (b"<", b">")
_JOIN: Final = b" "
_PLAIN: Final = str.maketrans({"\u2019": "'", "\u2018": "'", "\u02bc": "'", "\u201c": '"', "\u201d": '"'})


def opening_of(text: str) -> list[str]:
    """The first 60 tokens (words, and single punctuation marks) of a text, in lower case, straight quotes."""
    return _ends(text)[0]


def closing_of(text: str) -> list[str]:
    """The last 60 tokens of a text that goes on after its opening; none of a shorter one."""
    return _ends(text)[1]


def _ends(text: str) -> tuple[list[str], list[str]]:
    first = _tokens(text[:_REACH])
    last = first[OPENING_WORDS:] if len(text) <= _REACH else _tokens(text[-_REACH:])
    return first[:OPENING_WORDS], last[-CLOSING_WORDS:]


def _tokens(text: str) -> list[str]:
    lower = text.lower()
    return _TOKEN.findall(lower if lower.isascii() else lower.translate(_PLAIN))


def buckets_of(text: str, buckets: int) -> list[int]:
    """Distinct buckets, in order, of the 1- to 3-grams of both ends of a text; the ends are told apart.

    >>> len(buckets_of("I cannot help", 1 << 17))  # three words, two pairs, one triple
    6
    """
    return _distinct(chain.from_iterable(map(_hashed, _MARKS, _ends(text))), buckets)


def opening_buckets(text: str, buckets: int) -> list[int]:
    """Distinct buckets, in order, of the 1- to 3-grams of the first 200 tokens of a text.

    >>> opening_buckets("I cannot help", 1 << 17) == buckets_of("I cannot help", 1 << 17)
    True
    """
    tokens = _tokens(text[:_LONG_REACH])[:LONG_OPENING_WORDS]
    return _distinct(_hashed(_MARKS[0], tokens), buckets)


def long_buckets(text: str, buckets: int) -> list[int]:
    """Distinct buckets, in order, of the 1- to 3-grams of the first 200 tokens of a text and of the last 60 after them.

    >>> long_buckets("I cannot help", 1 << 17) == buckets_of("I cannot help", 1 << 17)
    True
    """
    first = _tokens(text[:_LONG_REACH])
    closing = first[LONG_OPENING_WORDS:] if len(text) <= _LONG_REACH else _tokens(text[-_REACH:])
    ends = _hashed(_MARKS[0], first[:LONG_OPENING_WORDS]), _hashed(_MARKS[1], closing[-CLOSING_WORDS:])
    return _distinct(chain(*ends), buckets)


def _hashed(mark: bytes, tokens: Sequence[str]) -> Iterator[int]:
    """CRC-32 of each word, pair and triple: that of a pair goes on where that of its first word ended."""
    words = [token[:_LONGEST].encode("utf-8", "replace") for token in tokens]
    joined = [_JOIN + word for word in words]
    one = list(map(crc32, words, repeat(crc32(mark))))
    two = list(map(crc32, joined[1:], one))
    return chain(one, two, map(crc32, joined[2:], two))


def _distinct(hashed: Iterable[int], buckets: int) -> list[int]:
    return sorted({value % buckets for value in hashed})
