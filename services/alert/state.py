"""What the alert core keeps of a route: its streams, firing alerts, mutes, silences and incident groups."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from schemas.alert import Alert, Severity
from schemas.decision import DecisionKind

MUTE_LASTS: Final = timedelta(days=30)
KEPT_REPEATS: Final = 512


@dataclass(frozen=True, slots=True)
class Stream:
    """What one detector last said of one stream of one identity.

    Attributes:
        fires: fingerprint of the alert that it fires for, or None.
        baseline: id of the baseline that it is held against.
        event_index, ts: greatest taken in so far. ids: readings taken in at `event_index`.
        size: how far it had moved when it last fired, in the unit of its effect.
        exemplar: the last exchange that it named while firing.
    """

    event_index: int
    ts: datetime
    ids: tuple[str, ...]
    fires: str | None = None
    baseline: str | None = None
    size: float | None = None
    exemplar: str | None = None


@dataclass(frozen=True, slots=True)
class Active:
    """A firing alert as it was last sent, and every identity that fired for it since."""

    sent: Alert
    identities: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Mute:
    """Why a fingerprint fires unheard, since when, and how far it had moved by then.

    It ends when the effect was once inside the floor, doubles, or 30 days passed; after `accept_baseline` also
    when another baseline than `baseline` is pinned. `waits` are the streams whose effect was not yet inside. A
    resolved event is heard again with the first exchange after `exemplar`: nobody has decided on that one.
    """

    fingerprint: str
    kind: DecisionKind
    actor: str
    reason: str
    since: datetime
    waits: tuple[str, ...]
    size: float | None = None
    baseline: str | None = None
    exemplar: str | None = None

    @property
    def until(self) -> datetime:
        """When it ends at the latest."""
        return self.since + MUTE_LASTS


@dataclass(frozen=True, slots=True)
class Silence:
    """Alerts of times before `expires` are recorded and not notified; no fingerprint means the whole route."""

    since: datetime
    expires: datetime
    actor: str
    reason: str
    fingerprint: str | None = None

    def covers(self, alert: Alert) -> bool:
        """Whether the silence holds for this alert, at the time of its exchange."""
        return alert.ts < self.expires and self.fingerprint in (None, alert.fingerprint)


@dataclass(frozen=True, slots=True)
class Group:
    """The alerts of one incident, so that a decision on an incident reaches exactly these.

    Attributes:
        fingerprints: all that it absorbed; firing: those of them that fire.
        last_fired: time of its newest firing alert. resolved_at: None while it is open.
    """

    id: str
    fingerprints: tuple[str, ...]
    firing: tuple[str, ...]
    severity: Severity
    last_fired: datetime
    resolved_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class AlertState:
    """All that alert keeps of one route.

    Attributes:
        event_index: greatest seen. baseline: the baseline pinned last.
        streams: stream key -> its last word. active: fingerprint -> firing alert.
        families: fingerprint -> family, of all that ever fired. mutes: fingerprint -> mute.
        groups: one per recent incident, oldest first; at most the last is open.
        seen: ids of the decisions, comparisons and pinned baselines taken in last.
    """

    route: str
    event_index: int = 0
    baseline: str | None = None
    streams: dict[str, Stream] = field(default_factory=dict)
    active: dict[str, Active] = field(default_factory=dict)
    families: dict[str, str] = field(default_factory=dict)
    mutes: dict[str, Mute] = field(default_factory=dict)
    silences: tuple[Silence, ...] = ()
    groups: tuple[Group, ...] = ()
    seen: tuple[str, ...] = ()

    @classmethod
    def start(cls, route: str) -> AlertState:
        """The state of a route of which nothing was heard."""
        return cls(route)

    def muted(self, now: datetime) -> tuple[Mute, ...]:
        """The mutes in force at `now`, to be shown: muted is never the same as quiet."""
        return tuple(mute for _, mute in sorted(self.mutes.items()) if now < mute.until)
