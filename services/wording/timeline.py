"""The first line and the details of each entry of an incident's timeline. Pure.

The first line says what happened in plain words; numbers, ids and statistics are the entry's details.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from schemas.alert import Alert, Severity
from schemas.change import Change
from schemas.decision import Decision
from schemas.incident import EntryKind, Verdict
from schemas.reading import ChangePoint
from services import specs
from services.wording import incidents, movements, nouns, numbers, traffic_shares, trials
from services.wording.decisions import OVER

KINDS: Final[Mapping[EntryKind, str]] = {
    "opened": "incident opened",
    "alert_fired": "found",
    "alert_resolved": "over",
    "changed_again": "changed again",
    "lasting": "still so",
    "escalated": "got worse",
    "verdict_revised": "who changed",
    "cause": "likely cause",
    "change": "change",
    "evaluation": "safety suite",
    "decision": "decided",
    "acknowledged": "acknowledged",
    "snoozed": "snoozed",
    "woken": "open again",
    "resolved": "resolved",
    "reopened": "open again",
}
"""The label of an entry's kind."""


@dataclass(frozen=True, slots=True)
class EntryWords:
    """A plain first line, and what stands behind it."""

    text: str
    details: str | None = None


def opened(alert: Alert, verdict: Verdict, reason: str) -> EntryWords:
    """The first alert; who seems to have changed stands in the details."""
    lead = incidents.verdict_of(verdict, (alert.family,))
    return EntryWords(_fired(alert), f"{incidents.details(alert)}. {lead}. {reason}")


def fired(alert: Alert, others: Iterable[Alert] = ()) -> EntryWords:
    """Another alert."""
    return EntryWords(_fired(alert, others), incidents.details(alert))


def over(alert: Alert) -> EntryWords:
    """An alert that resolved, and why."""
    return EntryWords(f"{_subject(alert)}: {alert.reason or OVER}", incidents.details(alert))


def flapping(alert: Alert, returns: int, since: datetime) -> EntryWords:
    """An alert that comes and goes: how often, since when, and how it stands."""
    now = "it fires" if alert.status == "firing" else "it is over"
    told = (
        f"{_subject(alert)}: comes and goes, back {returns:,} times since {numbers.clock(since, alert.ts)}; now {now}"
    )
    return EntryWords(told, incidents.details(alert))


def reopened(alert: Alert) -> EntryWords:
    """An incident that was resolved and is open again."""
    return EntryWords(f"Open again: {incidents.sentence(alert)}", incidents.details(alert))


def escalated(alert: Alert, before: Severity, again: bool) -> EntryWords:
    """A severity that rose; with the alert in a sentence where it fires `again` and has no entry of its own."""
    why = f": {incidents.sentence(alert)}" if again else ""
    return EntryWords(f"Worse: now {alert.severity}, it was {before}{why}", incidents.details(alert))


def revised(found: incidents.Signs, before: Verdict, reason: str, families: Iterable[str]) -> EntryWords:
    """Another verdict."""
    lead = incidents.verdict_of(found.verdict, families, found.confidence)
    return EntryWords(f"{lead}. {reason}", f"verdict {found.verdict}, before {before}")


def cause(found: Change | Decision, point: ChangePoint) -> EntryWords:
    """What was changed within the time in which the shift seems to have begun."""
    return EntryWords(movements.cause(found, point), movements.since_details(point))


def change(found: Change) -> EntryWords:
    """A change of the model, or of what it is held against."""
    return EntryWords(change_text(found), change_details(found))


def change_text(found: Change) -> str:
    """A change in a sentence."""
    name = nouns.model_name(found.model)
    if found.kind in ("provider", "share"):
        return found.reason
    if found.kind == "pinned":
        n = "" if found.pinning is None else f": {numbers.count(found.pinning.n, 'exchange')}"
        trial = f", {trials.MARK}" if found.pinning is not None and found.pinning.trial else ""
        return f"The answers of {name} are what is normal from here on{trial}{n}"
    if found.kind == "suspected":
        return f"A silent change is suspected: {name} answers differently under the same name"
    if found.fingerprint is not None and found.from_identity == found.to_identity:
        return f"The vendor changed the version behind {name}"
    if found.share is not None:
        return traffic_shares.part_answers(name, found.share)
    return f"Another model answers now: {name}"


def change_mark(found: Change) -> str:
    """A change in the few words that fit on an axis of time."""
    if found.kind == "provider":
        return "other routes moved too"
    if found.kind == "pinned":
        return "new normal set"
    if found.kind == "suspected":
        return "silent change suspected"
    if found.kind == "share" and found.share is not None:
        return f"{nouns.model_name(found.model)} at {numbers.percent(found.share)}"
    if found.fingerprint is not None and found.from_identity == found.to_identity:
        return f"new version of {nouns.model_name(found.model)}"
    return f"now {nouns.model_name(found.model)}"


def change_details(found: Change) -> str:
    """Ids behind a change, and what a baseline is held to."""
    told = [f"exchange {found.event_index:,}", f"model {found.to_identity}"]
    if found.fingerprint is not None:
        told.append(f"fingerprint {found.fingerprint}")
    if found.baseline is not None:
        told.append(f"baseline {found.baseline}")
    return ", ".join((*told, found.reason))


def _fired(alert: Alert, others: Iterable[Alert] = ()) -> str:
    told = incidents.sentence(alert, others) + movements.of_alert(alert) + _beside(alert)
    text = told if told.startswith(alert.route) else numbers.sentence_case(told)
    return f"{text} (silenced: nobody was notified)" if alert.silenced else text


def _beside(alert: Alert) -> str:
    """What stands out of the traffic while an alert of a shift or a rate fires: that one user sends most of it."""
    spec = specs.family_of(alert.family)
    moved = spec.of_baseline and spec.kind in ("shift", "rate", "level") and alert.status == "firing"
    if not moved or alert.reason is None:
        return ""
    return f". {numbers.sentence_case(alert.reason)}"


def in_shadow(alert: Alert) -> str:
    """An alert that is tried out: what it would have said, and that it said it to nobody."""
    over = " It is over." if alert.status == "resolved" else ""
    return f"In shadow, nobody was told: {_fired(alert)} (since {numbers.short_moment(alert.ts)} UTC).{over}"


def _subject(alert: Alert) -> str:
    suite = nouns.suite_of(alert)
    if specs.family_of(alert.family).kind == "suite":
        return f"Safety suite {suite}"
    return numbers.sentence_case(nouns.place(nouns.subject(alert), alert.slice))
