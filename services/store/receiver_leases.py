"""Receivers and their leases: one process at a time sends to each, so that messages keep their order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from sqlalchemy import BigInteger, Connection, Text, or_, select, text, update
from sqlmodel import Field

from services.store.dialect import insert_new
from services.store.tables import Base, UtcDateTime, table


class ReceiverRow(Base, table=True):
    """A receiver: who sends to it until when, under a token that only grows, and how long it wants to be left alone.

    `closed`: it takes nothing until a person mends something.
    """

    __tablename__ = "receivers"
    receiver: str = Field(primary_key=True)
    owner: str | None = None
    lease_until: datetime | None = Field(default=None, sa_type=cast(Any, UtcDateTime))
    token: int = Field(default=0, sa_type=BigInteger)
    attempts: int = 0
    next_attempt: datetime | None = Field(default=None, sa_type=cast(Any, UtcDateTime))
    error: str | None = Field(default=None, sa_type=Text)
    closed: bool = Field(default=False, sa_column_kwargs={"server_default": text("false")})


_RECEIVERS = table(ReceiverRow)


@dataclass(frozen=True, slots=True)
class ReceiverLease:
    """That this process alone sends to a receiver, until its end; `attempts` in a row failed before."""

    receiver: str
    token: int
    attempts: int


def ensure(connection: Connection, names: Iterable[str]) -> None:
    """Add the receivers that are not there yet."""
    rows = [{"receiver": name, "token": 0, "attempts": 0, "closed": False} for name in sorted(set(names))]
    insert_new(connection, _RECEIVERS, rows)


def claim(connection: Connection, receiver: str, owner: str, now: datetime, until: datetime) -> ReceiverLease | None:
    """The lease, if nobody else holds one and the receiver does not want to be left alone."""
    one = _RECEIVERS.c
    free = or_(one.lease_until.is_(None), one.lease_until <= now, one.owner == owner)
    due = or_(one.next_attempt.is_(None), one.next_attempt <= now)
    statement = update(_RECEIVERS).where(one.receiver == receiver, free, due)
    taken = statement.values(owner=owner, lease_until=until, token=one.token + 1)
    if connection.execute(taken).rowcount != 1:
        return None
    row = connection.execute(select(one.token, one.attempts).where(one.receiver == receiver)).one()
    return ReceiverLease(receiver, row.token, row.attempts)


def renew(connection: Connection, lease: ReceiverLease, until: datetime) -> bool:
    """Make it last longer; False if another process has taken it over meanwhile."""
    return _change(connection, lease, {"lease_until": until})


def release(connection: Connection, lease: ReceiverLease) -> bool:
    """Let others send to the receiver; what it was troubled by is forgotten."""
    values = {"lease_until": None, "attempts": 0, "next_attempt": None, "error": None, "closed": False}
    return _change(connection, lease, values)


def back_off(
    connection: Connection, lease: ReceiverLease, until: datetime, error: str, attempts: int, *, closed: bool
) -> bool:
    """Let nobody send to the receiver before that time, after so many attempts in a row."""
    values = {"lease_until": None, "attempts": attempts, "next_attempt": until, "error": error, "closed": closed}
    return _change(connection, lease, values)


def closed(connection: Connection) -> frozenset[str]:
    """Names of the receivers that take nothing until a person mends something."""
    query = select(_RECEIVERS.c.receiver).where(_RECEIVERS.c.closed.is_(True))
    return frozenset(connection.execute(query).scalars())


def _change(connection: Connection, lease: ReceiverLease, values: Mapping[str, object]) -> bool:
    one = _RECEIVERS.c
    mine = (one.receiver == lease.receiver, one.token == lease.token)
    return connection.execute(update(_RECEIVERS).where(*mine).values(**values)).rowcount == 1
