"""Samples: redacted text, at most 2,000 a day and route, for 30 days, by the clock on the wall."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
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
from services.store.tables import WRITTEN, Base, UtcDateTime, key_if_any, table, today


class SampleRow(Base, table=True):
    """One exchange's redacted text. `day` and `draw` decide which ones a full day keeps.

    `day` and `written` are the day on which it came, by our own clock: what exchanges say of their time deletes none.
    """

    __tablename__ = "samples"
    __table_args__ = (
        Index(None, "route", "day", "draw"),
        Index(None, "route", "ts"),
        Index(None, "written"),
    )
    route: str = Field(primary_key=True)
    id: str = Field(primary_key=True)
    ts: datetime = Field(sa_type=cast(Any, UtcDateTime))
    day: int
    draw: str
    user: str | None = Field(default=None, index=True)
    conversation: str | None = None
    payload: str = Field(sa_type=Text)
    written: int = Field(default=0, sa_column_kwargs=WRITTEN)


KEPT_A_DAY: Final = 2_000
KEPT_DAYS: Final = 30
_SAMPLES = table(SampleRow)


def add(connection: Connection, samples: Sequence[Sample]) -> None:
    """Insert the samples whose id the route does not hold yet, and thin out a day that is too full."""
    day = today()
    insert_new(connection, _SAMPLES, [_row(sample, day) for sample in samples])
    for route in sorted({sample.route for sample in samples}):
        of_day = (_SAMPLES.c.route == route, _SAMPLES.c.day == day)
        draws = select(_SAMPLES.c.draw).where(*of_day).order_by(_SAMPLES.c.draw)
        cut = connection.execute(draws.offset(KEPT_A_DAY).limit(1)).scalar_one_or_none()
        if cut is not None:
            connection.execute(delete(_SAMPLES).where(*of_day, _SAMPLES.c.draw >= cut))


def by_id(connection: Connection, route: str, ids: Iterable[str]) -> dict[str, Sample]:
    """Exchange id -> its sample; an exchange without one is not in it."""
    query = select(_SAMPLES.c.id, _SAMPLES.c.payload).where(_SAMPLES.c.route == route, _SAMPLES.c.id.in_(sorted(ids)))
    return {row.id: Sample.decode(row.payload.encode()) for row in connection.execute(query)}


def _row(sample: Sample, day: int) -> dict[str, Any]:
    """The draw ranks safety signals before the others, then by hash: what a day keeps does not depend on order."""
    rank = "0" if sample.reason == "signal" else "1"
    return {
        "route": sample.route,
        "id": sample.id,
        "ts": sample.ts,
        "day": day,
        "written": day,
        "draw": rank + hash16([sample.route, sample.id]),
        "user": key_if_any(sample.user),
        "conversation": sample.conversation,
        "payload": sample.encode().decode(),
    }
