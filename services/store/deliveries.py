"""Notifications on their way to people: outbox, deliveries per receiver.

The outbox is written in the transaction of what its notifications tell of.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Final, cast

from sqlalchemy import (
    Connection,
    Index,
    Text,
    delete,
    exists,
    func,
    or_,
    select,
    update,
)
from sqlmodel import Field

from schemas.alert import Severity, rank
from services.store import pictures
from services.store.dialect import insert_new
from services.store.outbox_content import OutboxContent, content_of
from services.store.receiver_leases import ReceiverRow
from services.store.tables import Base, UtcDateTime, table


class OutboxRow(Base, table=True):
    """One notification on its way: `pending` until a vendor accepted it, then `sent`; `failed` when given up.

    One that a `silence` covers is `kept`, and has `passed` when what it tells of was over before anybody heard of it,
    or was `joined` to another one that told of its incident.
    """

    __tablename__ = "outbox"
    __table_args__ = (
        Index(None, "state", "next_attempt"),
        Index(None, "route", "state"),
        Index(None, "incident"),
        Index(None, "silence"),
    )
    id: str = Field(primary_key=True)
    route: str
    incident: str
    kind: str
    payload: str = Field(sa_type=Text)
    state: str = "pending"
    created: datetime = Field(sa_type=cast(Any, UtcDateTime))
    attempts: int = 0
    next_attempt: datetime | None = Field(default=None, sa_type=cast(Any, UtcDateTime))
    sent: datetime | None = Field(default=None, sa_type=cast(Any, UtcDateTime))
    error: str | None = Field(default=None, sa_type=Text)
    silence: str | None = None


class DeliveryRow(Base, table=True):
    """One notification for one receiver: `pending` until the vendor accepted it, then `sent`; `failed` when given up.

    `created` is when it was first seen here, by the wall clock. The row by which an incident's message came to be
    has its place: `channel` and `message` (both empty where the vendor does not tell), the digest of what it shows,
    and whether it is a `storm`'s, which stands for many incidents. `instead_of` is the receiver that could not be told.
    """

    __tablename__ = "deliveries"
    __table_args__ = (Index(None, "receiver", "state"), Index(None, "receiver", "incident"))
    notification: str = Field(primary_key=True)
    receiver: str = Field(primary_key=True)
    incident: str
    state: str = "pending"
    created: datetime = Field(sa_type=cast(Any, UtcDateTime))
    attempts: int = 0
    next_attempt: datetime | None = Field(default=None, sa_type=cast(Any, UtcDateTime))
    sent: datetime | None = Field(default=None, sa_type=cast(Any, UtcDateTime))
    error: str | None = Field(default=None, sa_type=Text)
    channel: str | None = None
    message: str | None = None
    shown: str | None = None
    storm: bool = False
    instead_of: str | None = None


PENDING: Final = "pending"
KEPT: Final = "kept"
PASSED: Final = "passed"
JOINED: Final = "joined"
TOLD: Final = "told"
"""Of the one row that stands for all that was told of an incident long ago: derived again, it is not sent again."""
_OUTBOX = table(OutboxRow)
UNREADABLE: Final = "what is stored of it cannot be read; its incident's page shows what happened"


@dataclass(frozen=True, slots=True)
class OutboxNotification:
    """One notification: its id is the same however often it is derived. `payload` is JSON."""

    id: str
    route: str
    incident: str
    kind: str
    payload: str
    created: datetime


def reconcile(
    connection: Connection,
    route: str,
    wanted: Sequence[OutboxNotification],
    standing: Collection[str] = (),
    unheard: Collection[str] = (),
    overdue: Collection[str] = (),
) -> None:
    """Make the route's pending notifications those of `wanted` that were not sent or given up.

    Of those that a silence keeps, what is not among the `standing` has passed. The new ones of `unheard` are kept:
    a silence of before covered them. The new ones of `overdue` are sent to nobody. Those of an incident whose rows were
    replaced by one that says `told` are not new up to the time of that row.
    """
    told = _told(connection, route)
    by_id = {item.id: item for item in wanted if item.incident not in told or item.created > told[item.incident]}
    known = {item.id: item for item in _of_route(connection, route)}
    gone = sorted(known.keys() - by_id.keys())
    waits = _OUTBOX.c.state.in_((PENDING, KEPT))
    if gone:
        connection.execute(delete(_OUTBOX).where(_OUTBOX.c.id.in_(gone), waits))
    for id, item in by_id.items():
        if id in known and known[id] != item:
            connection.execute(update(_OUTBOX).where(_OUTBOX.c.id == id, waits).values(**asdict(item)))
    new = [
        {**asdict(item), "state": KEPT if id in unheard else PASSED if id in overdue else PENDING, "attempts": 0}
        for id, item in by_id.items()
        if id not in known
    ]
    insert_new(connection, _OUTBOX, new)
    over = (_OUTBOX.c.route == route, _OUTBOX.c.state == KEPT, _OUTBOX.c.id.not_in(sorted(standing)))
    connection.execute(update(_OUTBOX).where(*over).values(state=PASSED))


def _told(connection: Connection, route: str) -> dict[str, datetime]:
    one = _OUTBOX.c
    rows = connection.execute(select(one.incident, one.created).where(one.route == route, one.state == TOLD))
    return {row.incident: row.created for row in rows}


def _of_route(connection: Connection, route: str) -> tuple[OutboxNotification, ...]:
    columns = [_OUTBOX.c[name] for name in OutboxNotification.__dataclass_fields__]
    return tuple(
        OutboxNotification(*row)
        for row in connection.execute(select(*columns).where(_OUTBOX.c.route == route, _OUTBOX.c.state != TOLD))
    )


SENT: Final = "sent"
FAILED: Final = "failed"
_DELIVERIES = table(DeliveryRow)
_RECEIVERS = table(ReceiverRow)


@dataclass(frozen=True, slots=True)
class Delivery:
    """A notification that is to be sent to a receiver.

    Attributes:
        event_time: of what it tells of, by the route's clock; created: when it was first seen, by the wall clock.
        fired: the severity of the alert that it tells of, where it fires. quiet: nobody is to be rung for it.
    """

    notification: str
    receiver: str
    incident: str
    kind: str
    severity: Severity
    mention: bool
    text: str
    event_time: datetime
    created: datetime
    attempts: int
    next_attempt: datetime | None
    instead_of: str | None = None
    fired: Severity | None = None
    quiet: bool = False


@dataclass(frozen=True, slots=True)
class UntoldDelivery:
    """A notification that cannot be told to its receiver."""

    notification: str
    route: str
    incident: str
    receiver: str


@dataclass(frozen=True, slots=True)
class MessagePlace:
    """Where the message of an incident stands, and the digest of what it shows."""

    channel: str
    message: str
    shown: str | None
    storm: bool


@dataclass(frozen=True, slots=True)
class UnconfirmedDelivery:
    """What a receiver has not got of an incident: since when, how often it was tried, and what stands in the way."""

    incident: str
    receiver: str
    since: datetime
    attempts: int
    error: str | None


def fan_out(connection: Connection, receivers: Callable[[str], Sequence[str]], now: datetime) -> tuple[str, ...]:
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


def untold(connection: Connection, receivers: Collection[str]) -> tuple[UntoldDelivery, ...]:
    """What waits for these receivers."""
    one, of = _DELIVERIES.c, _OUTBOX.c
    query = select(one.notification, of.route, one.incident, one.receiver).join(_OUTBOX, of.id == one.notification)
    waiting = query.where(one.receiver.in_(sorted(receivers)), one.state == PENDING, of.state == PENDING)
    return tuple(UntoldDelivery(*row) for row in connection.execute(waiting.order_by(one.created, one.notification)))


def tell_instead(connection: Connection, others: Mapping[UntoldDelivery, str], now: datetime) -> None:
    """Make a delivery to another receiver of each, where that one has none of its own."""
    rows = [
        {"notification": one.notification, "receiver": name, "incident": one.incident, "instead_of": one.receiver}
        for one, name in others.items()
    ]
    made = {"created": now, "state": PENDING, "attempts": 0, "storm": False}
    insert_new(connection, _DELIVERIES, [{**row, **made} for row in rows])


def known_to(connection: Connection, others: Mapping[UntoldDelivery, str]) -> frozenset[UntoldDelivery]:
    """Those whose other receiver has a delivery of the notification already."""
    one = _DELIVERIES.c
    query = select(one.notification, one.receiver).where(
        one.notification.in_(sorted({untold.notification for untold in others}))
    )
    there = {(row.notification, row.receiver) for row in connection.execute(query)}
    return frozenset(untold for untold, name in others.items() if (untold.notification, name) in there)


def has_new(connection: Connection) -> bool:
    """Whether there is a notification without deliveries."""
    known = exists().where(_DELIVERIES.c.notification == _OUTBOX.c.id)
    return bool(connection.execute(select(exists().where(_OUTBOX.c.state == PENDING, ~known))).scalar())


def forget_withdrawn(connection: Connection) -> None:
    """Delete what is no longer to be sent, since its incident is told otherwise now."""
    there = exists().where(_OUTBOX.c.id == _DELIVERIES.c.notification)
    connection.execute(delete(_DELIVERIES).where(_DELIVERIES.c.state == PENDING, ~there))


def first_pending(connection: Connection, receiver: str) -> tuple[Delivery, ...]:
    """The first of each incident that the receiver has not got, oldest first: the later ones have to wait for it.

    What opens an incident comes before all else of it, and at one time the lesser severity first. What cannot be read
    is left out: `fail_unreadable` ends it.
    """
    one, of = _DELIVERIES.c, _OUTBOX.c
    of_it = (of.kind, of.payload, of.silence, of.created.label("event_time"))
    columns = (one.notification, one.receiver, one.incident, *of_it)
    query = select(*columns, one.created, one.attempts, one.next_attempt, one.instead_of)
    query = query.join(_OUTBOX, of.id == one.notification).where(one.receiver == receiver, one.state == PENDING)
    read = (_delivery(row) for row in connection.execute(query))
    found = sorted((one for one in read if one is not None), key=_order)
    first: dict[str, Delivery] = {}
    for delivery in found:
        first.setdefault(delivery.incident, delivery)
    return tuple(first.values())


def receivers_with_work(connection: Connection, now: datetime) -> tuple[str, ...]:
    """Names of the receivers that have something to be sent now."""
    one, all = _DELIVERIES.c, _RECEIVERS.c
    due = or_(one.next_attempt.is_(None), one.next_attempt <= now)
    resting = select(all.receiver).where(all.next_attempt > now)
    query = select(one.receiver).where(one.state == PENDING, due, one.receiver.not_in(resting))
    return tuple(connection.execute(query.distinct().order_by(one.receiver)).scalars())


def with_message(connection: Connection, receiver: str, incidents: Iterable[str]) -> frozenset[str]:
    """Those of the incidents of which the receiver has a message."""
    one = _DELIVERIES.c
    query = select(one.incident).where(one.receiver == receiver, one.message.is_not(None))
    return frozenset(connection.execute(query.where(one.incident.in_(sorted(incidents)))).scalars())


def message_of(connection: Connection, receiver: str, incident: str) -> MessagePlace | None:
    """Where the receiver has its message of the incident."""
    one = _DELIVERIES.c
    query = select(one.channel, one.message, one.shown, one.storm).where(*_of(receiver, incident))
    row = connection.execute(query.where(one.message.is_not(None)).order_by(one.sent).limit(1)).one_or_none()
    return None if row is None else MessagePlace(*row)


def worst_told(connection: Connection, receiver: str, incident: str) -> Severity | None:
    """The worst alert of the incident of which the receiver was told; None when it has heard of none."""
    one, of = _DELIVERIES.c, _OUTBOX.c
    query = select(of.payload, of.kind).join(_DELIVERIES, one.notification == of.id)
    rows = connection.execute(query.where(*_of(receiver, incident), one.state == SENT))
    told = (_severity_told(content_of(row.payload), row.kind) for row in rows)
    return max((severity for severity in told if severity is not None), key=rank, default=None)


def _severity_told(content: OutboxContent | None, kind: str) -> Severity | None:
    """Of the alert that it told of; one of before does not say, and was loud when it raised what was told."""
    if content is None:
        return None
    return content.severity if content.fired is None and kind != "update" else content.fired


def sharing_message(connection: Connection, receiver: str, place: MessagePlace) -> tuple[str, ...]:
    """The incidents that share a storm's message, in the order in which they were told."""
    one = _DELIVERIES.c
    query = select(one.incident).where(*_at(receiver, place)).order_by(one.created, one.incident)
    return tuple(connection.execute(query).scalars())


