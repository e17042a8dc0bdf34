"""Keys that the database keeps for a time and then deletes: what was made with one is unreadable from then on."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, cast

from sqlalchemy import Connection, LargeBinary, delete, select
from sqlmodel import Field

from services.store.dialect import insert_new
from services.store.tables import Base, UtcDateTime, table


class SecretKeyRow(Base, table=True):
    """One key. `name` tells those of one purpose apart. Today there is one: of the digests of who was erased."""

    __tablename__ = "secret_keys"
    purpose: str = Field(primary_key=True)
    name: str = Field(primary_key=True)
    key: bytes = Field(sa_type=LargeBinary)
    created: datetime = Field(sa_type=cast(Any, UtcDateTime))


_KEYS = table(SecretKeyRow)


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


def expire(connection: Connection, purpose: str, before: datetime) -> int:
    """Delete the keys that were made before that time; how many those were."""
    return connection.execute(delete(_KEYS).where(_KEYS.c.purpose == purpose, _KEYS.c.created < before)).rowcount
