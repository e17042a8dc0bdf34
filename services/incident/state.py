"""What the incident core folds facts into: cases, notifications, and what it remembers between incidents."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Literal

from schemas.alert import Alert, Severity
from schemas.decision import Decision, Silence
from schemas.evaluation import Comparison, Outcome
from schemas.fact import Fact
from schemas.incident import EntryKind, Incident, TimelineEntry
from services.incident.verdict import Crossing

NotificationKind = Literal["post", "update", "broadcast"]


@dataclass(frozen=True, slots=True)
class Notification:
    """One thing to tell: `post` a new message, `broadcast` into its thread, or `update` it in place.

    The id is made of the incident and the timeline entry that it tells of: the same entry is told once.
    `mention` asks for the receiver's people; `update` never does. Kind and mention hold where all before it was told;
    delivery knows what a receiver has heard, and what is silenced.

    Attributes:
        fingerprint: the alert that it tells of, None where people or time moved the incident.
        fired: the severity of that alert where it fires. silenced: an alert of before that nobody was to hear of.
    """

    id: str
    kind: NotificationKind
    incident: str
    route: str
    ts: datetime
    severity: Severity
    mention: bool
    text: str
    fingerprint: str | None = None
    fired: Severity | None = None
    silenced: bool = False


FLAPS: Final = 3
"""So many quick returns of one alert are told one by one; those that follow share a line of the timeline."""
FLAPS_WITHIN: Final = timedelta(hours=1)
"""An alert that fires again so soon after it was over returns quickly."""


@dataclass(frozen=True, slots=True)
class Flap:
    """The quick returns of one alert in a row: how many, since when, when it was last over, and their line, if any."""

    returns: int
    since: datetime
    over: datetime | None = None
    line: TimelineEntry | None = None

    @property
    def is_folded(self) -> bool:
        """Whether what it does goes into one line."""
        return self.returns > FLAPS


@dataclass(frozen=True, slots=True)
class Case:
    """An incident with what decides its further course.

    Attributes:
        alerts: fingerprint -> its newest firing alert, in the order of first firing.
        firing: fingerprints that fire now. crossings: when and for what each fired.
        comparisons: of runs since it opened.
        last_fired: time of the newest firing alert.
        posted: greatest severity that was told, None while nothing was.
        flaps: fingerprint -> its quick returns.
        standing: fingerprint -> since when it fires, also of what did when the incident closed by itself.
        lasted: whether it was said that what stands has been so for long.
    """

    incident: Incident
    alerts: dict[str, Alert]
    firing: tuple[str, ...]
    crossings: tuple[Crossing, ...]
    last_fired: datetime
    posted: Severity | None = None
    flaps: dict[str, Flap] = field(default_factory=dict)
    comparisons: tuple[Comparison, ...] = ()
    standing: dict[str, datetime] = field(default_factory=dict)
    lasted: bool = False

    def flaps_with(self, alert: Alert | None) -> bool:
        """Whether this alert goes to and fro, so that its ups and downs share a line."""
        flap = None if alert is None else self.flaps.get(alert.fingerprint)
        return flap is not None and flap.is_folded

    @property
    def is_open(self) -> bool:
        """Whether people still have to do with it: open, acknowledged or snoozed."""
        return self.incident.state != "resolved"


@dataclass(frozen=True, slots=True)
class RouteIncidents:
    """All incidents of one route, in the order in which they opened.

    Attributes:
        notifications: what to tell, in order.
        context: recent changes, evaluations, announcements and silences: a later incident tells of them.
        parked: decisions that name an incident that is not known yet.
        silences: of the route, with their ends as people left them. Who tells people applies them.
    """

    route: str
    cases: tuple[Case, ...] = ()
    notifications: tuple[Notification, ...] = ()
    context: tuple[Fact, ...] = ()
    parked: tuple[Decision, ...] = ()
    silences: tuple[Silence, ...] = ()

    @classmethod
    def start(cls, route: str) -> RouteIncidents:
        """The state of a route without a fact."""
        return cls(route)

    @property
    def incidents(self) -> tuple[Incident, ...]:
        """The incidents as records, oldest first."""
        return tuple(case.incident for case in self.cases)

    @property
    def open(self) -> Case | None:
        """The one that is not resolved, if there is one: there are never two."""
        return next((case for case in self.cases if case.is_open), None)


def entry(
    ts: datetime,
    kind: EntryKind,
    text: str,
    details: str | None = None,
    *,
    actor: str | None = None,
    ref: str | None = None,
    outcome: Outcome | None = None,
) -> TimelineEntry:
    """One entry of a timeline: a plain first line, and what stands behind it."""
    return TimelineEntry(ts=ts, kind=kind, text=text, details=details, actor=actor, ref=ref, outcome=outcome)
