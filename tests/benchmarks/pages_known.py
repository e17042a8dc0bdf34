"""The names of what is in the database that the pages are asked of."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, select

from services.store.engine import Database
from services.store.incidents import IncidentRow
from services.store.journal import JournalRow
from services.store.readings import ReadingRow
from services.store.runs import RunRow
from services.store.tables import Base, table
from tests.benchmarks.pages_data import ROUTES, WHO, baseline_of


@dataclass(frozen=True)
class Filled:
    """What is in it, to be asked for by name."""

    route: str
    incident: str
    exchange: str
    stream: str
    identity: str
    baseline: str
    decision: str
    comparison: str
    evaluation: str


def known(database: Database) -> Filled:
    """The names of what is in a database that was filled."""
    route, found = ROUTES[0], table(IncidentRow)
    newest = select(found.c.id).where(found.c.route == route).order_by(found.c.opened_at.desc()).limit(1)
    with database.read() as connection:
        return Filled(
            route=route,
            incident=connection.execute(newest).scalar_one(),
            exchange="e4999",
            stream=_first(connection, ReadingRow, "stream", route=route),
            identity=WHO[-1],
            baseline=baseline_of(route),
            decision=_first(connection, JournalRow, "fact", route=route, kind="decision"),
            comparison=_first(connection, JournalRow, "fact", route=route, kind="comparison"),
            evaluation=_first(connection, RunRow, "id", status="complete"),
        )


def _first(connection: Connection, model: type[Base], name: str, **where: str) -> str:
    of = table(model).c
    query = select(of[name]).where(*(of[key] == value for key, value in where.items())).limit(1)
    found: str = connection.execute(query).scalar_one()
    return found
