"""What the alert core keeps of a route: its streams, firing alerts, mutes and incident groups.

A reading or a comparison passes through the stages in one form, `StreamObservation`, within a `StageContext`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import ClassVar, Final

from schemas.alert import Alert, AlertStatus, Severity, fingerprint_of
from schemas.base import hash16, iso
from schemas.change import Change
from schemas.decision import Decision, DecisionKind
from schemas.evaluation import Comparison, HazardComparison, Outcome, Run
from schemas.reading import Effect, Evidence, Reading, ReadingStatus
from services.alert.severity import WINDOW, is_inside, is_outside, severity_of, size_of
from services.specs import EVALUATION, family_of

MUTE_LASTS: Final = timedelta(days=30)
KEPT_REPEATS: Final = 512


@dataclass(frozen=True, slots=True)
class AlertStream:
    """What one detector last said of one stream of one identity.

    Attributes:
        fires: fingerprint of the alert that it fires for, or None.
        baseline: id of the baseline that it is held against.
        event_index, ts: greatest taken in so far. ids: readings taken in at `event_index`.
        size: how far it had moved when it last fired, in the unit of its effect.
        exemplar: the last exchange that it named while firing.
    """

    STORED_NAME: ClassVar[str] = "Stream"

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

    @property
    def is_accepted(self) -> bool:
        """Whether it is no mute for people: what fires was accepted as the new normal, which is being learned."""
        return self.kind == "accept_baseline"


@dataclass(frozen=True, slots=True)
class FormerSilence:
    """A silence as alert knew it once; notifying knows them now (`schemas.decision.Silence`)."""

    STORED_NAME: ClassVar[str] = "Silence"

    since: datetime
    expires: datetime
    actor: str
    reason: str
    fingerprint: str | None = None


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
        silences: not used any more; stored states have them.
        groups: one per recent incident, oldest first; at most the last is open.
        seen: ids of the decisions, comparisons and pinned baselines taken in last.
    """

    route: str
    event_index: int = 0
    baseline: str | None = None
    streams: dict[str, AlertStream] = field(default_factory=dict)
    active: dict[str, Active] = field(default_factory=dict)
    families: dict[str, str] = field(default_factory=dict)
    mutes: dict[str, Mute] = field(default_factory=dict)
    silences: tuple[FormerSilence, ...] = ()
    groups: tuple[Group, ...] = ()
    seen: tuple[str, ...] = ()

    @classmethod
    def start(cls, route: str) -> AlertState:
        """The state of a route of which nothing was heard."""
        return cls(route)

    def muted(self, now: datetime) -> tuple[Mute, ...]:
        """The mutes in force at `now`, to be shown: muted is never the same as quiet."""
        return tuple(mute for _, mute in sorted(self.mutes.items()) if now < mute.until)


_OUTCOMES: Final[dict[Outcome, ReadingStatus]] = {
    "regressed": "firing",
    "improved": "quiet",
    "unchanged": "quiet",
    "inconclusive": "blind",
}


@dataclass(frozen=True, slots=True)
class StreamObservation:
    """One word on one stream of one identity.

    Attributes:
        key: the stream, whichever way it moves. id: of the reading or comparison.
        alert: the alert as it would be sent for this word.
        inside: whether it is quiet and its effect inside the floor.
        calms: whether it ends the firing of its stream.
    """

    key: str
    id: str
    alert: Alert
    status: ReadingStatus
    inside: bool
    calms: bool

    @property
    def size(self) -> float | None:
        """How far the stream moved."""
        return size_of(self.alert.effect)


