"""Findings of detectors, made into readings with their exact exchange."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from detectors.protocol import Finding
from schemas.base import moment
from schemas.position import Position
from schemas.reading import Effect, Evidence, Reading, ReadingStatus, reading_id
from services.intake.core import Intake

EVERY_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class StreamFinding:
    """A finding at row `row` of an intake: what `detector` says of `identity` (None: of the whole route)."""

    row: int
    detector: str
    identity: str | None
    finding: Finding

    @property
    def key(self) -> str:
        """The stream that it speaks of."""
        stream = self.finding.stream
        return "|".join(part or "" for part in (self.detector, self.identity, stream.signal, stream.slice))

    @property
    def running(self) -> str:
        """The running state that it comes from."""
        return detector_state_key(self.detector, self.identity)

    @property
    def order(self) -> tuple[int, str]:
        """The order of speaking, which does not depend on how blocks are cut."""
        return self.row, self.key


def stream_key_parts(key: str) -> tuple[str, str | None, str | None, str | None]:
    """Detector, identity, signal and slice of a stream's key; a slice may hold any character."""
    detector, identity, signal, slice_ = key.split("|", 3)
    return detector, identity or None, signal or None, slice_ or None


def detector_state_key(detector: str, identity: str | None) -> str:
    """`detector/identity`, or `detector` when its scope is the route."""
    return detector if identity is None else f"{detector}/{identity}"


def should_report(heard: StreamFinding, spoken: dict[str, float], ts: float) -> bool:
    """Every transition, and a periodic word at most once a minute of the exchanges' time."""
    return heard.finding.transition or ts - spoken.get(heard.key, float("-inf")) >= EVERY_SECONDS


def reading_of(heard: StreamFinding, route: str, intake: Intake, baseline: str | None, restarted: int) -> Reading:
    """The reading of a finding.

    `restarted` is the route's count of exchanges when the stream's evidence was zeroed last. Added to n it keeps
    the ids of a stream apart: otherwise the 50th row after a person's decision would be the first 50th again.
    """
    said = heard.finding
    stream = said.stream
    return Reading(
        id=reading_id(
            route,
            heard.identity,
            heard.detector,
            stream.signal,
            stream.slice,
            said.direction,
            baseline,
            said.n + restarted,
            said.status,
        ),
        route=route,
        identity=heard.identity,
        detector=heard.detector,
        signal=stream.signal,
        slice=stream.slice,
        direction=said.direction,
        status=said.status,
        effect=said.effect,
        floor=said.floor,
        evidence=Evidence(log_e=said.log_e, threshold=said.threshold, n=said.n, baseline=baseline),
        event_index=int(intake.rows.index[heard.row]),
        ts=moment(float(intake.rows.ts[heard.row])),
        source=intake.positions[heard.row],
        exemplars=said.exemplars,
        reason=said.reason,
    )


def status_reading(
    route: str,
    detector: str,
    status: ReadingStatus,
    place: tuple[int, float, Position],
    reason: str,
    *,
    subject: str | None = None,
    n: int = 0,
    effect: Effect | None = None,
) -> Reading:
    """A reading that no statistical test stands behind: learning progress, volatile fields, blindness.

    `place` is the event index, the time and the position of the exchange at which it is said.
    """
    index, ts, source = place
    return Reading(
        id=reading_id(route, None, detector, subject, None, None, None, index, status),
        route=route,
        detector=detector,
        signal=subject,
        status=status,
        effect=effect,
        evidence=Evidence(n=n),
        event_index=index,
        ts=moment(ts),
        source=source,
        reason=reason,
    )
