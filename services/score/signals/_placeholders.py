"""Is a key-like value a stand-in (your_api_key, xxxx, 1234567890) rather than a real one?"""

from __future__ import annotations

import math
import re
from collections import Counter
from itertools import pairwise

_WORDS = re.compile(
    r"example|sample|dummy|placeholder|redacted|changeme|change_me|replace|insert|your|fake|fixme|todo|foobar"
    r"|lorem|secret|password|passwd|passw0rd|p@ssw|xxxx|\*\*\*|\.\.\.|…|[<>{}$%]|test|demo|mock|here|qwerty|asdf"
    r"|deadbeef|hunter2|abc123|123abc|notreal|not[-_]real|invalid|random|generated|truncated|snip|[-_]key",
)
_REPEAT = re.compile(r"(.)\1{4}|(..)\2{3}|(.{3,4})\3{2}")
_RUN = 5
_RUN_APART = 6


def _has_run(text: str, length: int) -> bool:
    """Whether `length` characters in a row ascend or descend by one (12345, edcba)."""
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
    return -sum(n / total * math.log2(n / total) for n in Counter(value).values()) if total else 0.0


def looks_made_up(value: str) -> bool:
    """Whether a value is a stand-in: a telling word, repeated or sequential characters, or too little variety.

    Letters and digits are also looked at apart, so that a1b2c3d4e5f6 counts as sequential. A value of random
    characters is taken for made up less than once in 500 (tests/signals draws them).
    """
    lowered = value.lower()
    if _WORDS.search(lowered) or _REPEAT.search(lowered) or _has_run(lowered, _RUN):
        return True
    letters = "".join(filter(str.isalpha, lowered))
    digits = "".join(filter(str.isdigit, lowered))
    if _has_run(letters, _RUN_APART) or _has_run(digits, _RUN_APART):
        return True
    return entropy(value) < min(2.8, 0.62 * math.log2(max(len(value), 2)))