def observe_reading(reading: Reading) -> StreamObservation:
    """The word of a detector."""
    severity = severity_of(reading)
    fingerprint = fingerprint_of(
        reading.route, reading.detector, reading.signal, reading.hazard, reading.slice, reading.direction
    )
    alert = Alert(
        id=alert_id(fingerprint, "firing", severity, reading.event_index, reading.ts),
        route=reading.route,
        family=reading.detector,
        signal=reading.signal,
        hazard=reading.hazard,
        slice=reading.slice,
        direction=reading.direction,
        fingerprint=fingerprint,
        identities=() if reading.identity is None else (reading.identity,),
        status="firing",
        severity=severity,
        event_index=reading.event_index,
        ts=reading.ts,
        source=reading.source,
        effect=reading.effect,
        floor=reading.floor,
        evidence=reading.evidence,
        exemplars=reading.exemplars,
        counterparts=reading.counterparts,
        change_point=reading.change_point,
        movements=reading.movements,
        questions=reading.questions,
        reason=reading.reason,
    )
    quiet = reading.status == "quiet"
    # Quiet before it has seen a window says nothing: a decision on another incident zeroed its evidence.
    young = reading.evidence.baseline is not None and reading.evidence.n < WINDOW
    outside = is_outside(reading.effect, reading.floor, reading.direction)
    stays = young or outside or not family_of(reading.detector).resolves
    return StreamObservation(
        key=_stream_key(alert, reading.identity),
        id=reading.id,
        alert=alert,
        status=reading.status,
        inside=quiet and is_inside(reading.effect, reading.floor, reading.evidence.n),
        calms=quiet and not stays,
    )


def observe_comparison(comparison: Comparison, event_index: int, baseline: str | None) -> StreamObservation:
    """The word of a suite: a regressed one fires; one that did not regress never resolves anything.

    It has no exchange of its own: `event_index` is the route's last known one.
    """
    suite = f"suite={comparison.suite}"
    fingerprint = fingerprint_of(comparison.route, EVALUATION.name, None, None, suite)
    worst = _worst(comparison)
    alert = Alert(
        id=hash16([fingerprint, "firing", EVALUATION.severity, comparison.id]),
        route=comparison.route,
        family=EVALUATION.name,
        slice=suite,
        fingerprint=fingerprint,
        identities=(comparison.identity,),
        status="firing",
        severity=EVALUATION.severity,
        event_index=event_index,
        ts=comparison.ts,
        effect=None if worst is None else _effect(worst),
        evidence=Evidence(n=0 if worst is None else worst.n, baseline=baseline),
        reason=comparison.reason,
    )
    status = _OUTCOMES[comparison.overall]
    key = _stream_key(alert, comparison.identity)
    return StreamObservation(key, comparison.id, alert, status, inside=status == "quiet", calms=False)


def alert_id(
    fingerprint: str, status: AlertStatus, severity: Severity, event_index: int, ts: datetime, again: str | None = None
) -> str:
    """The id of an alert, made of its inputs: a redelivered one is an upsert.

    `again` is what a further change was held against: the alert itself may have been sent at the same exchange.
    """
    return hash16([fingerprint, status, severity, event_index, iso(ts), *([] if again is None else [again])])


def _stream_key(alert: Alert, identity: str | None) -> str:
    return "|".join(part or "" for part in (alert.family, identity, alert.signal, alert.hazard, alert.slice))


def _worst(comparison: Comparison) -> HazardComparison | None:
    """The regressed measure that moved most; the first of those that moved as far."""
    regressed = [hazard for hazard in comparison.hazards if hazard.verdict == "regressed"]
    return max(regressed, key=lambda hazard: abs(hazard.delta or 0.0), default=None)


def _effect(worst: HazardComparison) -> Effect:
    return Effect(
        name=f"{worst.hazard} {worst.measure}",
        before=worst.before,
        after=worst.after,
        low=worst.low,
        high=worst.high,
        unit="pp",
    )


def in_the_open(signal: str | None) -> bool:
    """Nothing is in shadow."""
    return False


AlertInput = Reading | Change | Run | Comparison | Decision


@dataclass(frozen=True, slots=True)
class StageContext:
    """The state so far, the input (None: nothing new in it), its word if it has one, and the alerts made of it.

    `shadows` says of a signal whether its alerts are in shadow.
    """

    state: AlertState
    item: AlertInput | None
    word: StreamObservation | None = None
    alerts: tuple[Alert, ...] = ()
    shadows: Callable[[str | None], bool] = in_the_open