def opened_since(connection: Connection, receiver: str, since: datetime) -> tuple[tuple[datetime, bool], ...]:
    """When new incidents were told since then, and whether by a storm's message."""
    one = _DELIVERIES.c
    query = select(one.sent, one.storm).where(one.receiver == receiver, one.message.is_not(None), one.sent > since)
    return tuple((row.sent, row.storm) for row in connection.execute(query.order_by(one.sent)))


def accept(
    connection: Connection, deliveries: Iterable[Delivery], now: datetime, placed: MessagePlace | None = None
) -> None:
    """The vendor has them; `placed` says where the new message stands, if it is one."""
    place: dict[str, Any] = {}
    if placed is not None:
        place = {"channel": placed.channel, "message": placed.message, "shown": placed.shown, "storm": placed.storm}
    for delivery in deliveries:
        values = {"state": SENT, "sent": now, "error": None, "next_attempt": None, **place}
        _change(connection, delivery, {**values, "attempts": delivery.attempts + 1})
        _settle(connection, delivery.notification, now)


def note_shown(connection: Connection, receiver: str, place: MessagePlace, digest: str) -> None:
    """The message shows something else now."""
    connection.execute(update(_DELIVERIES).where(*_at(receiver, place)).values(shown=digest))


def forget_message(connection: Connection, receiver: str, place: MessagePlace) -> None:
    """The message is no longer there: what comes next is a new one."""
    connection.execute(update(_DELIVERIES).where(*_at(receiver, place)).values(channel=None, message=None, shown=None))


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
    _settle(connection, delivery.notification, now)


