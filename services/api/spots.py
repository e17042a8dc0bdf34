"""Blind spots of a route in words: what nobody can say anything about, and why. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

from services.store.fleet_details import Entry, Spot

SILENT: Final = timedelta(hours=24)
_REASONS: Final[Mapping[str, str]] = {
    "unscored": "the last exchanges have no value",
    "too few": "the baseline has too few exchanges to compare with",
    "prompts unlike the baseline": "users ask what the baseline does not hold",
}
_SUBJECTS: Final[Mapping[str, str]] = {"model_shift": "answers to like prompts", "user_shift": "what users ask"}


def words_of(entry: Entry, now: datetime) -> tuple[str, ...]:
    """What is not watched on the route at `now`, a sentence each; a route from which nothing comes is not watched."""
    told = tuple(_spot(spot) for spot in entry.spots)
    silent = silence(entry, now)
    return told if silent is None else (*told, f"no exchange for {silent}")


def silence(entry: Entry, now: datetime) -> str | None:
    """For how long nothing came, in hours or days; None when that is less than a day."""
    clock = entry.glance.clock
    if clock is None or now - clock < SILENT:
        return None
    hours = (now - clock) // timedelta(hours=1)
    return f"{hours} hours" if hours < 48 else f"{hours // 24} days"


def _spot(spot: Spot) -> str:
    reason = _REASONS.get(spot.reason or "", spot.reason or "the reason is not known")
    if spot.detector == "blind":
        return reason
    parts = f" ({spot.n} parts of the route)" if spot.n > 1 else ""
    return f"{_subject(spot)}: {reason}{parts}"


def _subject(spot: Spot) -> str:
    signal = (spot.signal or spot.detector).replace("_", " ")
    if spot.detector == "events":
        return signal
    return _SUBJECTS.get(spot.detector, f"{signal} rate" if spot.signal else signal)
