"""The table of a month in a glance: the sums of the minutes of each hour."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final, cast

from sqlalchemy import BigInteger, Index, text
from sqlmodel import Field

from services.store.tables import Base, UtcDateTime

_EXCHANGES: Final = text("slice = '' AND signal = ''")


class HourlyRollup(Base, table=True):
    """One hour of one signal, with the columns of `Rollup`: a month of minutes is too much to add up for a page."""

    __tablename__ = "rollups_hourly"
    __table_args__ = (
        Index(None, "route", "identity", "hour", sqlite_where=_EXCHANGES, postgresql_where=_EXCHANGES),
        Index(None, "route", "hour", sqlite_where=_EXCHANGES, postgresql_where=_EXCHANGES),
        {"sqlite_with_rowid": False},
    )
    route: str = Field(primary_key=True)
    hour: datetime = Field(primary_key=True, sa_type=cast(Any, UtcDateTime))
    identity: str = Field(primary_key=True)
    slice: str = Field(primary_key=True)
    signal: str = Field(primary_key=True)
    n: int = Field(sa_type=BigInteger)
    scored: int = Field(sa_type=BigInteger)
    sum: float
