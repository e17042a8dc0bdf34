"""What a reading or a comparison says, in the one form that the stages work on."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from schemas.alert import Alert, AlertStatus, Severity, fingerprint_of
from schemas.base import hash16, iso
from schemas.evaluation import Comparison, HazardComparison, Outcome
from schemas.reading import Effect, Evidence, Reading, ReadingStatus
from services.alert.severity import EVALUATION, EVENTS, WINDOW, is_inside, is_outside, severity_of, size_of

_OUTCOMES: Final[dict[Outcome, ReadingStatus]] = {
    "regressed": "firing",
    "improved": "quiet",
    "unchanged": "quiet",
    "inconclusive": "blind",
}
# Their quiet says nothing of what happened: only a decision resolves them.
_RESOLVED_BY_PEOPLE: Final = frozenset({EVENTS, EVALUATION})


@dataclass(frozen=True, slots=True)
class Word:
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


def of_reading(reading: Reading) -> Word:
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
        reason=reading.reason,
    )
    quiet = reading.status == "quiet"
    # Quiet before it has seen a window says nothing: a decision on another incident zeroed its evidence.
    young = reading.evidence.baseline is not None and reading.evidence.n < WINDOW
    outside = is_outside(reading.effect, reading.floor, reading.direction)
    stays = young or outside or reading.detector in _RESOLVED_BY_PEOPLE
    return Word(
        key=_key(alert, reading.identity),
        id=reading.id,
        alert=alert,
        status=reading.status,
        inside=quiet and is_inside(reading.effect, reading.floor, reading.evidence.n),
        calms=quiet and not stays,
    )


def of_comparison(comparison: Comparison, event_index: int, baseline: str | None) -> Word:
    """The word of a suite: a regressed one fires; one that did not regress never resolves anything.

    It has no exchange of its own: `event_index` is the route's last known one.
    """
    suite = f"suite={comparison.suite}"
    fingerprint = fingerprint_of(comparison.route, EVALUATION, None, None, suite)
    worst = _worst(comparison)
    alert = Alert(
        id=hash16([fingerprint, "firing", "error", comparison.id]),
        route=comparison.route,
        family=EVALUATION,
        slice=suite,
        fingerprint=fingerprint,
        identities=(comparison.identity,),
        status="firing",
        severity="error",
        event_index=event_index,
        ts=comparison.ts,
        effect=None if worst is None else _effect(worst),
        evidence=Evidence(n=0 if worst is None else worst.n, baseline=baseline),
        reason=comparison.reason,
    )
    status = _OUTCOMES[comparison.overall]
    key = _key(alert, comparison.identity)
    return Word(key, comparison.id, alert, status, inside=status == "quiet", calms=False)


def alert_id(fingerprint: str, status: AlertStatus, severity: Severity, event_index: int, ts: datetime) -> str:
    """The id of an alert, made of its inputs: a redelivered one is an upsert."""
    return hash16([fingerprint, status, severity, event_index, iso(ts)])


def _key(alert: Alert, identity: str | None) -> str:
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
