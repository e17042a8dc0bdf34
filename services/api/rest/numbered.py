"""Cursors of lists that are in the order of exchanges, not of time."""

from __future__ import annotations

import base64
import re
from typing import Final

from services.api.problems import Fault, Problem

_PLACE: Final = re.compile(r"([0-9]{1,18})\.([0-9a-f]{0,16})")


def numbered(index: int, id: str = "") -> str:
    """The place after the item with this event index and hexadecimal id, as an opaque text."""
    return base64.urlsafe_b64encode(f"{index}.{id}".encode()).decode().rstrip("=")


def number_of(cursor: str) -> tuple[int, str]:
    """Event index and id of the item that a cursor stands behind.

    >>> number_of(numbered(12, "a1"))
    (12, 'a1')

    Raises:
        Problem: 422 if it is none of ours.
    """
    try:
        text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode("ascii")
    except ValueError:
        text = ""
    found = _PLACE.fullmatch(text)
    if found is None:
        remedy = "is none of ours; take `next` of the page before, or leave it out"
        raise Problem(422, f"cursor: {remedy}", errors=(Fault(field="cursor", remedy=remedy),))
    return int(found[1]), found[2]
