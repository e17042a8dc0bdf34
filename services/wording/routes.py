"""How a route stands: what is monitored and what is not, how far it has learned, its budget of false alarms. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from schemas.reading import Reading, ReadingStatus
from services import specs
from services.wording import nouns, numbers

SILENT_AFTER: Final = timedelta(hours=24)
_UNSCORED: Final = "unscored"
REASONS: Final[Mapping[str, str]] = {
    _UNSCORED: "the last exchanges could not be scored",
    "too few": "too few exchanges were learned to compare with",
    "prompts unlike the baseline": "users ask what was never asked while learning",
    "too few different answers in the baseline": "the answers that were learned are all alike",
    "too few different prompts in the baseline": "the questions that were learned are all alike",
}
"""Reasons of detectors, in the words of people."""
NO_REASON: Final = "the reason is not known"
STATUSES: Final[Mapping[ReadingStatus, str]] = {
    "firing": "changed",
    "blind": "not monitored",
    "learning": "learning",
    "quiet": "no change",
}
NO_EXCHANGE: Final = "No exchange has arrived on this route yet"
NOTHING_FOUND: Final = "No change found among what is monitored"
UNTIL_LEARNED: Final = "Until then no rate is compared with anything. A leaked credential is told at once."


def reason(given: str | None, signal: str | None = None) -> str:
    """Why something is not monitored."""
    if given is None:
        return NO_REASON
    missing = specs.signal_of(signal).unscored if signal is not None and given == _UNSCORED else ""
    return missing or REASONS.get(given, given)


def not_monitored(detector: str, signal: str | None, given: str | None, parts: int = 1) -> str:
    """What is not monitored, and why: `Not monitored: system prompt leaks (no exchange carries a system prompt)`."""
    return f"Not monitored: {blind_spot(detector, signal, given, parts)}"


def blind_spot(detector: str, signal: str | None, given: str | None, parts: int = 1) -> str:
    """The same without its beginning, for lists; of a whole route the reason alone."""
    why = reason(given, signal)
    if specs.family_of(detector).kind == "blind":
        return why
    some = "" if parts == 1 else f", in {parts} parts of the route"
    return f"{nouns.subject_of(detector, signal)} ({why}{some})"


def blind_spots(readings: Sequence[Reading]) -> tuple[str, ...]:
    """What readings say is not monitored, each once."""
    return tuple(dict.fromkeys(blind_spot(one.detector, one.signal, one.reason) for one in readings))


def silent(clock: datetime | None, now: datetime) -> str | None:
    """That nothing came for a day or more; None when it did."""
    if clock is None or now - clock < SILENT_AFTER:
        return None
    return f"no exchange for {numbers.duration(now - clock)}"


def learning(learned: int, of: int, hours: float | None = None, per_hour: int | None = None) -> str:
    """How far a route has learned what is normal; `hours` is how long it will still take, where that is known."""
    told = f"Learning: {learned:,} of {numbers.count(of, 'exchange')}"
    if hours is None:
        return told
    limit = "" if per_hour is None else f" (at most {per_hour:,} an hour count, `baseline.per_hour`)"
    return f"{told}, about {numbers.hours_long(hours)} to go{limit}"


def learns_for(learned: int, of: int, an_hour: float, per_hour: int | None) -> float | None:
    """Hours until so many exchanges are learned, at the traffic of the last day; None where nothing comes.

    >>> learns_for(50, 600, 500.0, 84), learns_for(50, 600, 0.0, 84)
    (6.5476190476190474, None)
    """
    rate = an_hour if per_hour is None else min(an_hour, per_hour)
    return None if rate <= 0 else max(of - learned, 0) / rate


def budget_set(a_month: float) -> str:
    """What the detectors are set to.

    >>> budget_set(1)
    'Set to about one false alarm a month'
    """
    if a_month >= 1:
        n = round(a_month)
        return f"Set to about {numbers.in_words(n)} false alarm{numbers.plural(n)} a month"
    return f"Set to about one false alarm in {1 / a_month:.0f} months" if a_month > 0 else "Set to no false alarm"


def budget_used(used: int, a_month: float) -> str:
    """False alarms of the last 30 days against the budget."""
    where = "over" if used > a_month else "within"
    return f"{where} the false-alarm budget ({used} of {a_month:g} this month)"


def pages(n: int) -> str:
    """How often people were paged."""
    return f"{n:,} page{numbers.plural(n)} in 30 days" if n else "no page in 30 days"