def give_up(connection: Connection, receiver: str, before: datetime, error: str, now: datetime) -> int:
    """Fail all that the receiver was to get since before that time; how many that were."""
    one = _DELIVERIES.c
    mine = (one.receiver == receiver, one.state == PENDING, one.created <= before)
    notifications = tuple(connection.execute(select(one.notification).where(*mine)).scalars())
    connection.execute(update(_DELIVERIES).where(*mine).values(state=FAILED, error=error))
    for notification in notifications:
        _settle(connection, notification, now)
    return len(notifications)


def fail_unreadable(connection: Connection, now: datetime) -> tuple[str, ...]:
    """Fail what waits and cannot be read, for all receivers; the incidents of which that was to tell."""
    one, of = _DELIVERIES.c, _OUTBOX.c
    query = select(of.id, of.incident, of.payload).where(of.state.in_((PENDING, KEPT))).order_by(of.created, of.id)
    lost = [row for row in connection.execute(query) if content_of(row.payload) is None]
    for row in lost:
        mine = (one.notification == row.id, one.state == PENDING)
        connection.execute(update(_DELIVERIES).where(*mine).values(state=FAILED, error=UNREADABLE))
        _settle(connection, row.id, now)
        connection.execute(update(_OUTBOX).where(of.id == row.id).values(state=FAILED, error=UNREADABLE))
    return tuple(row.incident for row in lost)


