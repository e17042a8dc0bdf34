"""Silences: who is told nothing of which route until when, and which notifications wait for their end.

They are applied to the outbox: a notification that a silence covers is `kept`; at the end of the silence the worst of
an incident's that still stand is sent, and what came and went meanwhile has `passed`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Final, cast

from sqlalchemy import Connection, Index, Select, Text, delete, exists, func, select, update
from sqlmodel import Field

from schemas.alert import Severity
from schemas.decision import Decision, Silence, silences_of
from services.store import audit_log, decisions
from services.store.decisions import DecisionFilter
from services.store.deliveries import FAILED, KEPT, PASSED, PENDING, SENT, DeliveryRow, OutboxRow
from services.store.dialect import upsert
from services.store.outbox_content import content_of
from services.store.tables import Base, UtcDateTime, table

MOST_KEPT_SHOWN: Final = 50
_MOST_ON_THE_WAY: Final = 200


class SilenceRow(Base, table=True):
    """One silence as people left it: `until` is its end, earlier than it was made for where somebody ended it."""

    __tablename__ = "silences"
    __table_args__ = (Index(None, "route", "until"),)
    id: str = Field(primary_key=True)
    route: str
    since: datetime = Field(sa_type=cast(Any, UtcDateTime))
    until: datetime = Field(sa_type=cast(Any, UtcDateTime))
    actor: str
    reason: str = Field(sa_type=Text)
    fingerprint: str | None = None
    incident: str | None = None
    ended_by: str | None = None
    ended_reason: str | None = Field(default=None, sa_type=Text)


_SILENCES, _OUTBOX, _DELIVERIES = table(SilenceRow), table(OutboxRow), table(DeliveryRow)
_COLUMNS: Final = [_SILENCES.c[name] for name in Silence.__dataclass_fields__]


def put(connection: Connection, route: str, silences: Sequence[Silence]) -> None:
    """Write the silences of a route as its decisions say they are; others of it go."""
    keys = [(one.id,) for one in silences]
    kept = {one.id for one in silences}
    for id in ids_of(connection, route):
        if id not in kept:
            audit_log.delete_rows(connection, _SILENCES, _SILENCES.c.id == id)
    if keys:
        audit_log.guard(connection, "silences", keys)
        upsert(connection, _SILENCES, [asdict(one) for one in silences])
        audit_log.note(connection, "silences", keys)


def holding(
    connection: Connection, routes: Collection[str] | Select[tuple[str]], now: datetime
) -> dict[str, tuple[Silence, ...]]:
    """Route -> the silences that hold on it at `now`, the longest first; of those routes that have one."""
    wanted = routes if isinstance(routes, Select) else sorted(set(routes))
    query = select(*_COLUMNS).where(_SILENCES.c.route.in_(wanted), _SILENCES.c.until > now)
    found: dict[str, tuple[Silence, ...]] = {}
    for row in connection.execute(query.order_by(_SILENCES.c.until.desc(), _SILENCES.c.id)):
        one = Silence(*row)
        found[one.route] = (*found.get(one.route, ()), one)
    return found


def of_route(connection: Connection, route: str, now: datetime) -> tuple[Silence, ...]:
    """The silences that hold on one route."""
    return holding(connection, (route,), now).get(route, ())


def all_holding(connection: Connection, now: datetime) -> tuple[Silence, ...]:
    """All silences that hold, by route."""
    query = select(*_COLUMNS).where(_SILENCES.c.until > now).order_by(_SILENCES.c.route, _SILENCES.c.until)
    return tuple(Silence(*row) for row in connection.execute(query))


def by_id(connection: Connection, ids: Iterable[str]) -> dict[str, Silence]:
    """Those of these ids that took effect."""
    query = select(*_COLUMNS).where(_SILENCES.c.id.in_(sorted(set(ids))))
    return {one.id: one for one in (Silence(*row) for row in connection.execute(query))}


def ids_of(connection: Connection, route: str) -> tuple[str, ...]:
    """The ids of all silences of a route, also of those that are over."""
    query = select(_SILENCES.c.id).where(_SILENCES.c.route == route).order_by(_SILENCES.c.id)
    return tuple(connection.execute(query).scalars())


def on_the_way(connection: Connection, globs: Sequence[str]) -> tuple[Decision, ...]:
    """What people decided of silences that did not take effect yet, of routes that fit one of the globs."""
    wanted = DecisionFilter(globs, kinds=("silence", "end_silence"))
    found = decisions.page(connection, wanted, None, _MOST_ON_THE_WAY)
    return tuple(one.decision for one in reversed(found) if not one.applied)


@dataclass(frozen=True, slots=True)
class ShownSilence:
    """A silence that holds; `applied` once it took effect, before that it is on its way."""

    silence: Silence
    applied: bool


def shown(connection: Connection, routes: Sequence[str], now: datetime) -> dict[str, tuple[ShownSilence, ...]]:
    """Route -> the silences that hold on it, and those that will in a moment; of those routes that have one."""
    applied = holding(connection, routes, now)
    found = {route: tuple(ShownSilence(one, True) for one in some) for route, some in applied.items()}
    for one in silences_of(on_the_way(connection, tuple(routes)) if routes else ()):
        if one.holds(now):
            found[one.route] = (*found.get(one.route, ()), ShownSilence(one, False))
    return found


@dataclass(frozen=True, slots=True)
class KeptNotification:
    """Something that nobody was told when it happened: `waits` until its silence ends, was `told` then, or `passed`."""

    incident: str
    text: str
    ts: datetime
    state: str


_KEPT_STATES: Final = {KEPT: "waits", PASSED: "passed"}


def kept_by(connection: Connection, ids: Collection[str]) -> dict[str, tuple[KeptNotification, ...]]:
    """Silence -> the newest alerts that it kept from people, in order."""
    one = _OUTBOX.c
    place = func.row_number().over(partition_by=one.silence, order_by=(one.created.desc(), one.id))
    columns = (one.silence, one.incident, one.payload, one.created, one.state)
    some = select(*columns, place.label("place")).where(one.silence.in_(sorted(set(ids)))).subquery()
    query = select(some).where(some.c.place <= MOST_KEPT_SHOWN).order_by(some.c.created, some.c.incident)
    found: dict[str, tuple[KeptNotification, ...]] = {}
    for row in connection.execute(query):
        content = content_of(row.payload)
        if content is not None and content.fired is not None:
            state = _KEPT_STATES.get(row.state, "told")
            kept = KeptNotification(row.incident, content.text, row.created, state)
            found[row.silence] = (*found.get(row.silence, ()), kept)
    return found


@dataclass(frozen=True, slots=True)
class OutboxEntry:
    """A notification of the outbox, as far as silences ask.

    Attributes:
        fingerprint, fired: the alert that it tells of, and its severity where it fires.
        heard: whether a receiver has it. silence: the one that keeps it, or kept it.
    """

    id: str
    route: str
    incident: str
    state: str
    created: datetime
    fingerprint: str | None
    fired: Severity | None
    heard: bool
    silence: str | None


def unsettled(connection: Connection) -> tuple[OutboxEntry, ...]:
    """All notifications that can be read of the incidents of which any waits to be sent or is kept, oldest first."""
    open_ones = select(_OUTBOX.c.incident).where(_OUTBOX.c.state.in_((PENDING, KEPT)))
    one = _OUTBOX.c
    heard = exists().where(_DELIVERIES.c.notification == one.id, _DELIVERIES.c.state.in_((SENT, FAILED)))
    columns = (one.id, one.route, one.incident, one.state, one.created, one.payload, one.silence, heard.label("heard"))
    query = select(*columns).where(one.incident.in_(open_ones)).order_by(one.created, one.id)
    entries = (_entry(row) for row in connection.execute(query))
    return tuple(one for one in entries if one is not None)


def _entry(row: Any) -> OutboxEntry | None:
    content = content_of(row.payload)
    if content is None:
        return None
    heard = row.heard or row.state in (SENT, FAILED)
    return OutboxEntry(
        row.id,
        row.route,
        row.incident,
        row.state,
        row.created,
        content.fingerprint,
        content.fired,
        heard,
        row.silence,
    )


def any_unsettled(connection: Connection) -> bool:
    """Whether any notification waits to be sent, or for the end of a silence."""
    return bool(connection.execute(select(exists().where(_OUTBOX.c.state.in_((PENDING, KEPT))))).scalar())


def settle(connection: Connection, states: Mapping[str, str], silences: Mapping[str, str]) -> None:
    """Give these notifications other states, and note which silence keeps them (or makes them quiet).

    What is not sent any more has no delivery either; what is to be sent again is dealt out anew.
    """
    for id, silence in sorted(silences.items()):
        connection.execute(update(_OUTBOX).where(_OUTBOX.c.id == id).values(silence=silence))
    for id, state in sorted(states.items()):
        connection.execute(update(_OUTBOX).where(_OUTBOX.c.id == id).values(state=state))
        if state != PENDING:
            mine = (_DELIVERIES.c.notification == id, _DELIVERIES.c.state == PENDING)
            connection.execute(delete(_DELIVERIES).where(*mine))
