"""Notifications on their way out, written in the transaction of what they tell of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, delete, select, update

from services.store.dialect import insert_new
from services.store.tables import OutboxRow, table

PENDING: Final = "pending"
_OUTBOX = table(OutboxRow)


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One notification: its id is the same however often it is derived. `payload` is JSON."""

    id: str
    route: str
    incident: str
    kind: str
    payload: str
    created: datetime


def reconcile(connection: Connection, route: str, wanted: Sequence[Outgoing]) -> None:
    """Make the route's pending notifications those of `wanted` that were not sent or given up."""
    by_id = {item.id: item for item in wanted}
    known = {item.id: item for item in _of_route(connection, route)}
    gone = sorted(known.keys() - by_id.keys())
    if gone:
        connection.execute(delete(_OUTBOX).where(_OUTBOX.c.id.in_(gone), _OUTBOX.c.state == PENDING))
    for id, item in by_id.items():
        if id in known and known[id] != item:
            this = (_OUTBOX.c.id == id, _OUTBOX.c.state == PENDING)
            connection.execute(update(_OUTBOX).where(*this).values(**asdict(item)))
    new = [{**asdict(item), "state": PENDING, "attempts": 0} for id, item in by_id.items() if id not in known]
    insert_new(connection, _OUTBOX, new)


def _of_route(connection: Connection, route: str) -> tuple[Outgoing, ...]:
    columns = [_OUTBOX.c[name] for name in Outgoing.__dataclass_fields__]
    return tuple(Outgoing(*row) for row in connection.execute(select(*columns).where(_OUTBOX.c.route == route)))


def pending(connection: Connection) -> tuple[Outgoing, ...]:
    """What is to be sent, oldest first."""
    columns = [_OUTBOX.c[name] for name in Outgoing.__dataclass_fields__]
    query = select(*columns).where(_OUTBOX.c.state == PENDING).order_by(_OUTBOX.c.created, _OUTBOX.c.id)
    return tuple(Outgoing(*row) for row in connection.execute(query))
