"""The tables of who may ask the API: keys, and the sessions of browsers that signed in with one."""

from __future__ import annotations

from datetime import datetime
from typing import Any, cast

from sqlalchemy import Index, Text, text
from sqlmodel import Field

from services.store.tables import Base, UtcDateTime


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
