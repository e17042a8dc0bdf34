"""What is watched on a route, what is blind, and how the route stands, in words. Pure.

Blind spots of a route in words: what nobody can say anything about, and why. Pure.

What each detector says of a route, with its evidence against the threshold. Pure: words and numbers, no markup.

How a route stands, in words: an incident before blind before learning before watched. Pure.

Quiet is never called safe: it says that no rate moved among what is watched.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from schemas.identity import Model
from schemas.reading import Reading, ReadingStatus
from services.api import wording
from services.api.route_snapshot import RouteSnapshot
from services.charts import Chart, evidence_bar
from services.specs import LEARNING, family_of, signal_of
from services.store.fleet import BlindSpot, FleetEntry

ROUTE_SILENT_AFTER: Final = timedelta(hours=24)
_SPOT_REASONS: Final[Mapping[str, str]] = {
    "unscored": "the last exchanges have no value",
    "too few": "the baseline has too few exchanges to compare with",
    "prompts unlike the baseline": "users ask what the baseline does not hold",
}


def blind_spot_sentences(entry: FleetEntry, now: datetime) -> tuple[str, ...]:
    """What is not watched on the route at `now`, a sentence each; a route from which nothing comes is not watched."""
    told = tuple(_spot_sentence(spot) for spot in entry.spots)
    silent = silent_for(entry, now)
    return told if silent is None else (*told, f"no exchange for {silent}")


def silent_for(entry: FleetEntry, now: datetime) -> str | None:
    """For how long nothing came, in hours or days; None when that is less than a day."""
    clock = entry.glance.clock
    if clock is None or now - clock < ROUTE_SILENT_AFTER:
        return None
    hours = (now - clock) // timedelta(hours=1)
    return f"{hours} hours" if hours < 48 else f"{hours // 24} days"


def _spot_sentence(spot: BlindSpot) -> str:
    reason = _SPOT_REASONS.get(spot.reason or "", spot.reason or "the reason is not known")
    if family_of(spot.detector).kind == "blind":
        return reason
    parts = f" ({spot.n} parts of the route)" if spot.n > 1 else ""
    return f"{_spot_subject(spot)}: {reason}{parts}"


def _spot_subject(spot: BlindSpot) -> str:
    family = family_of(spot.detector)
    if family.kind == "event":
        return (spot.signal or spot.detector).replace("_", " ")
    return family.noun if spot.signal is None else signal_of(spot.signal).noun


STATUSES: Final[Mapping[ReadingStatus, str]] = {
    "firing": "moved",
    "blind": "blind",
    "learning": "learning",
    "quiet": "quiet",
}
MOST_READINGS: Final = 24
_ORDER: Final[tuple[ReadingStatus, ...]] = ("firing", "blind", "learning", "quiet")


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


def stream_subject(one: Reading) -> str:
    """What a stream is about, for example `refusal rate`."""
    family = family_of(one.detector)
    if family.kind == "event":
        return f"{(one.signal or one.detector).replace('_', ' ')} in an answer"
    return family.noun if one.signal is None or family.kind == "blind" else signal_of(one.signal).noun


def identity_name(identity: str, models: Mapping[str, Model]) -> str:
    """The model's name, and the beginning of the identity, which tells it from others of that name."""
    model = models.get(identity)
    return identity[:8] if model is None else f"{model.served or model.requested} ({identity[:8]})"


def _rank(one: Reading) -> tuple[int, bool, float, str, str, str]:
    found = one.evidence
    share = (found.log_e or 0.0) / found.threshold if found.threshold else 0.0
    return (
        _ORDER.index(one.status),
        one.slice is not None,
        -share,
        stream_subject(one),
        one.slice or "",
        one.identity or "",
    )


def _row(one: Reading, models: Mapping[str, Model]) -> DetectorRow:
    found = one.evidence
    return DetectorRow(
        name=stream_subject(one),
        where=one.slice,
        who=None if one.identity is None else identity_name(one.identity, models),
        status=one.status,
        word=STATUSES[one.status],
        bar=None if found.threshold is None else evidence_bar(found.log_e, found.threshold, stream_subject(one)),
        n=found.n,
        size=_size(one),
        change=_change(one),
        reason=one.reason,
        ts=one.ts,
    )


def _size(one: Reading) -> str | None:
    effect = one.effect
    if family_of(one.detector).kind == "event":
        return None if one.status == "blind" or effect is None or effect.after is None else f"{effect.after:,.0f} seen"
    if effect is None or effect.after is None:
        return None
    after = wording.level(effect.after, effect.unit)
    return after if effect.before is None else f"{wording.level(effect.before, effect.unit)} to {after}"


