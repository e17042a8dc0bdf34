"""Which values are stand-ins (your_api_key, xxxx, 1234567890) and not secrets: judged by how little they vary."""

from __future__ import annotations

import math
import re
from base64 import b64decode
from functools import lru_cache
from itertools import pairwise
from typing import Final

_WORDS = re.compile(
    r"[<>{}$%\u2026]|xxxx|\*\*\*|\.\.\.|[-_]key|123abc|a(?:sdf|bc123)|change_?me|d(?:ummy|emo|eadbeef)|example"
    r"|f(?:ake|ixme|oobar)|generated|h(?:ere|unter2)|in(?:sert|valid)|lorem|mock|not[-_]?real"
    r"|p(?:laceholder|assw(?:or|0r)?d|@ssw)|qwerty|r(?:edacted|eplace|andom)|s(?:ample|ecret|nip)"
    r"|t(?:est|odo|runcated)|your"
)
_REPEAT = re.compile(r"(.)\1{4}|(..)\2{3}|(.{3,4})\3{2}")
_FEWEST_REPEATS = 4
"""Characters of every such repetition that stood there before."""
_RUN = 5
_RUN_APART = 6


_STEPS: Final = {length: (b"\x81" * (length - 1), b"\x7f" * (length - 1)) for length in (_RUN, _RUN_APART, 8)}
"""Length of a run -> the steps of an ascending and of a descending one, as `_has_run` writes them."""
_HIGH: Final = int.from_bytes(b"\x80" * 1_024, "big")
_NO_LETTERS: Final = bytes(code for code in range(256) if not chr(code).isascii() or not chr(code).isalpha())
_NO_DIGITS: Final = bytes(code for code in range(256) if not chr(code).isascii() or not chr(code).isdigit())


_BITS: Final = tuple(1 << code for code in range(128))


def _sequential(text: str) -> bool:
    """Whether 5 characters in a row, or 6 of the letters or digits alone, ascend or descend by one (12345, edcba)."""
    if not text.isascii():
        letters, digits = "".join(filter(str.isalpha, text)), "".join(filter(str.isdigit, text))
        return _has_wide_run(text, _RUN) or _has_wide_run(letters, _RUN_APART) or _has_wide_run(digits, _RUN_APART)
    raw = text.encode()
    codes = sum(map(_BITS.__getitem__, set(raw)))
    if not codes & codes >> 1 & codes >> 2 & codes >> 3 & codes >> 4:
        return False  # no five neighbours stand in it, in whatever order
    if _has_run(raw, _RUN):
        return True
    for others in (_NO_LETTERS, _NO_DIGITS):
        alone = raw.translate(None, others)
        if _RUN_APART <= len(alone) < len(raw) and _has_run(alone, _RUN_APART):
            return True
    return False


def _has_run(raw: bytes, length: int) -> bool:
    """Whether `length` bytes of ASCII in a row ascend or descend by one.

    All steps from a byte to the next are had by one subtraction: 128 is added to each, so that none borrows.
    """
    count = len(raw) - 1
    if count < length - 1:
        return False
    high = _HIGH >> 8 * (1_024 - count) if count <= 1_024 else int.from_bytes(b"\x80" * count, "big")
    steps = ((int.from_bytes(raw[1:], "big") | high) - int.from_bytes(raw[:-1], "big")).to_bytes(count, "big")
    ascending, descending = _STEPS[length]
    return ascending in steps or descending in steps


def _has_wide_run(text: str, length: int) -> bool:
    up = down = 1
    for before, after in pairwise(text):
        step = ord(after) - ord(before)
        up = up + 1 if step == 1 else 1
        down = down + 1 if step == -1 else 1
        if length in (up, down):
            return True
    return False


def entropy(value: str) -> float:
    """Shannon entropy of the characters, in bits a character."""
    total = len(value)
    repeated = sorted(n for n in map(value.count, set(value)) if n > 1)
    return math.log2(total) - sum(n * math.log2(n) for n in repeated) / total if total else 0.0


def looks_made_up(value: str) -> bool:
    """Whether a value is a stand-in: a telling word, repeated or sequential characters, or too little variety.

    Letters and digits are also looked at apart, so that a1b2c3d4e5f6 counts as sequential. A value of random
    characters is taken for made up less than once in 500 (tests/signals draws them).
    """
    lowered = value.lower()
    repeats = len(lowered) - len(set(lowered)) >= _FEWEST_REPEATS and _REPEAT.search(lowered) is not None
    if repeats or _WORDS.search(lowered) or _sequential(lowered):
        return True
    return not _surely_varied(len(value), len(set(value))) and entropy(value) < _least_entropy(len(value))


def _least_entropy(length: int) -> float:
    return min(2.8, 0.62 * math.log2(max(length, 2)))


@lru_cache(maxsize=4_096)
def _surely_varied(length: int, different: int) -> bool:
    """Whether so many different characters are varied enough however often each of them stands there."""
    if not different:
        return False
    most = length - different + 1
    return math.log2(length) - most * math.log2(most) / length >= _least_entropy(length)


_PLAIN_WORDS = re.compile(r"(?:[A-Z]?[a-z]*[-_.])*[A-Z]?[a-z]*")


def reads_as_words(value: str) -> bool:
    """Whether a value is words with hyphens, underscores or dots between (part-of-a-name), and not drawn at random."""
    return _PLAIN_WORDS.fullmatch(value) is not None


_LONG_WORDS = re.compile(
    r"example|placeholder|redacted|truncated|your[-_]?private|private[-_]?key|privatekey|contents|notareal"
)
_LONG_RUN = 8
_STANDARD = str.maketrans("-_", "+/")
_BLOCK = 8


def body_looks_made_up(body: str) -> bool:
    """Whether the base64 of a long key is a stand-in: told in words, sequential, repeated, or of too few bytes.

    What is looked at is what the base64 decodes to, not its first letters: every OpenSSH key begins with the same
    sixty characters, many of them `A`.
    """
    if _LONG_WORDS.search(body.lower()) or (body.isascii() and _has_run(body.encode(), _LONG_RUN)):
        return True
    blocks = [body[at : at + _BLOCK] for at in range(len(body) - _BLOCK + 1)]
    if len(set(blocks)) < len(blocks) * 0.4:
        return True
    whole = body.replace("=", "")
    raw = b64decode(whole[: len(whole) // 4 * 4].translate(_STANDARD))
    return len(set(raw)) < min(32, len(raw) * 0.45)
