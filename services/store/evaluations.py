"""Evaluations that are due: what asked for them, and how far they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Final, Literal

from sqlalchemy import Connection, select

from schemas.base import hash16
from services.store.dialect import insert_new
from services.store.tables import EvaluationRow, table

PENDING: Final = "pending"
_EVALUATIONS = table(EvaluationRow)

Moment = Literal["first_seen", "pinned", "change", "announced"]


@dataclass(frozen=True, slots=True)
class Due:
    """One run that something asked for.

    Attributes:
        cause: id of the change or decision that asks for it.
        identity: who is expected to answer; None when an announcement does not say.
        target: the endpoint, for people and as part of the key.
        delay: seconds after the cause. due: the time that makes.
    """

    route: str
    cause: str
    moment: Moment
    identity: str | None
    suite: str
    target: str
    delay: int
    due: datetime

    @property
    def id(self) -> str:
        """Made of (cause, suite, target, delay): however often it is asked for, it is one."""
        return hash16([self.cause, self.suite, self.target, self.delay])


@dataclass(frozen=True, slots=True)
class Evaluation:
    """A run that is due, and its state: pending, running, done or failed for a reason."""

    what: Due
    state: str
    reason: str | None


def schedule(connection: Connection, rows: Sequence[Due]) -> None:
    """Write the runs that are not known yet; those that are stay as they are, whatever their state."""
    by_id = {row.id: row for row in rows}
    new = {"state": PENDING, "token": 0}
    insert_new(connection, _EVALUATIONS, [{"id": id, **asdict(row), **new} for id, row in sorted(by_id.items())])


def find(connection: Connection, route: str | None = None) -> tuple[Evaluation, ...]:
    """The runs of one route or of all, in the order in which they are due."""
    names = tuple(Due.__dataclass_fields__)
    columns = [_EVALUATIONS.c[name] for name in (*names, "state", "reason")]
    query = select(*columns).order_by(_EVALUATIONS.c.due, _EVALUATIONS.c.id)
    if route is not None:
        query = query.where(_EVALUATIONS.c.route == route)
    return tuple(Evaluation(Due(*row[:-2]), row.state, row.reason) for row in connection.execute(query))
