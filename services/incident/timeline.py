"""Changes, evaluations, announcements and silences: entries of the open incident, and remembered for the next one."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from schemas.alert import Alert
from schemas.change import Change
from schemas.decision import Decision
from schemas.evaluation import Comparison, Run
from schemas.fact import Fact
from schemas.identity import identity_of
from schemas.incident import TimelineEntry
from services.incident.state import RouteIncidents, entry
from services.wording import decisions, evaluations, timeline

SHORTLY_BEFORE: Final = timedelta(hours=24)
KEPT: Final = 64


def remembered(context: tuple[Fact, ...], fact: Fact) -> tuple[Fact, ...]:
    """The context with one more fact."""
    return (*context, fact)[-KEPT:]


def timeline_entry(fact: Fact) -> TimelineEntry:
    """The timeline entry of a fact that opens nothing."""
    if isinstance(fact, Change):
        words = timeline.change(fact)
        return entry(fact.ts, "change", words.text, words.details, ref=fact.id)
    if isinstance(fact, Run):
        return entry(fact.ts, "evaluation", evaluations.run_text(fact), evaluations.run_details(fact), ref=fact.id)
    if isinstance(fact, Comparison):
        text, details = evaluations.comparison_text(fact), evaluations.comparison_details(fact)
        return entry(fact.ts, "evaluation", text, details, ref=fact.id, outcome=fact.overall)
    assert isinstance(fact, Decision)
    return entry(fact.ts, "decision", decisions.decision_text(fact), actor=fact.actor, ref=fact.id)


def background(state: RouteIncidents, alert: Alert) -> tuple[TimelineEntry, ...]:
    """What a new incident tells of the time before it.

    Everything of the last 24 h, and at any age what is about the identities that now fire: when they were first
    seen, whether someone announced them, and which silences were to hold until later.
    """
    return tuple(timeline_entry(fact) for fact in state.context if _matters(fact, alert))


def _matters(fact: Fact, alert: Alert) -> bool:
    if alert.ts - fact.ts <= SHORTLY_BEFORE:
        return True
    if isinstance(fact, Change):
        return fact.kind == "observed" and fact.to_identity in alert.identities
    if isinstance(fact, Decision) and fact.kind == "silence":
        return fact.until > alert.ts and fact.fingerprint in (None, alert.fingerprint)
    if isinstance(fact, Decision):
        return fact.model is not None and identity_of(fact.model) in alert.identities
    return False
