"""What is marked on a route's time axis: changes, incidents and decisions, each with a few words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Literal

from pydantic import BaseModel, Field
from sqlalchemy import Connection

from schemas.change import Change
from schemas.decision import Decision
from schemas.fact import Fact
from schemas.incident import Incident
from services.api.time_window import Window
from services.store import incidents, journal
from services.wording.charts import RESOLVED, incident_mark
from services.wording.decisions import kind_by
from services.wording.timeline import change_mark

AnnotationKind = Literal[
    "observed", "suspected", "pinned", "provider", "share", "announced", "opened", "resolved", "decided"
]


class Annotation(BaseModel):
    """One thing that happened to the route."""

    ts: datetime
    kind: AnnotationKind = Field(description="What: a change, an incident's opening or end, a person's decision.")
    text: str = Field(description="In a few words.", examples=["now gpt-4-0613"])
    ref: str = Field(description="Id of the change, incident or decision.", examples=["a1b2c3d4e5f60718"])


def annotations_of(
    facts: Iterable[Fact], incidents: Iterable[Incident], since: datetime, until: datetime
) -> tuple[Annotation, ...]:
    """All that happened in [since, until), in order."""
    found = [*_facts(facts), *_incidents(incidents)]
    return tuple(sorted((one for one in found if since <= one.ts < until), key=lambda one: (one.ts, one.kind)))


def _facts(facts: Iterable[Fact]) -> Iterator[Annotation]:
    for fact in facts:
        if isinstance(fact, Change):
            yield Annotation(ts=fact.ts, kind=fact.kind, text=change_mark(fact), ref=fact.id)
        elif isinstance(fact, Decision):
            kind: AnnotationKind = "announced" if fact.kind == "announce" else "decided"
            yield Annotation(ts=fact.ts, kind=kind, text=kind_by(fact.kind, fact.actor), ref=fact.id)


def _incidents(incidents: Iterable[Incident]) -> Iterator[Annotation]:
    for one in incidents:
        yield Annotation(ts=one.opened_at, kind="opened", text=incident_mark(one), ref=one.id)
        if one.resolved_at is not None:
            yield Annotation(ts=one.resolved_at, kind="resolved", text=RESOLVED, ref=one.id)


def marks(connection: Connection, route: str, window: Window) -> tuple[Annotation, ...]:
    """What happened on the route in the window."""
    since, until = window.since, window.until
    facts = journal.facts_within(connection, route, ("change", "decision"), since, until)
    return annotations_of(facts, incidents.open_within(connection, route, since, until), since, until)
