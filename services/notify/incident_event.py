"""What a program is told of an incident, where people are shown a message: facts by name, and the same words. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

from schemas.alert import Severity
from schemas.base import iso
from schemas.incident import Confidence, Incident, IncidentState, Verdict
from services.notify.block_kit import cleaned, cut
from services.wording.incidents import confidence, headline_in_full, one_line

EventKind = Literal["opened", "raised", "updated", "resolved", "test"]
"""`raised`: people are called anew, since it is worse than what was told; `test`: somebody tries the receiver."""
AlertAction = Literal["trigger", "acknowledge", "resolve"]
"""What becomes of the alert of an incident, where another service keeps alerts of its own."""
TEXT: Final = 1000
FACT: Final = 400
TEST_ROUTE: Final = "_keelwatch/test"
"""A name that no route has."""
_APART: Final = "\u200b"
_LINKS: Final = re.compile(r"(?<=www)(?=\.)|(?<=/)(?=/)|(?<=@)", re.IGNORECASE)
"""The places at which an address or a mention is taken apart."""


def unlinked(text: str, limit: int) -> str:
    r"""One clean line of at most `limit` units, in which no program finds an address to link to, nor somebody to call.

    >>> unlinked("see https://evil.example, @here", 100).replace("\u200b", "|")
    'see https:/|/evil.example, @|here'
    """
    return cut(_LINKS.sub(_APART, cleaned(text, limit)), limit)


@dataclass(frozen=True, slots=True)
class IncidentEvent:
    """One notification as facts. Every text is of one line, and holds no address but `url`.

    Attributes:
        id: of the notification, the same at every try. at: when what it tells of happened.
        text: the incident in a line; what: what happened now; facts: name and words of the rest.
        loud: whether people are called. silenced: whether a silence keeps it from people.
        woken: whether a snooze ended now. instead_of: the receiver that could not be told of it.
    """

    id: str
    kind: EventKind
    at: datetime
    incident: str
    route: str
    severity: Severity
    verdict: Verdict
    confidence: Confidence | None
    status: IncidentState
    opened_at: datetime
    headline: str
    text: str
    what: str
    url: str | None = None
    facts: tuple[tuple[str, str], ...] = ()
    loud: bool = False
    silenced: bool = False
    woken: bool = False
    instead_of: str | None = None

    def as_object(self) -> dict[str, Any]:
        """JSON, as a webhook gets it."""
        return {
            "schema_version": 1,
            "id": self.id,
            "event": self.kind,
            "at": iso(self.at),
            "incident": self.incident,
            "route": self.route,
            "severity": self.severity,
            "verdict": self.verdict,
            "confidence": self.confidence,
            "status": self.status,
            "opened_at": iso(self.opened_at),
            "url": self.url,
            "text": self.text,
            "what": self.what,
            "facts": [{"name": name, "text": text} for name, text in self.facts],
            "loud": self.loud,
            "silenced": self.silenced,
            "instead_of": self.instead_of,
        }


@dataclass(frozen=True, slots=True)
class EventOccasion:
    """Why an incident is told of now: the notification, whether it was told before, and how loud it is."""

    id: str
    at: datetime
    what: str
    told: bool = False
    loud: bool = False
    silenced: bool = False
    instead_of: str | None = None


def event_of(
    incident: Incident, occasion: EventOccasion, facts: Sequence[tuple[str, str]], url: str | None
) -> IncidentEvent:
    """The incident as it stands, told on an occasion."""
    return IncidentEvent(
        id=occasion.id,
        kind=_kind(incident, occasion),
        at=occasion.at,
        incident=incident.id,
        route=incident.route,
        severity=incident.severity,
        verdict=incident.verdict,
        confidence=confidence(incident),
        status=incident.state,
        opened_at=incident.opened_at,
        headline=unlinked(headline_in_full(incident), TEXT),
        text=unlinked(one_line(incident), TEXT),
        what=unlinked(occasion.what, TEXT),
        url=url,
        facts=tuple((name, unlinked(text, FACT)) for name, text in facts),
        loud=occasion.loud,
        silenced=occasion.silenced,
        woken=any(entry.kind == "woken" and entry.ts == occasion.at for entry in incident.timeline),
        instead_of=occasion.instead_of,
    )


def _kind(incident: Incident, occasion: EventOccasion) -> EventKind:
    if incident.state == "resolved":
        return "resolved"
    if not occasion.told:
        return "opened"
    return "raised" if occasion.loud else "updated"


def trial_event(id: str, now: datetime, words: str, url: str | None = None) -> IncidentEvent:
    """What somebody sends who tries a receiver: an incident that nobody has."""
    return IncidentEvent(
        id=id,
        kind="test",
        at=now,
        incident=id,
        route=TEST_ROUTE,
        severity="info",
        verdict="unknown",
        confidence=None,
        status="open",
        opened_at=now,
        headline=words,
        text=words,
        what=words,
        url=url,
    )


def actions_of(event: IncidentEvent) -> tuple[AlertAction, ...]:
    """What a service that pages people is asked for, in order; nothing for news of an open incident that call nobody.

    An alert that is open there takes a second trigger in silence, above all once somebody acknowledged it: where
    people are to be called again it is resolved first. It does not come back because a line was added here.
    """
    if event.kind == "test":
        return "trigger", "resolve"
    if event.status == "resolved":
        return ("resolve",)
    if event.status in ("acknowledged", "snoozed"):
        return ("trigger", "acknowledge") if event.kind == "opened" else ("acknowledge",)
    if event.kind == "opened":
        return ("trigger",)
    return ("resolve", "trigger") if event.loud or (event.woken and not event.silenced) else ()
