"""Deliveries: each notification of the outbox, for each of its receivers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, delete, exists, func, or_, select, update

from schemas.alert import Severity, rank
from services.store.delivery_tables import DeliveryRow, ReceiverRow
from services.store.dialect import insert_new
from services.store.outbox import PENDING
from services.store.tables import OutboxRow, table

SENT: Final = "sent"
FAILED: Final = "failed"
_DELIVERIES = table(DeliveryRow)
_OUTBOX = table(OutboxRow)
_RECEIVERS = table(ReceiverRow)


@dataclass(frozen=True, slots=True)
class Delivery:
    """A notification that is to be sent to a receiver.

    Attributes:
        told: time of what it tells of, by the route's clock; created: when it was first seen, by the wall clock.
    """

    notification: str
    receiver: str
    incident: str
    kind: str
    severity: Severity
    mention: bool
    text: str
    told: datetime
    created: datetime
    attempts: int
    next_attempt: datetime | None


@dataclass(frozen=True, slots=True)
class Told:
    """Where the message of an incident stands, and the digest of what it shows."""

    channel: str
    message: str
    shown: str | None
    storm: bool


@dataclass(frozen=True, slots=True)
class Unconfirmed:
    """What a receiver has not got of an incident: since when, how often it was tried, and what stands in the way."""

    incident: str
    receiver: str
    since: datetime
    attempts: int
    error: str | None


def spread(connection: Connection, receivers: Callable[[str], Sequence[str]], now: datetime) -> tuple[str, ...]:
    """Make a delivery of each new notification for each receiver of its route; the names of these receivers."""
    known = exists().where(_DELIVERIES.c.notification == _OUTBOX.c.id)
    query = select(_OUTBOX.c.id, _OUTBOX.c.route, _OUTBOX.c.incident).where(_OUTBOX.c.state == PENDING, ~known)
    rows = [
        {"notification": row.id, "receiver": name, "incident": row.incident, "created": now}
        for row in connection.execute(query.order_by(_OUTBOX.c.created, _OUTBOX.c.id))
        for name in receivers(row.route)
    ]
    insert_new(connection, _DELIVERIES, [{**row, "state": PENDING, "attempts": 0, "storm": False} for row in rows])
    return tuple(sorted({str(row["receiver"]) for row in rows}))


def has_new(connection: Connection) -> bool:
    """Whether there is a notification without deliveries."""
    known = exists().where(_DELIVERIES.c.notification == _OUTBOX.c.id)
    return bool(connection.execute(select(exists().where(_OUTBOX.c.state == PENDING, ~known))).scalar())


def forget_withdrawn(connection: Connection) -> None:
    """Delete what is no longer to be sent, since its incident is told otherwise now."""
    there = exists().where(_OUTBOX.c.id == _DELIVERIES.c.notification)
    connection.execute(delete(_DELIVERIES).where(_DELIVERIES.c.state == PENDING, ~there))


def waiting(connection: Connection, receiver: str) -> tuple[Delivery, ...]:
    """The first of each incident that the receiver has not got, oldest first: the later ones have to wait for it.

    What opens an incident comes before all else of it, and at one time the lesser severity first.
    """
    one, of = _DELIVERIES.c, _OUTBOX.c
    columns = (one.notification, one.receiver, one.incident, of.kind, of.payload, of.created.label("told"))
    query = select(*columns, one.created, one.attempts, one.next_attempt)
    query = query.join(_OUTBOX, of.id == one.notification).where(one.receiver == receiver, one.state == PENDING)
    found = sorted((_delivery(row) for row in connection.execute(query)), key=_order)
    first: dict[str, Delivery] = {}
    for delivery in found:
        first.setdefault(delivery.incident, delivery)
    return tuple(first.values())


def with_work(connection: Connection, now: datetime) -> tuple[str, ...]:
    """Names of the receivers that have something to be sent now."""
    one, all = _DELIVERIES.c, _RECEIVERS.c
    due = or_(one.next_attempt.is_(None), one.next_attempt <= now)
    resting = select(all.receiver).where(all.next_attempt > now)
    query = select(one.receiver).where(one.state == PENDING, due, one.receiver.not_in(resting))
    return tuple(connection.execute(query.distinct().order_by(one.receiver)).scalars())


def of_which_told(connection: Connection, receiver: str, incidents: Iterable[str]) -> frozenset[str]:
    """Those of the incidents of which the receiver has a message."""
    one = _DELIVERIES.c
    query = select(one.incident).where(one.receiver == receiver, one.message.is_not(None))
    return frozenset(connection.execute(query.where(one.incident.in_(sorted(incidents)))).scalars())


def told(connection: Connection, receiver: str, incident: str) -> Told | None:
    """Where the receiver has its message of the incident."""
    one = _DELIVERIES.c
    query = select(one.channel, one.message, one.shown, one.storm).where(*_of(receiver, incident))
    row = connection.execute(query.where(one.message.is_not(None)).order_by(one.sent).limit(1)).one_or_none()
    return None if row is None else Told(*row)


def together(connection: Connection, receiver: str, told: Told) -> tuple[str, ...]:
    """The incidents that share a storm's message, in the order in which they were told."""
    one = _DELIVERIES.c
    query = select(one.incident).where(*_at(receiver, told)).order_by(one.created, one.incident)
    return tuple(connection.execute(query).scalars())


