"""Incidents as the journal gives them: the table, filtered lists, and one incident with all its details."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import Any, Final, cast

from pydantic_core import to_json
from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Index,
    Text,
    and_,
    case,
    delete,
    exists,
    func,
    or_,
    select,
    text,
)
from sqlmodel import Field

from schemas.alert import SEVERITIES, Alert, Severity, rank
from schemas.decision import Decision
from schemas.evaluation import Comparison
from schemas.fact import Fact
from schemas.identity import Model
from schemas.incident import Incident, IncidentState
from schemas.sample import Sample
from services import specs
from services.store import audit_log, decisions, journal, routes, samples
from services.store.dialect import upsert
from services.store.journal import (
    MOST_WITHIN,
)
from services.store.tables import (
    ANY_TIME,
    EVERYTHING,
    WRITTEN,
    Base,
    TimeSpan,
    UtcDateTime,
    older_than,
    table,
    today,
    visible,
)


class IncidentRow(Base, table=True):
    """One incident, derived from its route's journal: at most one of a route is not resolved.

    `false_alarm` says that somebody called it one; `written` is the day of its last change, by our own clock.
    """

    __tablename__ = "incidents"
    __table_args__ = (
        Index(
            "uq_incidents_unresolved_route",
            "route",
            unique=True,
            sqlite_where=text("state <> 'resolved'"),
            postgresql_where=text("state <> 'resolved'"),
        ),
        Index(None, "route", "opened_at"),
        Index(None, "opened_at", "id"),
    )
    id: str = Field(primary_key=True)
    route: str
    state: str
    severity: str
    opened_event_index: int = Field(sa_type=BigInteger)
    opened_at: datetime = Field(sa_type=cast(Any, UtcDateTime))
    payload: str = Field(sa_type=Text)
    false_alarm: bool = Field(default=False, sa_column_kwargs={"server_default": text("false")})
    written: int = Field(default=0, sa_column_kwargs=WRITTEN)


_INCIDENTS = table(IncidentRow)
_READ_AT_ONCE: Final = 100
_MAY_LAST: Final = timedelta(days=14)
"""For so long it is asked of an incident that closed by itself whether what it tells of goes on."""


def open_within(
    connection: Connection, route: str, since: datetime, until: datetime, most: int = MOST_WITHIN
) -> tuple[Incident, ...]:
    """Incidents that were open at some time in [since, until), newest first."""
    one = _INCIDENTS.c
    query = select(one.payload).where(one.route == route, one.opened_at < until)
    newest = query.order_by(one.opened_at.desc(), one.id.desc()).limit(most)
    found = (Incident.decode(payload.encode()) for payload in connection.execute(newest).scalars())
    return tuple(one for one in found if one.resolved_at is None or one.resolved_at >= since)


def replace(
    connection: Connection, route: str, incidents: Sequence[Incident], false_alarms: Collection[str] = ()
) -> None:
    """Make the route's incidents exactly these: changed ones are written, those no longer derived deleted.

    `false_alarms` are the ids of the decisions that called one of them that.
    """
    query = select(_INCIDENTS.c.id, _INCIDENTS.c.payload).where(_INCIDENTS.c.route == route)
    stored = {id: payload for id, payload in connection.execute(query)}  # noqa: C416 -- rows are tuples of any
    rows = {incident.id: _row(incident, false_alarms) for incident in incidents}
    gone = sorted(stored.keys() - rows.keys())
    changed = [row for id, row in rows.items() if stored.get(id) != row["payload"]]
    touched = [(id,) for id in (*gone, *(row["id"] for row in changed))]
    if not touched:
        return
    audit_log.guard(connection, "incidents", touched)
    if gone:
        connection.execute(delete(_INCIDENTS).where(_INCIDENTS.c.id.in_(gone)))
    # Resolved ones first: a route has one incident that is not, at any moment.
    upsert(connection, _INCIDENTS, sorted(changed, key=lambda row: row["state"] != "resolved"))
    audit_log.note(connection, "incidents", touched)


def has_unresolved(connection: Connection, route: str) -> bool:
    """Whether an incident of the route is open."""
    unresolved = exists().where(_INCIDENTS.c.route == route, _INCIDENTS.c.state != "resolved")
    return bool(connection.execute(select(unresolved)).scalar())


def unresolved(connection: Connection, names: Collection[str]) -> frozenset[str]:
    """Those of the routes that have an open incident."""
    if not names:
        return frozenset()
    query = select(_INCIDENTS.c.route).where(_INCIDENTS.c.route.in_(sorted(names)), _INCIDENTS.c.state != "resolved")
    return frozenset(connection.execute(query.distinct()).scalars())


def await_time(connection: Connection, names: Collection[str], clock: datetime) -> frozenset[str]:
    """Those of the routes of which time alone can still change an incident: one that is open, or that closed by itself.

    `clock` is the earliest of theirs.
    """
    one = _INCIDENTS.c
    recent = (one.severity == "info") & (one.opened_at > clock - _MAY_LAST)
    query = select(one.route).where(one.route.in_(sorted(names)), (one.state != "resolved") | recent)
    return frozenset(connection.execute(query.distinct()).scalars()) if names else frozenset()


def find(connection: Connection, route: str | None = None, states: Sequence[str] | None = None) -> tuple[Incident, ...]:
    """The incidents of one route or of all, in these states or all, in the order of their opening."""
    query = select(_INCIDENTS.c.payload).order_by(_INCIDENTS.c.opened_at, _INCIDENTS.c.id)
    if route is not None:
        query = query.where(_INCIDENTS.c.route == route)
    if states is not None:
        query = query.where(_INCIDENTS.c.state.in_(states))
    return tuple(Incident.decode(payload.encode()) for payload in connection.execute(query).scalars())


def newest(
    connection: Connection, most: int, since: datetime | None = None, until: datetime | None = None
) -> tuple[Incident, ...]:
    """At most so many incidents of all routes that opened in [since, until], the one that opened last first."""
    query = select(_INCIDENTS.c.payload).order_by(_INCIDENTS.c.opened_at.desc(), _INCIDENTS.c.id).limit(most)
    if since is not None:
        query = query.where(_INCIDENTS.c.opened_at >= since)
    if until is not None:
        query = query.where(_INCIDENTS.c.opened_at <= until)
    return tuple(Incident.decode(payload.encode()) for payload in connection.execute(query).scalars())


def naming(connection: Connection, route: str, id: str, most: int = MOST_WITHIN) -> tuple[Incident, ...]:
    """At most so many incidents of the route that name an exchange, newest first.

    An id may be a word that incidents hold for another reason, such as a state: they are read until enough name it.
    """
    query = select(_INCIDENTS.c.payload).where(
        _INCIDENTS.c.route == route, _INCIDENTS.c.payload.contains(to_json(id).decode(), autoescape=True)
    )
    newest = query.order_by(_INCIDENTS.c.opened_at.desc(), _INCIDENTS.c.id.desc())
    with connection.execute(newest.execution_options(yield_per=_READ_AT_ONCE)) as rows:
        found = (Incident.decode(payload.encode()) for payload in rows.scalars())
        named = (one for one in found if id in one.exemplars or id in one.counterparts)
        return tuple(islice(named, most))


def undecided(connection: Connection, route: str) -> tuple[Incident, ...]:
    """The incidents of a route that nobody called a false alarm, in the order of their opening."""
    query = select(_INCIDENTS.c.payload).where(_INCIDENTS.c.route == route, ~_INCIDENTS.c.false_alarm)
    query = query.order_by(_INCIDENTS.c.opened_at, _INCIDENTS.c.id)
    return tuple(Incident.decode(payload.encode()) for payload in connection.execute(query).scalars())


def get(connection: Connection, id: str) -> Incident | None:
    """One incident."""
    payload = connection.execute(select(_INCIDENTS.c.payload).where(_INCIDENTS.c.id == id)).scalar_one_or_none()
    return Incident.decode(payload.encode()) if payload is not None else None


def _row(incident: Incident, false_alarms: Collection[str]) -> dict[str, Any]:
    return {
        "id": incident.id,
        "route": incident.route,
        "state": incident.state,
        "severity": incident.severity,
        "opened_event_index": incident.opened_event_index,
        "opened_at": incident.opened_at,
        "payload": incident.encode().decode(),
        "false_alarm": any(entry.ref in false_alarms for entry in incident.timeline),
        "written": today(),
    }


_RANK: Final = case({name: rank(name) for name in SEVERITIES}, value=_INCIDENTS.c.severity, else_=0)

IncidentPlace = tuple[int, datetime, str]
"""Where an incident stands in a list: rank of its severity (0 where all count alike), time of opening, id."""


@dataclass(frozen=True, slots=True)
class IncidentFilter:
    """Which incidents: of routes that fit one of the globs, in one of the states, of one of the severities.

    `within` are globs of which the route fits one as well: `globs` are what is seen, these what is looked for.
    `opened`: when. `id`: what their ids begin with.
    """

    globs: Sequence[str] = EVERYTHING
    states: Sequence[IncidentState] = ()
    severities: Sequence[Severity] = ()
    worst_first: bool = False
    within: Sequence[str] = EVERYTHING
    opened: TimeSpan = ANY_TIME
    id: str = ""


def page(
    connection: Connection, wanted: IncidentFilter, after: IncidentPlace | None, most: int
) -> tuple[Incident, ...]:
    """At most so many incidents that follow the one at that place; the newest first, the worst ones before them."""
    worst = _RANK if wanted.worst_first else None
    opened, id = _INCIDENTS.c.opened_at, _INCIDENTS.c.id
    order: list[ColumnElement[Any]] = (
        [opened.desc(), id.desc()] if worst is None else [worst.desc(), opened.desc(), id.desc()]
    )
    query = select(_INCIDENTS.c.payload).where(_fits(wanted)).order_by(*order).limit(most)
    if after is not None:
        rank_, ts, name = after
        later = older_than((ts, name), opened, id)
        query = query.where(later if worst is None else or_(worst < rank_, and_(worst == rank_, later)))
    return tuple(Incident.decode(payload.encode()) for payload in connection.execute(query).scalars())


def place_of(incident: Incident, wanted: IncidentFilter) -> IncidentPlace:
    """Where the incident stands in that list."""
    return rank(incident.severity) if wanted.worst_first else 0, incident.opened_at, incident.id


def count(connection: Connection, wanted: IncidentFilter) -> int:
    """How many there are."""
    return int(connection.execute(select(func.count()).select_from(_INCIDENTS).where(_fits(wanted))).scalar_one())


def _fits(wanted: IncidentFilter) -> ColumnElement[bool]:
    held: list[ColumnElement[bool]] = [visible(_INCIDENTS.c.route, some) for some in (wanted.globs, wanted.within)]
    held.append(wanted.opened.holds(_INCIDENTS.c.opened_at))
    if wanted.id:  # a range, and not LIKE, which finds no key on SQLite: ids are hexadecimal, and `g` follows `f`
        held.append(and_(_INCIDENTS.c.id >= wanted.id, _INCIDENTS.c.id < f"{wanted.id}g"))
    if wanted.states:
        held.append(_INCIDENTS.c.state.in_(wanted.states))
    if wanted.severities:
        held.append(_INCIDENTS.c.severity.in_(wanted.severities))
    return and_(*held)


_QUESTIONS: Final = 300
"""So many questions of before and of now are compared."""
_LOOK_BACK: Final = timedelta(hours=24)
"""An incident tells of evaluations that were so shortly before it."""


@dataclass(frozen=True, slots=True)
class IncidentDetails:
    """An incident and what it refers to.

    Attributes:
        alerts: the newest of each fingerprint, firing or not, in the order of their first crossing.
        comparisons: those that its timeline refers to, in order.
        models: of the route, by identity.
        samples: of its exemplars and their counterparts, where text was kept.
        asked: questions of the baseline, and those since it began, where a detector says that these changed.
        decided: what people decided on it that its timeline does not show yet.
    """

    incident: Incident
    alerts: tuple[Alert, ...]
    comparisons: tuple[Comparison, ...]
    models: Mapping[str, Model]
    samples: Mapping[str, Sample]
    decided: tuple[Decision, ...]
    asked: tuple[tuple[str, ...], tuple[str, ...]] = ((), ())


def details(connection: Connection, id: str) -> IncidentDetails | None:
    """The dossier of an incident; None when there is no such incident."""
    incident = get(connection, id)
    if incident is None:
        return None
    kept = texts(connection, incident)
    referenced = {entry.ref for entry in incident.timeline}
    facts = journal.facts(connection, incident.route, incident.opened_at - _LOOK_BACK)
    return IncidentDetails(
        incident,
        _alerts(incident, facts),
        tuple(fact for fact in facts if isinstance(fact, Comparison) and fact.id in referenced),
        routes.identities(connection, incident.route),
        kept,
        tuple(one for one in decisions.of_incident(connection, id) if one.id not in referenced),
        _questions(connection, incident, kept),
    )


def texts(connection: Connection, incident: Incident) -> dict[str, Sample]:
    """Exchange -> its text, of those that an incident names and of their counterparts, where it was kept."""
    return samples.by_id(connection, incident.route, {*incident.exemplars, *filter(None, incident.counterparts)})


def _questions(
    connection: Connection, incident: Incident, kept: Mapping[str, Sample]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The questions of before and of since then whose text is kept, where a detector says that they changed."""
    if all(specs.family_of(family).blames != "users" for family in incident.families):
        return (), ()
    pinned = samples.baseline_of(connection, incident.route)
    if pinned is None:
        return (), ()
    since = incident.opened_at if incident.change_point is None else incident.change_point.ts
    shown = {one.id: one for one in samples.newest(connection, incident.route, since, _QUESTIONS)}
    shown |= {id: kept[id] for id in incident.exemplars if id in kept}
    before = samples.of_baseline(connection, incident.route, pinned, _QUESTIONS)
    return tuple(one.prompt for one in before), tuple(one.prompt for one in shown.values())


def _alerts(incident: Incident, facts: tuple[Fact, ...]) -> tuple[Alert, ...]:
    """Of each fingerprint the newest alert within the incident's life that has something to show.

    One that tells of a further change says nothing new of the baseline, and stands only where there is no other.
    """
    end = incident.resolved_at or incident.updated_at
    found: dict[str, Alert] = {}
    for fact in sorted(
        (f for f in facts if isinstance(f, Alert) and not f.shadow), key=lambda alert: (alert.ts, alert.event_index)
    ):
        of_it = fact.fingerprint in incident.fingerprints and incident.opened_at <= fact.ts <= end
        if of_it and (fact.again is None or fact.fingerprint not in found):
            found[fact.fingerprint] = fact
    return tuple(found.values())
