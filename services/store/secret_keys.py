"""Keys that the database keeps for a time and then deletes: what was made with one is unreadable from then on."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Final, cast

from sqlalchemy import ColumnElement, Connection, LargeBinary, and_, delete, select
from sqlmodel import Field

from services.store.dialect import insert_new
from services.store.tables import Base, UtcDateTime, table


class SecretKeyRow(Base, table=True):
    """One key. `name` tells those of one purpose apart: a day of ours (ISO 8601) where there is one a day."""

    __tablename__ = "secret_keys"
    purpose: str = Field(primary_key=True)
    name: str = Field(primary_key=True)
    key: bytes = Field(sa_type=LargeBinary)
    created: datetime = Field(sa_type=cast(Any, UtcDateTime))


_KEYS = table(SecretKeyRow)
DEAD_LETTERS: Final = "dead_letters"
"""One a day: what seals the content of that day's dead letters."""
KEPT_LETTER_KEYS: Final = timedelta(days=8)
"""The last letter of a day leaves its topic seven days after it; then nothing is left to be opened."""


def ensure(connection: Connection, purpose: str, name: str, make: Callable[[], bytes], now: datetime) -> bytes:
    """The key, made if there is none; of several that make one at a time all get the same."""
    known = load(connection, purpose, name)
    if known is not None:
        return known
    insert_new(connection, _KEYS, [{"purpose": purpose, "name": name, "key": make(), "created": now}])
    made = load(connection, purpose, name)
    assert made is not None
    return made


def load(connection: Connection, purpose: str, name: str) -> bytes | None:
    """The key, None when there is none (any more)."""
    query = select(_KEYS.c.key).where(_KEYS.c.purpose == purpose, _KEYS.c.name == name)
    found: bytes | None = connection.execute(query).scalar_one_or_none()
    return found


def find(connection: Connection, purpose: str) -> dict[str, bytes]:
    """Name -> key, of one purpose."""
    query = select(_KEYS.c.name, _KEYS.c.key).where(_KEYS.c.purpose == purpose)
    return {name: key for name, key in connection.execute(query)}  # noqa: C416 -- rows are tuples of any


def old(now: datetime) -> ColumnElement[bool]:
    """Which keys nothing is left for."""
    return and_(_KEYS.c.purpose == DEAD_LETTERS, _KEYS.c.name < (now - KEPT_LETTER_KEYS).date().isoformat())


def forget(connection: Connection, purpose: str) -> int:
    """Delete all keys of a purpose; how many those were."""
    return connection.execute(delete(_KEYS).where(_KEYS.c.purpose == purpose)).rowcount
