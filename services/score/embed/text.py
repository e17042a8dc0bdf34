"""What of a text an embedder reads."""

from __future__ import annotations

import re
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