def _settle(connection: Connection, notification: str, now: datetime) -> None:
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


def unconfirmed(connection: Connection, since: datetime, before: datetime) -> tuple[UnconfirmedDelivery, ...]:
    """The incidents of which a receiver has not got all that it should have, of what came up in [since, before]."""
    one = _DELIVERIES.c
    columns = (one.incident, one.receiver, func.min(one.created), func.max(one.attempts), func.max(one.error))
    query = select(*columns).where(one.state != SENT, one.created >= since, one.created <= before)
    rows = connection.execute(query.group_by(one.incident, one.receiver).order_by(one.receiver, one.incident))
    return tuple(UnconfirmedDelivery(*row) for row in rows)


def _of(receiver: str, incident: str) -> tuple[Any, ...]:
    return _DELIVERIES.c.receiver == receiver, _DELIVERIES.c.incident == incident


def _at(receiver: str, place: MessagePlace) -> tuple[Any, ...]:
    one = _DELIVERIES.c
    return one.receiver == receiver, one.channel == place.channel, one.message == place.message


def _change(connection: Connection, delivery: Delivery, values: dict[str, Any]) -> None:
    one = _DELIVERIES.c
    this = (one.notification == delivery.notification, one.receiver == delivery.receiver)
    connection.execute(update(_DELIVERIES).where(*this).values(**values))


def _order(delivery: Delivery) -> tuple[bool, datetime, int, str]:
    return delivery.kind != "post", delivery.event_time, rank(delivery.severity), delivery.notification


def _delivery(row: Any) -> Delivery | None:
    content = content_of(row.payload)
    if content is None:
        return None
    return Delivery(
        notification=row.notification,
        receiver=row.receiver,
        incident=row.incident,
        kind=row.kind,
        severity=content.severity,
        mention=content.mention,
        text=content.text,
        event_time=row.event_time,
        created=row.created,
        attempts=row.attempts,
        next_attempt=row.next_attempt,
        instead_of=row.instead_of,
        fired=content.fired,
        quiet=row.silence is not None and content.fired is None,
    )


def compact(connection: Connection, incident: str) -> None:
    """Replace all that was told of an incident by one row that says so; what waits is left alone."""
    one = _OUTBOX.c
    rows = connection.execute(select(one.id, one.route, one.state, one.created).where(one.incident == incident)).all()
    if not rows or any(row.state in {PENDING, KEPT} for row in rows):
        return
    connection.execute(delete(_OUTBOX).where(one.incident == incident))
    connection.execute(delete(_DELIVERIES).where(_DELIVERIES.c.incident == incident))
    pictures.forget(connection, incident)
    told = OutboxNotification(f"told:{incident}", rows[0].route, incident, TOLD, "{}", max(row.created for row in rows))
    insert_new(connection, _OUTBOX, [{**asdict(told), "state": TOLD, "attempts": 0}])
