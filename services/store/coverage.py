"""How far the suites of each route ask what its users ask, as it was measured last. No text is kept here.

Examples are ids: their text is that of `samples`, and is gone when it is gone there. What marks a cluster is made of
such texts, and goes with the whole measurement when anything of the route is erased.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final, NamedTuple, cast

from sqlalchemy import BigInteger, Connection, Text, delete, select
from sqlmodel import Field

from services.store.dialect import upsert
from services.store.tables import WRITTEN, Base, UtcDateTime, table, today

KEPT_COVERAGES: Final = 4
"""Of a route: those of the suites, or of the embedder, of before."""
KEPT_COVERAGE_DAYS: Final = 30
"""As long as the texts that name its clusters."""


class CoverageRow(Base, table=True):
    """One measurement of a route by one set of suites and one embedder (`key`); `payload` is the report as JSON."""

    __tablename__ = "coverage"
    route: str = Field(primary_key=True)
    key: str = Field(primary_key=True)
    measured: datetime = Field(sa_type=cast(Any, UtcDateTime))
    event_index: int = Field(sa_type=BigInteger)
    payload: str = Field(sa_type=Text)
    written: int = Field(default=0, sa_column_kwargs=WRITTEN)


class StoredCoverage(NamedTuple):
    """A measurement as it is stored: of exchanges up to `event_index`."""

    key: str
    measured: datetime
    event_index: int
    payload: str


_COVERAGE = table(CoverageRow)


def put(connection: Connection, route: str, found: StoredCoverage) -> None:
    """Write the newest measurement of a route; the oldest beyond a few go."""
    upsert(connection, _COVERAGE, [{"route": route, **found._asdict(), "written": today()}])
    of_route = _COVERAGE.c.route == route
    order = (_COVERAGE.c.measured.desc(), _COVERAGE.c.key)
    gone = select(_COVERAGE.c.key).where(of_route).order_by(*order).offset(KEPT_COVERAGES)
    old = connection.execute(gone).scalars().all()
    if old:
        connection.execute(delete(_COVERAGE).where(of_route, _COVERAGE.c.key.in_(old)))


def newest(connection: Connection, route: str) -> StoredCoverage | None:
    """The newest measurement of a route."""
    columns = [_COVERAGE.c[name] for name in StoredCoverage._fields]
    query = select(*columns).where(_COVERAGE.c.route == route).order_by(_COVERAGE.c.measured.desc(), _COVERAGE.c.key)
    row = connection.execute(query.limit(1)).first()
    return None if row is None else StoredCoverage(*row)


def drop(connection: Connection, route: str) -> int:
    """Delete every measurement of a route; how many. It is measured anew of what is left."""
    return connection.execute(delete(_COVERAGE).where(_COVERAGE.c.route == route)).rowcount
