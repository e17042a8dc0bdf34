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
from services.store.route_status import BlindSpot, RouteStatus, StreamStatus

MOST_SPOTS: Final = 20
_SPOT_REASONS: Final[Mapping[str, str]] = {
    "unscored": "the last exchanges have no value",
    "too few": "the baseline has too few exchanges to compare with",
    "prompts unlike the baseline": "users ask what the baseline does not hold",
}
_SPOT_SUBJECTS: Final[Mapping[str, str]] = {"model_shift": "answers to like prompts", "user_shift": "what users ask"}


def blind_spot_sentences(status: RouteStatus) -> tuple[str, ...]:
    """What is not watched on the route, a sentence each, at most 21; where nothing arrives nothing is watched."""
    found = tuple(_spot_sentence(spot) for spot in status.blind_spots[:MOST_SPOTS])
    return found if status.silent is None else (*found, f"no exchange for {_length(status.silent)}")


def _length(silent: timedelta) -> str:
    hours = silent // timedelta(hours=1)
    return f"{hours} hours" if hours < 48 else f"{hours // 24} days"


def _spot_sentence(spot: BlindSpot) -> str:
    reason = _SPOT_REASONS.get(spot.reason or "", spot.reason or "the reason is not known")
    if spot.detector == "blind":
        return reason
    parts = f" ({spot.n} parts of the route)" if spot.n > 1 else ""
    return f"{_spot_subject(spot)}: {reason}{parts}"


def _spot_subject(spot: BlindSpot) -> str:
    signal = (spot.signal or spot.detector).replace("_", " ")
    if spot.detector == "events":
        return signal
    return _SPOT_SUBJECTS.get(spot.detector, f"{signal} rate" if spot.signal else signal)


STATUSES: Final[Mapping[ReadingStatus, str]] = {
    "firing": "moved",
    "blind": "blind",
    "learning": "learning",
    "quiet": "quiet",
}
MOST_READINGS: Final = 24
_ORDER: Final[tuple[ReadingStatus, ...]] = ("firing", "blind", "learning", "quiet")
_SUBJECTS: Final[Mapping[str, str]] = {
    "model_shift": "answers to like prompts",
    "user_shift": "what users ask",
    "blind": "watching",
    "volatile": "volatile fields",
}


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


def stream_subject(one: Reading | StreamStatus) -> str:
    """What a stream is about, for example `refusal rate`."""
    named = (one.signal or one.detector).replace("_", " ")
    if one.detector == "events":
        return f"{named} in an answer"
    return _SUBJECTS.get(one.detector) or (f"{named} rate" if one.signal else named)


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
    if one.detector == "events":
        return None if one.status == "blind" or effect is None or effect.after is None else f"{effect.after:,.0f} seen"
    if effect is None or effect.after is None:
        return None
    after = wording.level(effect.after, effect.unit)
    return after if effect.before is None else f"{wording.level(effect.before, effect.unit)} to {after}"


def _change(one: Reading) -> str | None:
    effect = one.effect
    if one.detector == "events":  # counted, and one is enough
        return None
    if effect is None or effect.low is None or effect.high is None:
        return "change not known"
    return f"change {wording.change(effect.low, effect.high, effect.unit)} (95% interval)"


@dataclass(frozen=True, slots=True)
class StatusHeading:
    """`tone` is the class of its colour, `word` the badge, `headline` the sentence, `notes` what else to know."""

    tone: str
    word: str
    headline: str
    notes: tuple[str, ...]


def heading_of(file: RouteSnapshot, size: int, now: datetime) -> StatusHeading:
    """How the route stands, as its page says it; a baseline takes `size` exchanges."""
    status, notes = file.status, _notes(file, now)
    spots = tuple(_spot_sentence(spot) for spot in status.blind_spots)
    if file.open is not None:
        said = wording.headline(file.open)
        return StatusHeading(f"sev-{file.open.severity}", file.open.severity, said, (*_unseen(spots), *notes))
    if file.clock is None:
        return StatusHeading(status.watch, "not known", "No exchange has arrived on this route yet", notes)
    if status.watch == "learning":
        return _learning(file, size, (*_unseen(spots), *notes))
    if status.watch == "blind":
        return _blind(status, spots, file.clock, now)
    return _watched(status, (*_unseen(spots), *notes))


def _learning(file: RouteSnapshot, size: int, notes: tuple[str, ...]) -> StatusHeading:
    said = f"Learning what is normal: {min(file.learned, size):,} of {size:,} exchanges"
    until_then = "Until then no rate is compared with anything. A secret in an answer alerts at once."
    return StatusHeading("learning", "learning", said, (until_then, *notes))


def _blind(status: RouteStatus, spots: tuple[str, ...], clock: datetime, now: datetime) -> StatusHeading:
    since = wording.ago(clock, now)
    notes = () if status.silent is None else (f"The last exchange arrived {since}.",)
    if status.is_silent_alone:
        return StatusHeading("blind", "no data", f"No exchange for {since.removesuffix(' ago')}", ())
    return StatusHeading("blind", "blind", f"Not watched in full: {spots[0]}", (*_unseen(spots[1:]), *notes))


def _watched(status: RouteStatus, notes: tuple[str, ...]) -> StatusHeading:
    if status.moved:
        what = stream_subject(status.moved[0])
        said = f"{what[0].upper()}{what[1:]} moved, and no incident is open: a person muted or resolved it"
        return StatusHeading("sev-info", "moved", said, notes)
    return StatusHeading("watching", "watched", "No shift found among what is watched", notes)


def _unseen(spots: Sequence[str]) -> tuple[str, ...]:
    return (f"Not watched: {'; '.join(spots[:3])}{' and more' if len(spots) > 3 else ''}.",) if spots else ()


def _notes(file: RouteSnapshot, now: datetime) -> tuple[str, ...]:
    if file.clock is None or file.status.silent is None:
        return ()
    return (f"The last exchange arrived {wording.ago(file.clock, now)}.",)
