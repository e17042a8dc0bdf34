"""What a look at all routes at once needs of each, kept as it comes: nothing is searched or unpacked for a page."""

from __future__ import annotations

from datetime import datetime
from typing import Any, cast

from sqlalchemy import BigInteger, Index, Text
from sqlmodel import Field

from services.store.tables import Base, UtcDateTime


class StreamRow(Base, table=True):
    """The newest reading of one stream: `id` is that of its row in `readings`, `n` and `baseline` of its evidence."""

    __tablename__ = "streams"
    __table_args__ = (Index(None, "route", "status"),)
    route: str = Field(primary_key=True)
    stream: str = Field(primary_key=True)
    event_index: int = Field(sa_type=BigInteger)
    id: str
    ts: datetime = Field(sa_type=cast(Any, UtcDateTime))
    status: str
    detector: str
    signal: str | None = None
    baseline: str | None = None
    n: int = Field(sa_type=BigInteger)
    reason: str | None = Field(default=None, sa_type=Text)


class PinRow(Base, table=True):
    """The baseline that a route is measured against: made of `n` exchanges of `identity`."""

    __tablename__ = "pins"
    route: str = Field(primary_key=True)
    event_index: int = Field(sa_type=BigInteger)
    ts: datetime = Field(sa_type=cast(Any, UtcDateTime))
    baseline: str
    identity: str
    n: int = Field(sa_type=BigInteger)
