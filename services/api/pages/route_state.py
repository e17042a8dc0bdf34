"""How a route stands, in words: an incident before blind before learning before watched. Pure.

Quiet is never called safe: it says that no rate moved among what is watched.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from schemas.reading import Reading
from services.api.pages import words
from services.api.pages.detector_view import subject
from services.api.pages.route_file import RouteFile

SILENT: Final = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class State:
    """`tone` is the class of its colour, `word` the badge, `headline` the sentence, `notes` what else to know."""

    tone: str
    word: str
    headline: str
    notes: tuple[str, ...]


def state_of(file: RouteFile, size: int, now: datetime) -> State:
    """The route's state at `now`; a baseline takes `size` exchanges."""
    notes = _notes(file, now)
    blind = blind_spots(current(file))
    if file.open is not None:
        told = words.headline(file.open)
        return State(f"sev-{file.open.severity}", file.open.severity, told, (*_blind(blind), *notes))
    if file.clock is None:
        return State("blind", "not known", "No exchange has arrived on this route yet", notes)
    if blind:
        return State("blind", "blind", f"Not watched in full: {blind[0]}", (*_blind(blind[1:]), *notes))
    if file.pinned is None:
        return _learning(file, size, notes)
    return _watched(file, now, notes)


def _learning(file: RouteFile, size: int, notes: tuple[str, ...]) -> State:
    told = f"Learning what is normal: {min(learned(file.readings), size):,} of {size:,} exchanges"
    until_then = "Until then no rate is compared with anything. A secret in an answer alerts at once."
    return State("learning", "learning", told, (until_then, *notes))


def _watched(file: RouteFile, now: datetime, notes: tuple[str, ...]) -> State:
    if file.clock is not None and now - file.clock >= SILENT:
        return State("blind", "no data", f"No exchange for {words.ago(file.clock, now).removesuffix(' ago')}", ())
    firing = [one for one in current(file) if one.status == "firing"]
    if firing:
        what = subject(firing[0])
        told = f"{what[0].upper()}{what[1:]} moved, and no incident is open: a person muted or resolved it"
        return State("sev-info", "moved", told, notes)
    return State("watching", "watched", "No shift found among what is watched", notes)


def learned(readings: Sequence[Reading]) -> int:
    """Exchanges that the baseline has so far."""
    return max(
        (one.evidence.n for one in readings if one.detector == "baseline" and one.status == "learning"), default=0
    )


def current(file: RouteFile) -> tuple[Reading, ...]:
    """Readings that speak of now: of the baseline that counts, or of none; progress of learning is told elsewhere."""
    baseline = None if file.pinned is None else file.pinned.baseline
    return tuple(
        one
        for one in file.readings
        if one.detector != "baseline" and one.evidence.baseline in (None, baseline) and not _over(one, file)
    )


def blind_spots(readings: Sequence[Reading]) -> tuple[str, ...]:
    """What cannot be seen, and why, each once; events that are not captured do not make the route blind."""
    told = [
        one.reason or "the reason is not known"
        if one.detector == "blind"
        else f"{subject(one)} ({one.reason or 'the reason is not known'})"
        for one in readings
        if (one.status == "blind" and one.detector != "events") or (one.detector == "blind" and one.status == "firing")
    ]
    return tuple(dict.fromkeys(told))


def _over(one: Reading, file: RouteFile) -> bool:
    """A topic that was made again is over once exchanges count again."""
    return one.signal == "recreated_topic" and file.clock is not None and one.ts < file.clock


def _blind(spots: Sequence[str]) -> tuple[str, ...]:
    return (f"Not watched: {'; '.join(spots[:3])}{' and more' if len(spots) > 3 else ''}.",) if spots else ()


def _notes(file: RouteFile, now: datetime) -> tuple[str, ...]:
    if file.clock is None:
        return ()
    return (f"The last exchange arrived {words.ago(file.clock, now)}.",) if now - file.clock >= SILENT else ()
