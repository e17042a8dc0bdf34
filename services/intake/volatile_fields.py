"""Fields of a model that change all the time (a date in the system prompt) and so say nothing of identity."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Final

from schemas.identity import IDENTITY_FIELDS, Model

WINDOW: Final = 1000
MOST_VALUES: Final = 20
DAYS_RUNNING: Final = 3
_REMEMBERED: Final = 64
_DAY_SECONDS: Final = 86_400


@dataclass(frozen=True, slots=True)
class FieldHistory:
    """The values that one field had.

    Attributes:
        last: value (or "" for none) -> event index at which it was last seen.
        day: the last day (since 1970) that brought a new value; running: how many such days in a row.
    """

    last: dict[str, int] = field(default_factory=dict)
    day: int = -1
    running: int = 0


@dataclass(frozen=True, slots=True)
class Volatility:
    """Which fields a route leaves out of its identities, and what is needed to find more."""

    fields: tuple[str, ...] = ()
    history: dict[str, FieldHistory] = field(default_factory=dict)


def observe(state: Volatility, model: Model, index: int, ts: float) -> tuple[Volatility, tuple[str, ...]]:
    """Take in one exchange's model: the new state and the fields that have just become volatile.

    A field is volatile with more than 20 values in the route's last 1,000 exchanges, or with a new value on 3 days
    running. The first value of a field is not a new one.
    """
    history = dict(state.history)
    found = []
    for name in IDENTITY_FIELDS:
        if name in state.fields:
            continue
        history[name] = _seen(history.get(name, FieldHistory()), getattr(model, name) or "", index, ts)
        if _is_volatile(history[name], index):
            del history[name]
            found.append(name)
    return Volatility((*state.fields, *found), history), tuple(found)


def _seen(past: FieldHistory, value: str, index: int, ts: float) -> FieldHistory:
    last = {**past.last, value: index}
    if value in past.last or not past.last:
        return replace(past, last=last)
    if len(last) > _REMEMBERED:
        del last[min(last, key=last.__getitem__)]
    day = int(ts // _DAY_SECONDS)
    if day == past.day:
        return replace(past, last=last)
    return FieldHistory(last, day, past.running + 1 if day == past.day + 1 else 1)


def _is_volatile(past: FieldHistory, index: int) -> bool:
    recent = sum(seen > index - WINDOW for seen in past.last.values())
    return recent > MOST_VALUES or past.running >= DAYS_RUNNING
