"""Cursors of lists, in the order of time or of a route's exchanges."""

from __future__ import annotations

import base64
import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final

from fastapi import Depends, Query
from pydantic import AwareDatetime

from schemas.base import HEX16
from services.api.http.problems import Problem
from services.store.tables import TimeCursor, TimeSpan

PAGE: Final = 50
MOST: Final = 200
_FIRST: Final = datetime(2000, 1, 1, tzinfo=UTC)
_LAST: Final = datetime(2100, 1, 1, tzinfo=UTC)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def check_span(since: datetime | None, until: datetime | None, names: tuple[str, str] = ("since", "until")) -> None:
    """That a list may be asked for [since, until), by fields of these names.

    Raises:
        Problem: 422 names the field.
    """
    for name, ts in zip(names, (since, until), strict=True):
        if ts is not None and not _FIRST <= ts < _LAST:
            raise Problem.of_field(name, "must lie in the years from 2000 to 2099")
    if since is not None and until is not None and since >= until:
        raise Problem.of_field(names[0], f"must be before {names[1]}")


async def span_of(
    since: Annotated[
        AwareDatetime | None, Query(description="Only from this time on.", examples=["2026-11-24T12:00:00Z"])
    ] = None,
    until: Annotated[
        AwareDatetime | None, Query(description="Only before this time.", examples=["2026-11-25T12:00:00Z"])
    ] = None,
) -> TimeSpan:
    """The span of time that a list is asked for.

    Raises:
        Problem: 422 names the field.
    """
    check_span(since, until)
    return TimeSpan(since, until)


AskedSpan = Annotated[TimeSpan, Depends(span_of)]


def is_id(text: str) -> bool:
    """Whether it could be an id; what is of no such form is not looked for."""
    return re.fullmatch(HEX16, text) is not None


def cursor_of(ts: datetime, id: str) -> str:
    """The place after the last item of a page, as an opaque text."""
    return cursor_after(f"{(ts - _EPOCH) // timedelta(microseconds=1)}.{id}")


def cursor_after(text: str) -> str:
    """The place after the item with this key, as an opaque text."""
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def place_of(cursor: str) -> TimeCursor:
    """Time and id of the item that a cursor stands behind.

    Raises:
        Problem: 422 if it is none of ours.
    """
    try:
        micros, id = key_of(cursor).split(".", 1)
        return _EPOCH + timedelta(microseconds=int(micros)), id
    except (ValueError, OverflowError):
        raise foreign_cursor() from None


def key_of(cursor: str) -> str:
    """The key of the item that a cursor stands behind.

    Raises:
        Problem: 422 if it is none of ours.
    """
    try:
        text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode("ascii")
    except ValueError:
        raise foreign_cursor() from None
    if not text.isprintable():
        raise foreign_cursor()
    return text


def foreign_cursor() -> Problem:
    """What is said of a cursor that is none of ours."""
    return Problem.of_field("cursor", "is none of ours; take `next` of the page before, or leave it out")


_INDEX_PLACE: Final = re.compile(r"([0-9]{1,18})\.([0-9a-f]{0,16})")


def index_cursor(index: int, id: str = "") -> str:
    """The place after the item with this event index and hexadecimal id, as an opaque text."""
    return cursor_after(f"{index}.{id}")


def index_place_of(cursor: str) -> tuple[int, str]:
    """Event index and id of the item that a cursor stands behind.

    >>> index_place_of(index_cursor(12, "a1"))
    (12, 'a1')

    Raises:
        Problem: 422 if it is none of ours.
    """
    found = _INDEX_PLACE.fullmatch(key_of(cursor))
    if found is None:
        raise foreign_cursor()
    return int(found[1]), found[2]
