"""Runs of suites that are due: what asked for them, how far they are, and who runs them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, Final, Literal, cast

from sqlalchemy import (
    BigInteger,
    Connection,
    Index,
    Text,
    Update,
    and_,
    case,
    func,
    null,
    or_,
    select,
    update,
)
from sqlmodel import Field

from schemas.base import hash16
from services.store import audit_log
from services.store.dialect import insert_new
from services.store.tables import Base, UtcDateTime, table


class EvaluationRow(Base, table=True):
    """One run of a suite that is due at its time, once per (cause, suite, target, delay).

    `cause` is the id of the change or decision that asks for it; `state` is pending, running, ran (stored, and not
    published), done or failed. Whoever runs it is its `owner` until `lease_until`, and writes its result under the
    `token` that only grows; of one that is pending nobody takes it before then. `created` is when it was written, by
    the clock on the wall.
    """

    __tablename__ = "evaluations"
    __table_args__ = (Index(None, "state", "due"), Index(None, "route", "due"))
    id: str = Field(primary_key=True)
    route: str
    cause: str
    moment: str
    identity: str | None = None
    suite: str
    target: str = Field(sa_type=Text)
    delay: int = Field(sa_type=BigInteger)
    due: datetime = Field(sa_type=cast(Any, UtcDateTime))
    state: str = "pending"
    owner: str | None = None
    lease_until: datetime | None = Field(default=None, sa_type=cast(Any, UtcDateTime))
    token: int = Field(default=0, sa_type=BigInteger)
    reason: str | None = Field(default=None, sa_type=Text)
    created: datetime | None = Field(default=None, sa_type=cast(Any, UtcDateTime))
    attempt: int | None = None


PENDING: Final = "pending"
RUNNING: Final = "running"
RAN: Final = "ran"
DONE: Final = "done"
FAILED: Final = "failed"
_EVALUATIONS = table(EvaluationRow)

Moment = Literal["first_seen", "pinned", "change", "announced", "scheduled", "requested", "suite"]


@dataclass(frozen=True, slots=True)
class DueRun:
    """One run that something asked for.

    Attributes:
        cause: id of the change, decision or fire time that asks for it.
        identity: who is expected to answer; None when an announcement does not say.
        target: the endpoint, for people and as part of the key.
        delay: seconds after the cause. due: the time that makes.
        attempt: of a run that is made once more since it did not finish: 2, 3 ...; None is the first.
    """

    route: str
    cause: str
    moment: Moment
    identity: str | None
    suite: str
    target: str
    delay: int
    due: datetime
    attempt: int | None = None

    @property
    def id(self) -> str:
        """Made of (cause, suite, target, delay) and the attempt: however often it is asked for, it is one."""
        again = [] if self.attempt is None else [self.attempt]
        return hash16([self.cause, self.suite, self.target, self.delay, *again])


@dataclass(frozen=True, slots=True)
class QueuedRun:
    """A run that is due, and its state: pending, running, ran, done or failed for a reason."""

    what: DueRun
    state: str
    reason: str | None


@dataclass(frozen=True, slots=True)
class ClaimedRun:
    """A run that this process is to do, or to publish when it `ran` already, under a token that only grows.

    `created` is when it was asked for, by the clock on the wall.
    """

    what: DueRun
    token: int
    ran: bool
    created: datetime


class ClaimLost(Exception):  # noqa: N818
    """Another process has taken the run over: nothing may be written for it any more."""


def enqueue(
    connection: Connection, rows: Sequence[DueRun], now: datetime | None = None, reason: str | None = None
) -> None:
    """Write the runs that are not known yet; those that are stay as they are, whatever their state.

    `reason` says of those that wait why they are made.
    """
    by_id = {row.id: row for row in rows}
    new = {"state": PENDING, "token": 0, "created": now or datetime.now(UTC), "reason": reason}
    insert_new(connection, _EVALUATIONS, [{"id": id, **asdict(row), **new} for id, row in sorted(by_id.items())])
    audit_log.note(connection, "evaluations", [(id,) for id in sorted(by_id)])


def claim(connection: Connection, owner: str, now: datetime, until: datetime, most: int) -> tuple[ClaimedRun, ...]:
    """Take over at most `most` runs until then: such that are due, and such that nobody renewed in time."""
    one = _EVALUATIONS.c
    free = or_(
        and_(one.state == PENDING, one.due <= now, or_(one.lease_until.is_(None), one.lease_until <= now)),
        and_(one.state.in_((RUNNING, RAN)), one.lease_until <= now),
    )
    columns = [one[name] for name in (*DueRun.__dataclass_fields__, "id", "token", "state", "created")]
    query = select(*columns).where(free).order_by(one.due, one.id).limit(most).with_for_update(skip_locked=True)
    taken = []
    found = connection.execute(query).all()
    if found:
        audit_log.guard(connection, "evaluations", [(row.id,) for row in found])
    for row in found:
        state = case((one.state == RAN, RAN), else_=RUNNING)
        waited = and_(one.state == PENDING, one.lease_until.is_not(None))
        values = {"state": state, "owner": owner, "lease_until": until, "token": one.token + 1}
        values["reason"] = case((waited, null()), else_=one.reason)
        mine = update(_EVALUATIONS).where(one.id == row.id, one.token == row.token, free).values(**values)
        if connection.execute(mine).rowcount == 1:
            taken.append(ClaimedRun(DueRun(*row[:-4]), row.token + 1, row.state == RAN, row.created or row.due))
    if taken:
        audit_log.note(connection, "evaluations", [(one.what.id,) for one in taken])
    return tuple(taken)


def renew(connection: Connection, claimed: ClaimedRun, until: datetime) -> None:
    """Keep the run for longer.

    Raises:
        ClaimLost: if another process has it. The transaction must be given up.
    """
    _change(connection, claimed, {"lease_until": until})


def finish(connection: Connection, claimed: ClaimedRun, state: str, reason: str | None = None) -> None:
    """Put the run into another state: ran, done or failed.

    Raises:
        ClaimLost: if another process has it. The transaction must be given up.
    """
    audit_log.guard(connection, "evaluations", [(claimed.what.id,)])
    _change(connection, claimed, {"state": state, "reason": reason})
    audit_log.note(connection, "evaluations", [(claimed.what.id,)])


def release(connection: Connection, claimed: ClaimedRun, now: datetime) -> None:
    """Let others have the run at once; nothing happens if they already do."""
    one = _EVALUATIONS.c
    connection.execute(_mine(claimed).where(one.state.in_((RUNNING, RAN))).values(lease_until=now))


def wait(connection: Connection, claimed: ClaimedRun, until: datetime, reason: str) -> None:
    """Put the run off until then, and say why; nothing happens if another process has it."""
    keys, one = [(claimed.what.id,)], _EVALUATIONS.c
    audit_log.guard(connection, "evaluations", keys)
    values = {"state": PENDING, "reason": reason, "lease_until": until}
    connection.execute(_mine(claimed).where(one.state == RUNNING).values(**values))
    audit_log.note(connection, "evaluations", keys)


def _change(connection: Connection, claimed: ClaimedRun, values: Mapping[str, object]) -> None:
    if connection.execute(_mine(claimed).values(**values)).rowcount != 1:
        raise ClaimLost(f"another process has taken over run {claimed.what.id}")


def _mine(claimed: ClaimedRun) -> Update:
    one = _EVALUATIONS.c
    return update(_EVALUATIONS).where(one.id == claimed.what.id, one.token == claimed.token)


def first_seen_suites(connection: Connection) -> set[tuple[str, str]]:
    """(route, suite) of every run that was asked for when a route was first seen."""
    one = _EVALUATIONS.c
    rows = connection.execute(select(one.route, one.suite).where(one.moment == "first_seen").distinct())
    return {(row.route, row.suite) for row in rows}


def any_open(connection: Connection, causes: Sequence[str]) -> bool:
    """Whether a run that one of these asked for is not done."""
    one = _EVALUATIONS.c
    found = select(one.id).where(one.cause.in_(causes), one.state.in_((PENDING, RUNNING, RAN))).limit(1)
    return bool(causes) and connection.execute(found).first() is not None


def following_due(connection: Connection, what: DueRun) -> datetime | None:
    """When the same cause asks for the suite again, after a longer delay; None when it does not."""
    one = _EVALUATIONS.c
    later = (one.cause == what.cause, one.suite == what.suite, one.delay > what.delay, one.attempt.is_(None))
    found: datetime | None = connection.execute(select(func.min(one.due)).where(*later)).scalar()
    return found


def under_way(connection: Connection, now: datetime) -> set[tuple[str, str]]:
    """(route, suite) of every run that is due and not done."""
    one = _EVALUATIONS.c
    waits = and_(one.state == PENDING, one.due <= now)
    rows = connection.execute(select(one.route, one.suite).where(or_(waits, one.state.in_((RUNNING, RAN)))).distinct())
    return {(row.route, row.suite) for row in rows}


@dataclass(frozen=True, slots=True)
class Attempts:
    """Runs of one suite for one cause, whatever they asked: how `many`, the `last` one, and whether it is `open`."""

    many: int
    last: datetime
    open: bool


def attempts(connection: Connection, route: str, cause: str, suite: str) -> Attempts | None:
    """The runs of a suite that a cause has asked for, by the clock on the wall; None when it asked for none."""
    one = _EVALUATIONS.c
    asked = (one.route == route, one.cause == cause, one.suite == suite)
    rows = connection.execute(select(one.state, one.created, one.due).where(*asked))
    found = [(row.created or row.due, row.state in (PENDING, RUNNING, RAN)) for row in rows]
    if not found:
        return None
    return Attempts(len(found), max(last for last, _ in found), any(open for _, open in found))


def find(connection: Connection, route: str | None = None) -> tuple[QueuedRun, ...]:
    """The runs of one route or of all, in the order in which they are due."""
    names = tuple(DueRun.__dataclass_fields__)
    columns = [_EVALUATIONS.c[name] for name in (*names, "state", "reason")]
    query = select(*columns).order_by(_EVALUATIONS.c.due, _EVALUATIONS.c.id)
    if route is not None:
        query = query.where(_EVALUATIONS.c.route == route)
    return tuple(QueuedRun(DueRun(*row[:-2]), row.state, row.reason) for row in connection.execute(query))
