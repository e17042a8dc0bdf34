"""Characters that a reader does not see, written so that they are seen. Pure."""

from __future__ import annotations

import json
import re
from typing import Final
from unicodedata import category

_MARKS: Final = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)
"""Of categories that are seen: fillers, joiners, variation selectors, a blank of Braille."""


def escaped_unseen(text: str) -> str:
    r"""The text with JSON's escapes for what is not seen in it; line breaks stay.

    Controls, which a terminal obeys, marks that turn text round, tags and unassigned characters, in which whole
    sentences can be hidden from people and not from models.

    >>> print(escaped_unseen("a\u202eb\x1b[2J"))
    a\u202eb\u001b[2J
    """
    return text.translate({ord(one): json.dumps(one)[1:-1] for one in set(text) if _is_unseen(one)})


def on_one_line(text: str) -> str:
    r"""The same with line breaks written out too, for a line of which no other one is to seem to be part.

    >>> print(on_one_line("a\nkeelwatch: b\x1b"))
    a\nkeelwatch: b\u001b
    """
    return escaped_unseen(text).replace("\n", r"\n")


def _is_unseen(one: str) -> bool:
    if one == "\n":
        return False
    kind = category(one)
    return kind[0] == "C" or kind in ("Zl", "Zp") or _MARKS.match(one) is not None
