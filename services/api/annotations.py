"""What is marked on a route's time axis: changes, incidents and decisions, each with a few words.

What is marked on the axis of time: changes, incidents, decisions, each with a few words. Pure.

What happened on a route, and what its rates are held against, read from the database.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Final, Literal

from pydantic import BaseModel, Field
from sqlalchemy import Connection

from schemas.change import Change
from schemas.decision import Decision, DecisionKind
from schemas.incident import Incident
from services.api.time_window import Window
from services.store import incidents, journal
from services.store.journal import Fact

AnnotationKind = Literal["observed", "suspected", "pinned", "announced", "opened", "resolved", "decided"]
_DECISION_WORDS: Final[Mapping[DecisionKind, str]] = {
    "announce": "change announced",
    "acknowledge": "acknowledged",
    "snooze": "snoozed",
    "accept_baseline": "accepted as new baseline",
    "false_alarm": "judged a false alarm",
    "roll_back": "rolled back",
    "silence": "silenced",
    "resolve": "resolved",
}


class Annotation(BaseModel):
    """One thing that happened to the route."""

    ts: datetime
    kind: AnnotationKind = Field(description="What: a change, an incident's opening or end, a person's decision.")
    text: str = Field(description="In a few words.", examples=["new identity gpt-4-0613"])
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
            yield Annotation(ts=fact.ts, kind=fact.kind, text=_change_words(fact), ref=fact.id)
        elif isinstance(fact, Decision):
            kind: AnnotationKind = "announced" if fact.kind == "announce" else "decided"
            yield Annotation(ts=fact.ts, kind=kind, text=f"{_DECISION_WORDS[fact.kind]} by {fact.actor}", ref=fact.id)


def _change_words(change: Change) -> str:
    model = change.model
    name = change.to_identity[:8] if model is None else model.served or model.requested
    if change.kind == "pinned":
        return f"baseline pinned, of {name}"
    if change.kind == "suspected":
        return f"silent change suspected, {name}"
    same = change.from_identity == change.to_identity
    return f"new fingerprint {change.fingerprint} of {name}" if same and change.fingerprint else f"new identity {name}"


def _incidents(incidents: Iterable[Incident]) -> Iterator[Annotation]:
    for one in incidents:
        yield Annotation(ts=one.opened_at, kind="opened", text=f"incident: {one.headline or one.severity}", ref=one.id)
        if one.resolved_at is not None:
            yield Annotation(ts=one.resolved_at, kind="resolved", text="incident resolved", ref=one.id)


def marks(connection: Connection, route: str, window: Window) -> tuple[Annotation, ...]:
    """What happened on the route in the window."""
    since, until = window.since, window.until
    facts = journal.facts_within(connection, route, ("change", "decision"), since, until)
    return annotations_of(facts, incidents.open_within(connection, route, since, until), since, until)
