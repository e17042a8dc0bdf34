"""A route's own questions that are asked again: one suite for each baseline, and how many were asked on a day."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import BigInteger, Connection, Text, delete, func, select, update
from sqlmodel import Field

from services.store.dialect import insert_new
from services.store.tables import WRITTEN, Base, table, today


class OwnSuiteRow(Base, table=True):
    """The questions of one baseline as a suite, as JSON; `origins` says of whom each item is."""

    __tablename__ = "own_suites"
    route: str = Field(primary_key=True)
    baseline: str = Field(primary_key=True)
    payload: str = Field(sa_type=Text)
    origins: str = Field(sa_type=Text)
    written: int = Field(default=0, sa_column_kwargs=WRITTEN)


class OwnAskedRow(Base, table=True):
    """How many questions a run was granted, and on which day."""

    __tablename__ = "own_asked"
    run: str = Field(primary_key=True)
    route: str = Field(index=True)
    day: int = Field(index=True)
    n: int = Field(sa_type=BigInteger)


_SUITES, _ASKED = table(OwnSuiteRow), table(OwnAskedRow)
ASKED_DAYS: Final = 30


@dataclass(frozen=True, slots=True)
class Origin:
    """Of whom a question is: the exchange's id, its user and its conversation."""

    id: str
    user: str | None
    conversation: str | None


@dataclass(frozen=True, slots=True)
class OwnSuite:
    """A stored suite of a route's own questions: its JSON, and item -> of whom it is."""

    route: str
    baseline: str
    payload: str
    origins: Mapping[str, Origin]


def put(connection: Connection, suite: OwnSuite) -> None:
    """Write the suite of a baseline; one that is there stays as it is."""
    origins = {item: [one.id, one.user, one.conversation] for item, one in sorted(suite.origins.items())}
    row: dict[str, Any] = {"route": suite.route, "baseline": suite.baseline, "payload": suite.payload}
    insert_new(connection, _SUITES, [{**row, "origins": json.dumps(origins), "written": today()}])


def load(connection: Connection, route: str, baseline: str) -> OwnSuite | None:
    """The suite of a baseline."""
    query = select(_SUITES).where(_SUITES.c.route == route, _SUITES.c.baseline == baseline)
    return next(iter(_read(connection, query)), None)


def every(connection: Connection) -> tuple[OwnSuite, ...]:
    """All that are stored."""
    return tuple(_read(connection, select(_SUITES).order_by(*_SUITES.primary_key)))


def rewrite(connection: Connection, suite: OwnSuite) -> None:
    """Put another suite in the place of the one of its baseline: after an erasure."""
    origins = {item: [one.id, one.user, one.conversation] for item, one in sorted(suite.origins.items())}
    this = (_SUITES.c.route == suite.route, _SUITES.c.baseline == suite.baseline)
    connection.execute(update(_SUITES).where(*this).values(payload=suite.payload, origins=json.dumps(origins)))


def grant(connection: Connection, route: str, run: str, n: int, budget: int) -> bool:
    """Whether the run may ask `n` questions today without more than `budget` of the route's day; granted once."""
    if connection.execute(select(_ASKED.c.run).where(_ASKED.c.run == run)).one_or_none() is not None:
        return True
    spent = select(func.coalesce(func.sum(_ASKED.c.n), 0)).where(_ASKED.c.route == route, _ASKED.c.day == today())
    if int(connection.execute(spent).scalar_one()) + n > budget:
        return False
    insert_new(connection, _ASKED, [{"run": run, "route": route, "day": today(), "n": n}])
    return True


def give_back(connection: Connection, run: str) -> None:
    """Take a run's grant back: it asked nothing of it, and what it will ask counts on the day on which it does."""
    connection.execute(delete(_ASKED).where(_ASKED.c.run == run))


def _read(connection: Connection, query: Any) -> Iterable[OwnSuite]:
    for row in connection.execute(query):
        origins = {item: Origin(*one) for item, one in json.loads(row.origins).items()}
        yield OwnSuite(row.route, row.baseline, row.payload, origins)
