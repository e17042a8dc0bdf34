"""What is monitored on a route, what is not, and how the route stands, in words and numbers. Pure.

How a route stands: an incident before what is not monitored before learning before monitored. Quiet is never called
safe: it says that no change was found among what is monitored.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from schemas.identity import Model
from schemas.reading import Reading, ReadingStatus
from services.api.learning_pace import is_over, learning_line, learning_notes, pace_of
from services.api.route_snapshot import RouteSnapshot
from services.charts import Chart, evidence_bar
from services.monitor import RoutePolicy
from services.specs import family_of
from services.store.route_status import RouteStatus
from services.wording import ceilings, decisions, incidents, nouns, numbers, routes, timeline, trials

MOST_SPOTS: Final = 20
NO_DATA: Final = "no_data"
"""The subject of a reading that says so already."""
MOST_READINGS: Final = 24
_ORDER: Final[tuple[ReadingStatus, ...]] = ("firing", "blind", "learning", "quiet")


def blind_spots(status: RouteStatus) -> tuple[str, ...]:
    """What is not monitored on the route, and why, at most 25; where nothing arrives nothing is monitored."""
    found = status.blind_spots[:MOST_SPOTS]
    failed = tuple(routes.parked(one.route, one.step, one.reason, one.n, one.beyond) for one in status.parked)
    told = failed + tuple(routes.blind_spot(spot.detector, spot.signal, spot.reason, spot.n) for spot in found)
    said = status.silent is None or any(spot.signal == NO_DATA for spot in found)
    return told if said or status.silent is None else (*told, routes.silent_for(status.silent))


def not_monitored(status: RouteStatus) -> tuple[str, ...]:
    """The same, a sentence each."""
    return tuple(routes.not_monitored(spot) for spot in blind_spots(status))


@dataclass(frozen=True, slots=True)
class DetectorRow:
    """One stream: its evidence as a bar where it has a threshold, and how far it moved."""

    name: str
    where: str | None
    who: str | None
    status: ReadingStatus
    word: str
    bar: Chart | None
    n: int
    size: str | None
    change: str | None
    reason: str | None
    ts: datetime


def detector_rows(readings: Sequence[Reading], models: Mapping[str, Model]) -> tuple[DetectorRow, ...]:
    """All streams: what moved first, then what is blind; the whole route before its slices, strong evidence first."""
    return tuple(_row(one, models) for one in sorted(readings, key=_rank))


def _rank(one: Reading) -> tuple[int, bool, float, str, str, str]:
    found = one.evidence
    share = (found.log_e or 0.0) / found.threshold if found.threshold else 0.0
    return (
        _ORDER.index(one.status),
        one.slice is not None,
        -share,
        nouns.subject(one),
        one.slice or "",
        one.identity or "",
    )


def _row(one: Reading, models: Mapping[str, Model]) -> DetectorRow:
    found = one.evidence
    return DetectorRow(
        name=nouns.subject(one),
        where=one.slice,
        who=None if one.identity is None else nouns.model_of(one.identity, models),
        status=one.status,
        word=routes.STATUSES[one.status],
        bar=None if found.threshold is None else evidence_bar(found.log_e, found.threshold, nouns.subject(one)),
        n=found.n,
        size=_size(one),
        change=_change(one),
        reason=None if one.reason is None else routes.reason(one.reason, one.signal),
        ts=one.ts,
    )


def _size(one: Reading) -> str | None:
    effect = one.effect
    if family_of(one.detector).kind == "event":
        seen = one.status != "blind" and effect is not None and effect.after is not None
        return routes.times_seen(effect.after or 0.0) if seen and effect is not None else None
    if effect is None or effect.after is None:
        return None
    if family_of(one.detector).kind == "ceiling":
        return ceilings.held_against(effect, one.floor)
    after = numbers.level(effect.after, effect.unit)
    return after if effect.before is None else f"{numbers.level(numbers.before_of(effect), effect.unit)} to {after}"


def _change(one: Reading) -> str | None:
    if family_of(one.detector).kind == "event":  # counted, and one is enough
        return None
    effect = one.effect
    if family_of(one.detector).kind == "ceiling":
        return ceilings.bounds(effect)
    return routes.change(None, None, "pp") if effect is None else routes.change(effect.low, effect.high, effect.unit)


@dataclass(frozen=True, slots=True)
class StatusHeading:
    """`tone` is the class of its colour, `word` the badge, `headline` the sentence, `notes` what else to know."""

    tone: str
    word: str
    headline: str
    notes: tuple[str, ...]


def heading_of(file: RouteSnapshot, policy: RoutePolicy, now: datetime) -> StatusHeading:
    """How the route stands, as its page says it."""
    status, notes = file.status, _notes(file, now)
    spots = not_monitored(status)
    if file.open is not None:
        said = incidents.title(file.open) + incidents.sureness(file.open)
        return StatusHeading(f"sev-{file.open.severity}", file.open.severity, said, (*spots, *notes))
    if file.clock is None:
        return StatusHeading(status.watch, numbers.UNKNOWN, routes.NO_EXCHANGE, (*spots, *notes))
    if status.watch == "learning":
        said, pace = _learning(file, policy, now)
        told = (*pace, routes.UNTIL_LEARNED, *spots, *notes)
        return StatusHeading("learning", routes.WATCHED["learning"], said, told)
    if status.watch == "blind":
        return StatusHeading("blind", routes.WATCHED["blind"], spots[0], (*spots[1:], *notes))
    return _watched(file, policy, (*spots, *notes, *_trial(file, policy)))


def _learning(file: RouteSnapshot, policy: RoutePolicy, now: datetime) -> tuple[str, tuple[str, ...]]:
    """How far it has learned, and how fast that goes, where it is known."""
    pace = pace_of(file.learned, file.learns_from, file.clock, policy, now)
    said = learning_line(file.learned, file.held_back, pace, policy)
    if file.held_back is not None:
        return said, ()
    if pace is not None:
        return said, learning_notes(pace, policy)
    if file.clock is None or file.status.silent is not None or not is_over(file.clock, now):
        return said, ()  # what is silent for a day is told with the notes
    return said, (routes.last_exchange(file.clock, now),)


def _trial(file: RouteSnapshot, policy: RoutePolicy) -> tuple[str, ...]:
    """What a trial baseline cannot see yet."""
    found = None if file.pinned is None else file.pinned.pinning
    if found is None or not found.trial:
        return ()
    return (trials.pinned(found.rates, policy.floors, found.n, policy.baseline.size),)


def _watched(file: RouteSnapshot, policy: RoutePolicy, notes: tuple[str, ...]) -> StatusHeading:
    if file.status.moved:
        moved, decided = file.status.moved[0], max(file.mutes, key=lambda mute: mute.since, default=None)
        why = routes.SHADOW if policy.shadows(moved.signal) else None
        if decided is not None:
            why = decisions.unheard(decided.kind, decided.actor, decided.reason, decided.since, decided.until)
        said = routes.moved_unheard(nouns.subject_of(moved.detector, moved.signal), why)
        return StatusHeading("sev-info", routes.STATUSES["firing"], said, notes)
    return StatusHeading("watching", routes.WATCHED["watching"], routes.NOTHING_FOUND, notes)


def _notes(file: RouteSnapshot, now: datetime) -> tuple[str, ...]:
    anew = (one.reason for one in file.readings if one.status == "learning" and one.slice is None and one.reason)
    tried = tuple(timeline.in_shadow(alert) for alert in file.shadows)
    learning = (*(routes.learns_anew(reason) for reason in dict.fromkeys(anew)), *tried)
    if file.clock is None or file.status.silent is None:
        return learning
    return (*learning, routes.last_exchange(file.clock, now))
