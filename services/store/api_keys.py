"""API keys and browser sessions: a few rows, which whoever answers requests reads as a whole."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any, Final, cast

from sqlalchemy import Connection, Index, Text, delete, exists, or_, select, text, update
from sqlmodel import Field

from services.store import audit_log
from services.store.dialect import claim
from services.store.tables import Base, UtcDateTime, table


class ApiKeyRow(Base, table=True):
    """One API key without its secret, of which only the SHA-256 is kept, in hex.

    `routes` are globs as a JSON list. A revoked key stays, so that what was decided with it keeps its name; of those
    that are not revoked each has a name of its own. `used` is coarse: it is written at most once a minute.
    """

    __tablename__ = "api_keys"
    __table_args__ = (
        Index(
            "uq_api_keys_current_name",
            "name",
            unique=True,
            sqlite_where=text("revoked IS NULL"),
            postgresql_where=text("revoked IS NULL"),
        ),
    )
    id: str = Field(primary_key=True)
    name: str
    role: str
    routes: str = Field(sa_type=Text)
    secret_sha256: str
    created: datetime = Field(sa_type=cast(Any, UtcDateTime))
    expires: datetime | None = Field(default=None, sa_type=cast(Any, UtcDateTime))
    revoked: datetime | None = Field(default=None, sa_type=cast(Any, UtcDateTime))
    used: datetime | None = Field(default=None, sa_type=cast(Any, UtcDateTime))


class ApiSessionRow(Base, table=True):
    """One browser that signed in; `id` is the SHA-256, in hex, of what its cookie holds."""

    __tablename__ = "api_sessions"
    id: str = Field(primary_key=True)
    key: str = Field(foreign_key="api_keys.id", index=True)
    expires: datetime = Field(sa_type=cast(Any, UtcDateTime), index=True)


MOST_SESSIONS: Final = 50
USED_EVERY: Final = timedelta(minutes=1)
_KEYS = table(ApiKeyRow)
_SESSIONS = table(ApiSessionRow)


@dataclass(frozen=True, slots=True)
class ApiKey:
    """One key as it is stored. `routes` are globs; `used` is up to a minute older than its last use."""

    id: str
    name: str
    role: str
    routes: tuple[str, ...]
    secret_sha256: str
    created: datetime
    expires: datetime | None = None
    revoked: datetime | None = None
    used: datetime | None = None


@dataclass(frozen=True, slots=True)
class BrowserSession:
    """A browser that signed in: with which key, and until when."""

    id: str
    key: str
    expires: datetime


@dataclass(frozen=True, slots=True)
class ApiCredentials:
    """All keys by id, and the sessions that have not expired, of one moment."""

    keys: Mapping[str, ApiKey]
    sessions: Mapping[str, BrowserSession]


def add(connection: Connection, key: ApiKey) -> bool:
    """Write a key; False when its id is taken, or its name by one that is not revoked."""
    added = claim(connection, _KEYS, {**asdict(key), "routes": json.dumps(key.routes)})
    if added:
        audit_log.note(connection, "api_keys", [(key.id,)])
    return added


def any_exists(connection: Connection) -> bool:
    """Whether there is or was a key: revoking the last one opens nothing."""
    return bool(connection.execute(select(exists().select_from(_KEYS))).scalar())


def find(connection: Connection) -> tuple[ApiKey, ...]:
    """All keys, by the time at which they were made."""
    rows = connection.execute(select(_KEYS).order_by(_KEYS.c.created, _KEYS.c.id)).mappings()
    return tuple(_key(row) for row in rows)


def get(connection: Connection, id: str) -> ApiKey | None:
    """One key."""
    row = connection.execute(select(_KEYS).where(_KEYS.c.id == id)).mappings().one_or_none()
    return None if row is None else _key(row)


def credentials(connection: Connection, now: datetime) -> ApiCredentials:
    """What is needed to tell who asks."""
    rows = connection.execute(select(_SESSIONS).where(_SESSIONS.c.expires > now)).mappings()
    return ApiCredentials({key.id: key for key in find(connection)}, {row["id"]: BrowserSession(**row) for row in rows})


def revoke(connection: Connection, id: str, now: datetime) -> bool:
    """End a key and its sessions; False when it has ended, or is not there."""
    connection.execute(delete(_SESSIONS).where(_SESSIONS.c.key == id))
    open_ = (_KEYS.c.id == id, _KEYS.c.revoked.is_(None))
    audit_log.guard(connection, "api_keys", [(id,)])
    ended = connection.execute(update(_KEYS).where(*open_).values(revoked=now)).rowcount == 1
    audit_log.note(connection, "api_keys", [(id,)])
    return ended


def note_used(connection: Connection, id: str, now: datetime) -> None:
    """Note that a key was used, unless that was noted within the last minute."""
    due = or_(_KEYS.c.used.is_(None), _KEYS.c.used <= now - USED_EVERY)
    connection.execute(update(_KEYS).where(_KEYS.c.id == id, due).values(used=now))


def sign_in(connection: Connection, session: BrowserSession, now: datetime) -> None:
    """Write a session; those that expired go, and of one key the oldest beyond `MOST_SESSIONS`."""
    connection.execute(delete(_SESSIONS).where(_SESSIONS.c.expires <= now))
    newest = select(_SESSIONS.c.id).where(_SESSIONS.c.key == session.key).order_by(_SESSIONS.c.expires.desc())
    surplus = connection.execute(newest.offset(MOST_SESSIONS - 1)).scalars().all()
    connection.execute(delete(_SESSIONS).where(_SESSIONS.c.id.in_(surplus)))
    claim(connection, _SESSIONS, asdict(session))


def sign_out(connection: Connection, id: str) -> None:
    """Delete a session."""
    connection.execute(delete(_SESSIONS).where(_SESSIONS.c.id == id))


def _key(row: Mapping[Any, Any]) -> ApiKey:
    return ApiKey(**{**row, "routes": tuple(json.loads(row["routes"]))})
