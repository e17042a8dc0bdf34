"""Data as an agent gets them: between marks that nothing in them can forge, with nothing in them that is not seen.

What users asked and models answered may hold instructions for whoever reads it.
"""

from __future__ import annotations

import json
import re
import secrets
from typing import Any, Final
from unicodedata import category

from services.wording.agents import UNTRUSTED

_UNSEEN_KINDS: Final = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Categories of Unicode whose characters a reader does not see: controls, formats with the tags, in which whole
sentences can be hidden, halves of pairs, separators of lines."""
_UNSEEN_MARKS: Final = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180d\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)
"""Of other categories: fillers, joiners, variation selectors."""


def untrusted(data: Any) -> str:
    """JSON between marks drawn for this answer, behind a sentence that says what it is.

    Characters that are not seen stand there as JSON's escapes.
    """
    mark = secrets.token_hex(8)
    text = json.dumps(data, ensure_ascii=False, indent=1)
    escapes = {ord(one): json.dumps(one)[1:-1] for one in set(text) if _is_unseen(one)}
    return f"{UNTRUSTED}\n<data-{mark}>\n{text.translate(escapes)}\n</data-{mark}>"


def _is_unseen(one: str) -> bool:
    """Whether a reader does not see a character; the line breaks of JSON's own layout are none of the text's."""
    return one != "\n" and (category(one) in _UNSEEN_KINDS or _UNSEEN_MARKS.match(one) is not None)
