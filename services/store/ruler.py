"""What each scorer measured of the anchors, and which of them counted last."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final, NamedTuple, cast

from sqlalchemy import Connection, LargeBinary, delete, select
from sqlmodel import Field

from services.store.dialect import upsert
from services.store.tables import Base, UtcDateTime, table

KEPT_MEASUREMENTS: Final = 8


class RulerRow(Base, table=True):
    """One scorer's measurement of one version of the anchors, in bytes, and when it last began to count."""

    __tablename__ = "ruler"
    scorer: str = Field(primary_key=True)
    anchors: str = Field(primary_key=True)
    used: datetime = Field(sa_type=cast(Any, UtcDateTime))
    measured: bytes = Field(sa_type=LargeBinary)


class StoredMeasurement(NamedTuple):
    """A measurement as it is stored."""

    scorer: str
    used: datetime
    measured: bytes


_RULER = table(RulerRow)


def last(connection: Connection, anchors: str) -> StoredMeasurement | None:
    """The measurement of these anchors by the scorer that counted last."""
    query = select(_RULER.c.scorer, _RULER.c.used, _RULER.c.measured).where(_RULER.c.anchors == anchors)
    row = connection.execute(query.order_by(_RULER.c.used.desc(), _RULER.c.scorer).limit(1)).first()
    return None if row is None else StoredMeasurement(*row)


def of_scorer(connection: Connection, anchors: str, scorer: str) -> StoredMeasurement | None:
    """The measurement of these anchors by one scorer."""
    query = select(_RULER.c.scorer, _RULER.c.used, _RULER.c.measured)
    row = connection.execute(query.where(_RULER.c.anchors == anchors, _RULER.c.scorer == scorer)).first()
    return None if row is None else StoredMeasurement(*row)


def put(connection: Connection, anchors: str, found: StoredMeasurement) -> None:
    """Note a measurement, and that its scorer counts from now on; the oldest beyond a few go."""
    upsert(connection, _RULER, [{"anchors": anchors, **found._asdict()}])
    kept = select(_RULER.c.used).order_by(_RULER.c.used.desc()).offset(KEPT_MEASUREMENTS).limit(1)
    oldest = connection.execute(kept).scalar()
    if oldest is not None:
        connection.execute(delete(_RULER).where(_RULER.c.used <= oldest))
