"""Data as an agent gets them: between marks that nothing in them can forge, with nothing in them that is not seen.

What users asked and models answered may hold instructions for whoever reads it.
"""

from __future__ import annotations

import json
import secrets
from typing import Any, Final

from services.wording.agents import UNTRUSTED, left_out
from services.wording.unseen import escaped_unseen

LONGEST: Final = 4_000
"""Characters of one text; the pages and the API have all of it."""


def untrusted(data: Any) -> str:
    """JSON between marks drawn for this answer, behind a sentence that says what it is; long texts are cut, and say so.

    Characters that are not seen stand there as JSON's escapes.
    """
    mark = secrets.token_hex(8)
    text = escaped_unseen(json.dumps(_cut(data), ensure_ascii=False, indent=1))
    return f"{UNTRUSTED}\n<data-{mark}>\n{text}\n</data-{mark}>"


def _cut(data: Any) -> Any:
    if isinstance(data, str):
        return data if len(data) <= LONGEST else data[:LONGEST] + left_out(len(data) - LONGEST)
    if isinstance(data, list):
        return [_cut(one) for one in data]
    if isinstance(data, dict):
        return {name: _cut(one) for name, one in data.items()}
    return data
