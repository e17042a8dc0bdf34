"""What waits and what failed in the database: deliveries, decisions, evaluations, incidents, dead letters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection, and_, case, func, or_, select

from schemas.alert import Severity
from services.store import dead_letters, evaluation_queue
from services.store.dead_letters import DeadLetterCount
from services.store.decisions import DecisionRow
from services.store.deliveries import FAILED, PENDING, SENT, DeliveryRow
from services.store.evaluation_queue import EvaluationRow
from services.store.incidents import IncidentRow
from services.store.parks import ParkedRouteRow
from services.store.receiver_leases import ReceiverRow
from services.store.schedules import FireTimeRow
from services.store.tables import table

RECENT: Final = timedelta(days=7)
"""How long a run that failed, or was missed, is told."""
MOST_DEAD: Final = 200
_DELIVERIES, _RECEIVERS = table(DeliveryRow), table(ReceiverRow)
_DECISIONS, _INCIDENTS = table(DecisionRow), table(IncidentRow)
_EVALUATIONS, _FIRES = table(EvaluationRow), table(FireTimeRow)
_PARKS = table(ParkedRouteRow)


@dataclass(frozen=True, slots=True)
class ReceiverBacklog:
    """One receiver: what waits for it since when, what was given up, when it last took something, what troubles it.

    `closed`: it takes nothing until a person mends what `error` says.
    """

    receiver: str
    pending: int
    failed: int
    oldest: datetime | None
    last_sent: datetime | None
    error: str | None
    closed: bool = False


@dataclass(frozen=True, slots=True)
class DecisionBacklog:
    """How many wait, and the oldest since when."""

    n: int
    oldest: datetime | None


@dataclass(frozen=True, slots=True)
class RunBacklog:
    """Runs of suites of one route: due and not done, `left` by the process that ran them, failed within a week.

    Attributes:
        due: without those that are put off until a time that is not there yet, such as a judge's next day.
        oldest: since when the oldest run that is due waits; one that was put off does since then.
        reason: of one that failed.
    """

    route: str
    due: int
    left: int
    failed: int
    oldest: datetime | None
    reason: str | None


@dataclass(frozen=True, slots=True)
class MissedFireTimes:
    """Fire times of one route's schedules at which nothing was run within a week, and why one was missed."""

    route: str
    n: int
    reason: str


@dataclass(frozen=True, slots=True)
class ParkedWork:
    """A route that a step does not go on with: where it failed, since when, and how many records wait for it."""

    step: str
    route: str
    since: datetime
    waiting: int
    reason: str


@dataclass(frozen=True, slots=True)
class Backlog:
    """One consistent state. `incidents` are the unresolved ones by severity, `dead` the most frequent first.

    `parked` are all routes on which a step failed, by step and route.
    """

    receivers: tuple[ReceiverBacklog, ...]
    decisions: DecisionBacklog
    runs: tuple[RunBacklog, ...]
    missed: tuple[MissedFireTimes, ...]
    incidents: Mapping[Severity, int]
    dead: tuple[DeadLetterCount, ...]
    parked: tuple[ParkedWork, ...] = ()


def read(connection: Connection, now: datetime) -> Backlog:
    """How it stands at `now`, by the clock on the wall."""
    waiting = select(func.count(), func.min(_DECISIONS.c.created)).where(_DECISIONS.c.published.is_(None))
    unresolved = select(_INCIDENTS.c.severity, func.count()).where(_INCIDENTS.c.state != "resolved")
    return Backlog(
        receivers=_receivers(connection),
        decisions=DecisionBacklog(*connection.execute(waiting).one()),
        runs=_runs(connection, now),
        missed=_missed(connection, now),
        incidents={row[0]: row[1] for row in connection.execute(unresolved.group_by(_INCIDENTS.c.severity))},
        dead=dead_letters.most_frequent(connection, MOST_DEAD),
        parked=_parked(connection),
    )


def _parked(connection: Connection) -> tuple[ParkedWork, ...]:
    one = _PARKS.c
    query = select(one.step, one.route, one.since, one.n, one.reason).order_by(one.step, one.route)
    return tuple(ParkedWork(*row) for row in connection.execute(query))


def _receivers(connection: Connection) -> tuple[ReceiverBacklog, ...]:
    one = _DELIVERIES.c
    pending, failed = one.state == PENDING, one.state == FAILED
    query = select(
        one.receiver,
        func.count(case((pending, 1))).label("pending"),
        func.count(case((failed, 1))).label("failed"),
        func.min(case((pending, one.created))).label("oldest"),
        func.max(one.sent).label("last_sent"),
        func.max(case((one.state != SENT, one.error))).label("error"),
    )
    rows = connection.execute(select(_RECEIVERS.c.receiver, _RECEIVERS.c.error, _RECEIVERS.c.closed))
    found = {row.receiver: ReceiverBacklog(row.receiver, 0, 0, None, None, row.error, row.closed) for row in rows}
    for row in connection.execute(query.group_by(one.receiver)).mappings():
        known = found.get(row["receiver"])
        error, closed = (known.error, known.closed) if known is not None else (None, False)
        found[row["receiver"]] = ReceiverBacklog(**{**row, "error": error or row["error"]}, closed=closed)
    return tuple(found[name] for name in sorted(found))


def _runs(connection: Connection, now: datetime) -> tuple[RunBacklog, ...]:
    one = _EVALUATIONS.c
    put_off = and_(one.state == evaluation_queue.PENDING, one.lease_until.is_not(None))
    since = case((put_off, one.lease_until), (one.created > one.due, one.created), else_=one.due)
    waits = and_(one.state == evaluation_queue.PENDING, or_(one.lease_until.is_(None), one.lease_until <= now))
    due = and_(or_(waits, one.state.in_((evaluation_queue.RUNNING, evaluation_queue.RAN))), one.due <= now)
    left = and_(one.state == evaluation_queue.RUNNING, one.lease_until <= now)
    failed = and_(one.state == evaluation_queue.FAILED, since > now - RECENT)
    query = select(
        one.route,
        func.count(case((due, 1))),
        func.count(case((left, 1))),
        func.count(case((failed, 1))),
        func.min(case((due, since))),
        func.max(case((failed, one.reason))),
    ).where(or_(due, failed))
    return tuple(RunBacklog(*row) for row in connection.execute(query.group_by(one.route).order_by(one.route)))


def _missed(connection: Connection, now: datetime) -> tuple[MissedFireTimes, ...]:
    one = _FIRES.c
    query = select(one.route, func.count(), func.max(one.missed))
    query = query.where(one.missed.is_not(None), one.fire_time > now - RECENT)
    return tuple(MissedFireTimes(*row) for row in connection.execute(query.group_by(one.route).order_by(one.route)))
