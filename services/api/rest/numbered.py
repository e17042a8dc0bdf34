"""Cursors of lists that are in the order of exchanges, not of time."""

from __future__ import annotations

import re
from typing import Final

from services.api.rest.paging import cursor_after, foreign, key_of

_PLACE: Final = re.compile(r"([0-9]{1,18})\.([0-9a-f]{0,16})")


def numbered(index: int, id: str = "") -> str:
    """The place after the item with this event index and hexadecimal id, as an opaque text."""
    return cursor_after(f"{index}.{id}")


def number_of(cursor: str) -> tuple[int, str]:
    """Event index and id of the item that a cursor stands behind.

    >>> number_of(numbered(12, "a1"))
    (12, 'a1')

    Raises:
        Problem: 422 if it is none of ours.
    """
    found = _PLACE.fullmatch(key_of(cursor))
    if found is None:
        raise foreign()
    return int(found[1]), found[2]
