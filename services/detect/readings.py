"""Findings of detectors, made into readings with their exact exchange."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from detectors.protocol import Finding, Stream
from schemas.base import moment
from schemas.position import Position
from schemas.reading import ChangedAgain, Effect, Evidence, Reading, ReadingStatus, reading_id
from services.detect.floods import FLOOD, LAST, FloodFinding
from services.detect.state import Pinned, Relearned, SecondReference
from services.intake.core import Intake
from services.specs import family_of
from services.wording import floods

EVERY_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class StreamFinding:
    """A finding at row `row` of an intake, of `detector` on `identity` (None: on the whole route).

    `judge` is what was learned anew beside the baseline and says this; None: the baseline itself. `again` is what it is
    held against where it tells of a further change while an alarm stands.
    """

    row: int
    detector: str
    identity: str | None
    finding: Finding
    judge: Relearned | None = None
    again: SecondReference | None = None

    @property
    def key(self) -> str:
        """The stream that it speaks of."""
        stream = self.finding.stream
        return "|".join(part or "" for part in (self.detector, self.identity, stream.signal, stream.slice))

    @property
    def state_key(self) -> str:
        """The running state that it comes from."""
        return detector_state_key(self.detector, self.identity)

    @property
    def order(self) -> tuple[int, str]:
        """The order of findings, which does not depend on how blocks are cut."""
        return self.row, self.key


def stream_key_parts(key: str) -> tuple[str, str | None, str | None, str | None]:
    """Detector, identity, signal and slice of a stream's key; a slice may hold any character."""
    detector, identity, signal, slice_ = key.split("|", 3)
    return detector, identity or None, signal or None, slice_ or None


def detector_state_key(detector: str, identity: str | None) -> str:
    """`detector/identity`, or `detector` when its scope is the route."""
    return detector if identity is None else f"{detector}/{identity}"


def should_report(found: StreamFinding, reported: Mapping[str, float], ts: float) -> bool:
    """Every transition, and a periodic reading at most once a minute of the exchanges' time.

    `reported` has the time of each stream's last reading.
    """
    return found.finding.transition or ts - reported.get(found.key, float("-inf")) >= EVERY_SECONDS


def reading_of(found: StreamFinding, route: str, intake: Intake, pinned: Pinned | None, restarted: int) -> Reading:
    """The reading of a finding against `pinned`, the baseline of the route.

    `restarted` is the route's count of exchanges when the stream's evidence was zeroed last. Added to n it keeps
    the ids of a stream apart: otherwise the 50th row after a person's decision would be the first 50th again.
    """
    finding = found.finding
    stream = finding.stream
    baseline = None if pinned is None else pinned.id
    rates = {} if pinned is None else pinned.rates if found.judge is None else found.judge.rates
    held = None if family_of(found.detector).kind == "ceiling" else baseline  # a ceiling needs none
    restarted = restarted if found.judge is None else max(restarted, found.judge.event_index + 1)
    return Reading(
        id=reading_id(
            route,
            found.identity,
            found.detector,
            stream.signal,
            stream.slice,
            finding.direction,
            baseline,
            finding.n + restarted,
            finding.status,
        ),
        route=route,
        identity=found.identity,
        detector=found.detector,
        signal=stream.signal,
        slice=stream.slice,
        direction=finding.direction,
        status=finding.status,
        effect=_beside_counted(finding.effect, stream, rates, held),
        floor=finding.floor,
        evidence=Evidence(log_e=finding.log_e, threshold=finding.threshold, n=finding.n, baseline=held),
        event_index=int(intake.rows.index[found.row]),
        ts=moment(float(intake.rows.ts[found.row])),
        source=intake.positions[found.row],
        exemplars=finding.exemplars,
        counterparts=finding.counterparts,
        change_point=finding.change_point,
        movements=finding.movements,
        questions=finding.questions,
        reason=finding.reason,
    )


def again_reading(found: StreamFinding, route: str, intake: Intake) -> Reading:
    """The reading of a finding that behaviour changed again: nothing of it is held against the baseline."""
    finding, stream, held = found.finding, found.finding.stream, found.again
    assert held is not None
    assert held.id is not None
    told = (found.identity, found.detector, stream.signal, stream.slice)
    evidence = Evidence(log_e=finding.log_e, threshold=finding.threshold, n=finding.n, baseline=held.id)
    return Reading(
        id=reading_id(route, *told, finding.direction, held.id, finding.n, finding.status),
        route=route,
        identity=found.identity,
        detector=found.detector,
        signal=stream.signal,
        slice=stream.slice,
        direction=finding.direction,
        status=finding.status,
        evidence=evidence,
        event_index=int(intake.rows.index[found.row]),
        ts=moment(float(intake.rows.ts[found.row])),
        source=intake.positions[found.row],
        exemplars=finding.exemplars,
        again=ChangedAgain(
            reference=held.id,
            after=held.after,
            ts_after=moment(held.ts),
            n=held.n,
            detector=found.detector,
            signal=stream.signal,
            slice=stream.slice,
            direction=finding.direction,
            effect=finding.effect,
            floor=finding.floor,
            evidence=evidence,
            change_point=finding.change_point,
            movements=finding.movements,
        ),
    )


def with_note(reading: Reading, note: str | None) -> Reading:
    """The reading with what stands out of the traffic, where it says that something moved or cannot be judged."""
    family = family_of(reading.detector)
    told = family.of_baseline and family.kind in ("shift", "rate", "level") and reading.status in ("firing", "blind")
    if note is None or not told:
        return reading
    return reading.model_copy(update={"reason": note if reading.reason is None else f"{reading.reason}; {note}"})


def flood_reading(route: str, found: FloodFinding, place: tuple[int, float, Position]) -> Reading:
    """The reading that one user or one prompt is much of the traffic, or no more."""
    status: ReadingStatus = "blind" if found.blind else "quiet"
    return status_reading(route, FLOOD, status, place, found.note or floods.OVER, n=LAST)


def _beside_counted(
    effect: Effect | None, stream: Stream, rates: Mapping[str, float], held: str | None
) -> Effect | None:
    """The effect with the rate that was counted in the baseline: the number that charts and `/safety` show too."""
    if effect is None or effect.unit != "pp" or stream.slice is not None or held is None:
        return effect
    rate = rates.get(stream.signal or "")
    return effect if rate is None else effect.model_copy(update={"baseline_rate": 100 * rate})


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

    `place` is the event index, the time and the position of the exchange at which it is finding.
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
