"""What people's decisions do to an incident. One that comes too late, or twice, is noted and changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Final

from schemas.decision import Decision, DecisionKind
from schemas.incident import EntryKind, IncidentState, TimelineEntry
from services.incident.lifecycle import closed, edited
from services.incident.state import Case, entry
from services.specs import family_of
from services.wording import decisions as words
from services.wording import nouns
from services.wording.decisions import decision_text


def apply_decision(case: Case, decision: Decision, ts: datetime) -> Case:
    """The incident after `decision`, taken at `ts` (not before the incident's last entry)."""
    if not case.is_open and decision.kind != "comment":
        return _noted(case, decision, ts, words.ALREADY_RESOLVED)
    return _HANDLERS[decision.kind](case, decision, ts)


def _noted(case: Case, decision: Decision, ts: datetime, note: str | None = None) -> Case:
    return _done(case, decision, ts, "decision", note=note)


def _done(
    case: Case,
    decision: Decision,
    ts: datetime,
    kind: EntryKind,
    *,
    state: IncidentState | None = None,
    until: datetime | None = None,
    note: str | None = None,
) -> Case:
    added = entry(ts, kind, decision_text(decision, note), actor=decision.actor, ref=decision.id)
    update = {} if state is None else {"state": state, "snoozed_until": until}
    return edited(case, added, **update)


def _note(case: Case, decision: Decision, ts: datetime) -> Case:
    return _noted(case, decision, ts)


def _acknowledge(case: Case, decision: Decision, ts: datetime) -> Case:
    if case.incident.state == "acknowledged":
        return _noted(case, decision, ts, words.ALREADY_ACKNOWLEDGED)
    return _done(case, decision, ts, "acknowledged", state="acknowledged")


def _snooze(case: Case, decision: Decision, ts: datetime) -> Case:
    if decision.until <= ts:
        return _noted(case, decision, ts, words.TOO_LATE)
    return _done(case, decision, ts, "snoozed", state="snoozed", until=decision.until)


def _resolve(case: Case, decision: Decision, ts: datetime) -> Case:
    if decision.fingerprint is not None and set(case.firing) - {decision.fingerprint}:
        return _noted(case, decision, ts, words.ONE_OF_ITS_ALERTS)
    return closed(case, _last(decision, ts))


def _accept(case: Case, decision: Decision, ts: datetime) -> Case:
    """A new baseline resolves what moved against the old one; a leak stays open until a person resolves it."""
    left = tuple(name for name in case.firing if not family_of(case.alerts[name].family).of_baseline)
    if not left:
        return closed(case, _last(decision, ts))
    names = sorted({nouns.subject(case.alerts[name]) for name in left})
    standing = {name: since for name, since in case.standing.items() if name in left}
    return replace(_noted(case, decision, ts, words.stays_open(names)), firing=left, standing=standing)


def _last(decision: Decision, ts: datetime) -> TimelineEntry:
    return entry(ts, "resolved", decision_text(decision), actor=decision.actor, ref=decision.id)


_HANDLERS: Final[Mapping[DecisionKind, Callable[[Case, Decision, datetime], Case]]] = {
    "announce": _note,
    "acknowledge": _acknowledge,
    "snooze": _snooze,
    "accept_baseline": _accept,
    "false_alarm": _resolve,
    "roll_back": _note,
    "silence": _note,
    "resolve": _resolve,
    "end_silence": _note,
    "comment": _note,
    "unmute": _note,
}