def _change(one: Reading) -> str | None:
    effect = one.effect
    if family_of(one.detector).kind == "event":  # counted, and one is enough
        return None
    if effect is None or effect.low is None or effect.high is None:
        return "change not known"
    return f"change {wording.change(effect.low, effect.high, effect.unit)} (95% interval)"


SILENT: Final = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class RouteStatus:
    """`tone` is the class of its colour, `word` the badge, `headline` the sentence, `notes` what else to know."""

    tone: str
    word: str
    headline: str
    notes: tuple[str, ...]


def route_status_of(file: RouteSnapshot, size: int, now: datetime) -> RouteStatus:
    """The route's state at `now`; a baseline takes `size` exchanges."""
    notes = _notes(file, now)
    blind = blind_spots(current_readings(file))
    if file.open is not None:
        told = wording.headline(file.open)
        return RouteStatus(f"sev-{file.open.severity}", file.open.severity, told, (*_blind(blind), *notes))
    if file.clock is None:
        return RouteStatus("blind", "not known", "No exchange has arrived on this route yet", notes)
    if blind:
        return RouteStatus("blind", "blind", f"Not watched in full: {blind[0]}", (*_blind(blind[1:]), *notes))
    if file.pinned is None:
        return _learning(file, size, notes)
    return _watched(file, now, notes)


def _learning(file: RouteSnapshot, size: int, notes: tuple[str, ...]) -> RouteStatus:
    told = f"Learning what is normal: {min(learned_exchanges(file.readings), size):,} of {size:,} exchanges"
    until_then = "Until then no rate is compared with anything. A secret in an answer alerts at once."
    return RouteStatus("learning", "learning", told, (until_then, *notes))


def _watched(file: RouteSnapshot, now: datetime, notes: tuple[str, ...]) -> RouteStatus:
    if file.clock is not None and now - file.clock >= SILENT:
        return RouteStatus(
            "blind", "no data", f"No exchange for {wording.ago(file.clock, now).removesuffix(' ago')}", ()
        )
    firing = [one for one in current_readings(file) if one.status == "firing"]
    if firing:
        what = stream_subject(firing[0])
        told = f"{what[0].upper()}{what[1:]} moved, and no incident is open: a person muted or resolved it"
        return RouteStatus("sev-info", "moved", told, notes)
    return RouteStatus("watching", "watched", "No shift found among what is watched", notes)


def learned_exchanges(readings: Sequence[Reading]) -> int:
    """Exchanges that the baseline has so far."""
    return max((one.evidence.n for one in readings if one.detector == LEARNING and one.status == "learning"), default=0)


def current_readings(file: RouteSnapshot) -> tuple[Reading, ...]:
    """Readings that speak of now: of the baseline that counts, or of none; progress of learning is told elsewhere."""
    baseline = None if file.pinned is None else file.pinned.baseline
    return tuple(
        one
        for one in file.readings
        if one.detector != LEARNING and one.evidence.baseline in (None, baseline) and not _over(one, file)
    )


def blind_spots(readings: Sequence[Reading]) -> tuple[str, ...]:
    """What cannot be seen, and why, each once; events that are not captured do not make the route blind."""
    told = [
        one.reason or "the reason is not known"
        if family_of(one.detector).kind == "blind"
        else f"{stream_subject(one)} ({one.reason or 'the reason is not known'})"
        for one in readings
        if _is_spot(one)
    ]
    return tuple(dict.fromkeys(told))


def _is_spot(one: Reading) -> bool:
    kind = family_of(one.detector).kind
    return (one.status == "blind" and kind != "event") or (kind == "blind" and one.status == "firing")


def _over(one: Reading, file: RouteSnapshot) -> bool:
    """A topic that was made again is over once exchanges count again."""
    return one.signal == "recreated_topic" and file.clock is not None and one.ts < file.clock


def _blind(spots: Sequence[str]) -> tuple[str, ...]:
    return (f"Not watched: {'; '.join(spots[:3])}{' and more' if len(spots) > 3 else ''}.",) if spots else ()


def _notes(file: RouteSnapshot, now: datetime) -> tuple[str, ...]:
    if file.clock is None:
        return ()
    return (f"The last exchange arrived {wording.ago(file.clock, now)}.",) if now - file.clock >= SILENT else ()
