"""Lists of incidents for people: the worst first, or the newest, narrowed down, a page at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, and_, case, func, or_, select

from schemas.alert import Severity, rank
from schemas.incident import Incident, IncidentState
from services.store.tables import IncidentRow, table
from services.store.visible import EVERYTHING, visible

_INCIDENTS = table(IncidentRow)
_SEVERITIES: Final[tuple[Severity, ...]] = ("info", "warning", "error", "critical")
_RANK: Final = case({name: rank(name) for name in _SEVERITIES}, value=_INCIDENTS.c.severity, else_=0)

Place = tuple[int, datetime, str]
"""Where an incident stands in a list: rank of its severity (0 where all count alike), time of opening, id."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which incidents: of routes that fit one of the globs, in one of the states, of one of the severities.

    `within` are globs of which the route fits one as well: `globs` are what is seen, these what is looked for.
    """

    globs: Sequence[str] = EVERYTHING
    states: Sequence[IncidentState] = ()
    severities: Sequence[Severity] = ()
    worst_first: bool = False
    within: Sequence[str] = EVERYTHING


def page(connection: Connection, wanted: Wanted, after: Place | None, most: int) -> tuple[Incident, ...]:
    """At most so many incidents that follow the one at that place; the newest first, the worst ones before them."""
    worst = _RANK if wanted.worst_first else None
    opened, id = _INCIDENTS.c.opened_at, _INCIDENTS.c.id
    order: list[ColumnElement[Any]] = (
        [opened.desc(), id.desc()] if worst is None else [worst.desc(), opened.desc(), id.desc()]
    )
    query = select(_INCIDENTS.c.payload).where(_fits(wanted)).order_by(*order).limit(most)
    if after is not None:
        rank_, ts, name = after
        later = or_(opened < ts, and_(opened == ts, id < name))
        query = query.where(later if worst is None else or_(worst < rank_, and_(worst == rank_, later)))
    return tuple(Incident.decode(payload.encode()) for payload in connection.execute(query).scalars())


def place_of(incident: Incident, wanted: Wanted) -> Place:
    """Where the incident stands in that list."""
    return rank(incident.severity) if wanted.worst_first else 0, incident.opened_at, incident.id


def count(connection: Connection, wanted: Wanted) -> int:
    """How many there are."""
    return int(connection.execute(select(func.count()).select_from(_INCIDENTS).where(_fits(wanted))).scalar_one())


def _fits(wanted: Wanted) -> ColumnElement[bool]:
    held: list[ColumnElement[bool]] = [visible(_INCIDENTS.c.route, some) for some in (wanted.globs, wanted.within)]
    if wanted.states:
        held.append(_INCIDENTS.c.state.in_(wanted.states))
    if wanted.severities:
        held.append(_INCIDENTS.c.severity.in_(wanted.severities))
    return and_(*held)
