"""Why a dead letter has no content that could be read or sent again. Pure."""

from __future__ import annotations

from typing import Final

from schemas.dead_letter import DeadLetter

NOT_KEPT: Final = "its content was not kept, since too many of its kind came: publish it again from where it came"
NO_KEY: Final = "its content was not kept, since no key was known to seal it with: publish it again from where it came"
FORGOTTEN: Final = (
    "its content is sealed, and the database has no key for it any more: that day was forgotten, or it is another "
    "database's"
)
UNOPENED: Final = "its content is sealed: the database has the key (--database, KEELWATCH_DATABASE_URL)"


def missing_content(letter: DeadLetter, *, tried: bool = True) -> str | None:
    """Why there is no content; None if there is. `tried` says whether a database's keys were tried on it."""
    if letter.sealed is not None:
        return FORGOTTEN if tried else UNOPENED
    if letter.raw or not letter.length:
        return None
    return NO_KEY if letter.withheld == "no_key" else NOT_KEPT
