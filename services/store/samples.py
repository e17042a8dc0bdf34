"""Samples: redacted text, at most 2,000 a day and route, for 30 days by the route's clock."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, cast

from sqlalchemy import (
    Connection,
    Index,
    Text,
    delete,
    select,
)
from sqlmodel import Field

from schemas.base import hash16
from schemas.sample import Sample
from services.store.dialect import insert_new
from services.store.tables import Base, UtcDateTime, key_if_any, table


class SampleRow(Base, table=True):
    """One exchange's redacted text. `day` and `draw` decide which ones a full day keeps."""

    __tablename__ = "samples"
    __table_args__ = (
        Index(None, "route", "day", "draw"),
        Index(None, "route", "ts"),
    )
    route: str = Field(primary_key=True)
    id: str = Field(primary_key=True)
    ts: datetime = Field(sa_type=cast(Any, UtcDateTime))
    day: int
    draw: str
    user: str | None = Field(default=None, index=True)
    conversation: str | None = None
    payload: str = Field(sa_type=Text)


KEPT_A_DAY: Final = 2_000
KEPT_DAYS: Final = 30
_SAMPLES = table(SampleRow)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def add(connection: Connection, samples: Sequence[Sample]) -> None:
    """Insert the samples whose id the route does not hold yet, and thin out the days that are too full."""
    insert_new(connection, _SAMPLES, [_row(sample) for sample in samples])
    for route, day in sorted({(sample.route, _day(sample.ts)) for sample in samples}):
        of_day = (_SAMPLES.c.route == route, _SAMPLES.c.day == day)
        draws = select(_SAMPLES.c.draw).where(*of_day).order_by(_SAMPLES.c.draw)
        cut = connection.execute(draws.offset(KEPT_A_DAY).limit(1)).scalar_one_or_none()
        if cut is not None:
            connection.execute(delete(_SAMPLES).where(*of_day, _SAMPLES.c.draw >= cut))


def expire(connection: Connection, route: str, clock: datetime) -> None:
    """Delete the route's samples that are more than 30 days older than its clock."""
    too_old = clock - timedelta(days=KEPT_DAYS)
    connection.execute(delete(_SAMPLES).where(_SAMPLES.c.route == route, _SAMPLES.c.ts < too_old))


def by_id(connection: Connection, route: str, ids: Iterable[str]) -> dict[str, Sample]:
    """Exchange id -> its sample; an exchange without one is not in it."""
    query = select(_SAMPLES.c.id, _SAMPLES.c.payload).where(_SAMPLES.c.route == route, _SAMPLES.c.id.in_(sorted(ids)))
    return {row.id: Sample.decode(row.payload.encode()) for row in connection.execute(query)}


def _day(ts: datetime) -> int:
    return (ts - _EPOCH).days


def _row(sample: Sample) -> dict[str, Any]:
    """The draw ranks safety signals before the others, then by hash: what a day keeps does not depend on order."""
    rank = "0" if sample.reason == "signal" else "1"
    return {
        "route": sample.route,
        "id": sample.id,
        "ts": sample.ts,
        "day": _day(sample.ts),
        "draw": rank + hash16([sample.route, sample.id]),
        "user": key_if_any(sample.user),
        "conversation": sample.conversation,
        "payload": sample.encode().decode(),
    }