def openings(connection: Connection, receiver: str, since: datetime) -> tuple[tuple[datetime, bool], ...]:
    """When new incidents were told since then, and whether by a storm's message."""
    one = _DELIVERIES.c
    query = select(one.sent, one.storm).where(one.receiver == receiver, one.message.is_not(None), one.sent > since)
    return tuple((row.sent, row.storm) for row in connection.execute(query.order_by(one.sent)))


def accept(connection: Connection, deliveries: Iterable[Delivery], now: datetime, placed: Told | None = None) -> None:
    """The vendor has them; `placed` says where the new message stands, if it is one."""
    place: dict[str, Any] = {}
    if placed is not None:
        place = {"channel": placed.channel, "message": placed.message, "shown": placed.shown, "storm": placed.storm}
    for delivery in deliveries:
        values = {"state": SENT, "sent": now, "error": None, "next_attempt": None, **place}
        _change(connection, delivery, {**values, "attempts": delivery.attempts + 1})
        settle(connection, delivery.notification, now)


def show(connection: Connection, receiver: str, told: Told, digest: str) -> None:
    """The message shows something else now."""
    connection.execute(update(_DELIVERIES).where(*_at(receiver, told)).values(shown=digest))


def lose(connection: Connection, receiver: str, told: Told) -> None:
    """The message is no longer there: what comes next is a new one."""
    connection.execute(update(_DELIVERIES).where(*_at(receiver, told)).values(channel=None, message=None, shown=None))


def postpone(connection: Connection, delivery: Delivery, until: datetime | None, error: str) -> None:
    """It was not accepted, and is tried again then; None is as soon as the receiver takes anything."""
    _change(connection, delivery, {"attempts": delivery.attempts + 1, "next_attempt": until, "error": error})


def hold_back(connection: Connection, deliveries: Iterable[Delivery], until: datetime) -> None:
    """Not to be tried before then; nothing failed."""
    for delivery in deliveries:
        _change(connection, delivery, {"next_attempt": until})


def fail(connection: Connection, delivery: Delivery, error: str, now: datetime) -> None:
    """It is not tried any more."""
    _change(connection, delivery, {"attempts": delivery.attempts + 1, "state": FAILED, "error": error})
    settle(connection, delivery.notification, now)


def give_up(connection: Connection, receiver: str, before: datetime, error: str, now: datetime) -> int:
    """Fail all that the receiver was to get since before that time; how many that were."""
    one = _DELIVERIES.c
    mine = (one.receiver == receiver, one.state == PENDING, one.created <= before)
    notifications = tuple(connection.execute(select(one.notification).where(*mine)).scalars())
    connection.execute(update(_DELIVERIES).where(*mine).values(state=FAILED, error=error))
    for notification in notifications:
        settle(connection, notification, now)
    return len(notifications)


def settle(connection: Connection, notification: str, now: datetime) -> None:
    """Close the notification in the outbox when no receiver waits for it: `failed` if one has not got it."""
    one = _DELIVERIES.c
    # Two receivers that are served at the same time would each see the other one wait, and nobody would close it.
    connection.execute(select(_OUTBOX.c.id).where(_OUTBOX.c.id == notification).with_for_update())
    query = select(one.receiver, one.state, one.attempts, one.error).where(one.notification == notification)
    rows = connection.execute(query.order_by(one.receiver)).all()
    if any(row.state == PENDING for row in rows):
        return
    errors = [f"{row.receiver}: {row.error}" for row in rows if row.state == FAILED]
    values = {
        "state": FAILED if errors else SENT,
        "attempts": sum(row.attempts for row in rows),
        "sent": None if errors else now,
        "error": "; ".join(errors) or None,
    }
    connection.execute(update(_OUTBOX).where(_OUTBOX.c.id == notification).values(**values))


def unconfirmed(connection: Connection, since: datetime, before: datetime) -> tuple[Unconfirmed, ...]:
    """The incidents of which a receiver has not got all that it should have, of what came up in [since, before]."""
    one = _DELIVERIES.c
    columns = (one.incident, one.receiver, func.min(one.created), func.max(one.attempts), func.max(one.error))
    query = select(*columns).where(one.state != SENT, one.created >= since, one.created <= before)
    rows = connection.execute(query.group_by(one.incident, one.receiver).order_by(one.receiver, one.incident))
    return tuple(Unconfirmed(*row) for row in rows)


def _of(receiver: str, incident: str) -> tuple[Any, ...]:
    return _DELIVERIES.c.receiver == receiver, _DELIVERIES.c.incident == incident


def _at(receiver: str, told: Told) -> tuple[Any, ...]:
    one = _DELIVERIES.c
    return one.receiver == receiver, one.channel == told.channel, one.message == told.message


def _change(connection: Connection, delivery: Delivery, values: dict[str, Any]) -> None:
    one = _DELIVERIES.c
    this = (one.notification == delivery.notification, one.receiver == delivery.receiver)
    connection.execute(update(_DELIVERIES).where(*this).values(**values))


def _order(delivery: Delivery) -> tuple[bool, datetime, int, str]:
    return delivery.kind != "post", delivery.told, rank(delivery.severity), delivery.notification


def _delivery(row: Any) -> Delivery:
    payload = msgspec.json.decode(row.payload)
    return Delivery(
        notification=row.notification,
        receiver=row.receiver,
        incident=row.incident,
        kind=row.kind,
        severity=payload["severity"],
        mention=payload["mention"],
        text=payload["text"],
        told=row.told,
        created=row.created,
        attempts=row.attempts,
        next_attempt=row.next_attempt,
    )
