"""That behaviour changed once more while an alarm stands, and that it has been so for long, in words. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from schemas.alert import Alert
from services.wording import incidents, movements, numbers
from services.wording.timeline import EntryWords

LASTING_DAYS: Final = 7
"""Whole days of the route's own time after which it is said, once, that something has been so since."""

TO_DO: Final = "Accept it as the new normal, roll the model back, or silence it; this is said once"


def changed_again(alert: Alert) -> EntryWords:
    """What changed again, since when, and what that is compared with: never what is normal."""
    again = alert.again
    assert again is not None
    told = alert.model_copy(
        update={
            "family": again.detector,
            "signal": again.signal,
            "slice": again.slice,
            "direction": again.direction,
            "effect": again.effect,
            "floor": again.floor,
            "evidence": again.evidence,
            "change_point": again.change_point,
            "movements": again.movements,
            "again": None,
        }
    )
    since = numbers.clock(again.ts_after, alert.ts)
    text = (
        f"Changed again: {incidents.sentence(told)}{movements.of_alert(told)}. Compared with the "
        f"{numbers.count(again.n, 'exchange')} after {since}, not with what is normal"
    )
    held = f"held against {again.reference}: {numbers.count(again.n, 'exchange')} after exchange {again.after:,}"
    return EntryWords(text, f"{held}; {incidents.details(told)}")


def suspected(noun: str, n: int, after: int) -> str:
    """Why a further change is suspected.

    >>> suspected("answers to similar questions", 300, 1310)
    'answers to similar questions moved again, against the 300 exchanges after exchange 1,310'
    """
    return f"{noun} moved again, against the {numbers.count(n, 'exchange')} after exchange {after:,}"


def lasting(alerts: Sequence[Alert], since: datetime, now: datetime) -> EntryWords:
    """That what alerts say has been so for a week, and what people can do about it."""
    first, *others = alerts
    more = f" ({numbers.count(len(others), 'other alert')} as well)" if others else ""
    text = (
        f"It has been so for {LASTING_DAYS} days, since {numbers.clock(since, now)}: "
        f"{incidents.sentence(first)}{more}. {TO_DO}"
    )
    return EntryWords(text, "; ".join(incidents.details(one) for one in alerts))
