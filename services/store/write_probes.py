"""A row that a probe writes again and again: only a write says that the database can be written."""

from __future__ import annotations

from datetime import datetime
from typing import Any, cast

from sqlalchemy import Connection, delete
from sqlmodel import Field

from services.store.dialect import upsert
from services.store.tables import Base, UtcDateTime, table


class WriteProbeRow(Base, table=True):
    """When a process last wrote, to see whether it can."""

    __tablename__ = "write_probes"
    name: str = Field(primary_key=True)
    ts: datetime = Field(sa_type=cast(Any, UtcDateTime))


_PROBES = table(WriteProbeRow)


def write(connection: Connection, name: str, now: datetime) -> None:
    """Write the row of this process."""
    upsert(connection, _PROBES, [{"name": name, "ts": now}])


def drop(connection: Connection, name: str) -> None:
    """Delete the row of a process that ends."""
    connection.execute(delete(_PROBES).where(_PROBES.c.name == name))
