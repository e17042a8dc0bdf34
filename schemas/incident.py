"""The record that people work on."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from schemas.alert import Severity
from schemas.base import Hash16, NonNegative, Part, Record, Text, Timestamp, hash16
from schemas.decision import Silence
from schemas.evaluation import Outcome
from schemas.exchange import ToldRoute
from schemas.reading import ChangePoint, Movement

IncidentState = Literal["open", "acknowledged", "snoozed", "resolved"]
Verdict = Literal["model", "users", "both", "ruler", "unknown"]
Confidence = Literal["suspected", "likely", "very sure", "certain"]
"""How sure we are, in words. `suspected`: a change is likely, and nothing about safety is known; `certain`: seen."""
EntryKind = Literal[
    "opened",
    "alert_fired",
    "alert_resolved",
    "changed_again",
    "lasting",
    "escalated",
    "verdict_revised",
    "cause",
    "change",
    "evaluation",
    "decision",
    "acknowledged",
    "snoozed",
    "woken",
    "resolved",
    "reopened",
]


class TimelineEntry(Part):
    """One thing that happened to an incident, in plain words, with what it refers to.

    `details` holds the numbers, ids and statistics behind `text`; `outcome` is of an entry that compares two runs.
    """

    ts: Timestamp
    kind: EntryKind
    text: Text
    details: Text | None = None
    actor: Text | None = None
    ref: Text | None = None
    outcome: Outcome | None = None


class Incident(Record):
    """One shift of one route: what moved, since when, who is to blame and what was done about it.

    `counterparts` are the nearest exchanges of the baseline, one for each of `exemplars`, None where there is none.
    `change_point` and `movements` are those of its gravest alert that has some, as they were known last.
    """

    id: Hash16
    route: ToldRoute
    state: IncidentState
    opened_event_index: NonNegative
    opened_at: Timestamp
    updated_at: Timestamp
    resolved_at: Timestamp | None = None
    snoozed_until: Timestamp | None = None
    verdict: Verdict
    verdict_reason: Text
    verdict_confidence: Confidence | None = None
    severity: Severity
    headline: Text = ""
    confidence: Confidence | None = None
    families: tuple[Text, ...]
    signals: tuple[Text, ...]
    identities: tuple[Hash16, ...]
    fingerprints: tuple[Hash16, ...]
    exemplars: tuple[Text, ...]
    counterparts: tuple[Text | None, ...] = ()
    change_point: ChangePoint | None = None
    movements: tuple[Movement, ...] = ()
    timeline: tuple[TimelineEntry, ...]


def incident_id(route: str, fingerprint: str, identity: str | None, event_index: int) -> str:
    """The id of an incident, made of its first alert."""
    return hash16([route, fingerprint, identity, event_index])


def covering(silences: Iterable[Silence], incident: Incident) -> tuple[Silence, ...]:
    """Those of the silences that are about an alert of the incident."""
    return tuple(one for one in silences if one.route == incident.route and any(map(one.covers, incident.fingerprints)))
