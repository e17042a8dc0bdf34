"""Who answers on a route: fields of a model that change all the time, alone or together, and a bound on identities.

A date in the system prompt makes one field worthless for identity. Seven fields of six values each make none of them
suspicious, and nearly every exchange a new identity: so combinations count as values do.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Final

from schemas.identity import IDENTITY_FIELDS, Model, identity_of

WINDOW: Final = 1000
MOST_VALUES: Final = 20
DAYS_RUNNING: Final = 3
MOST_IDENTITIES: Final = 32
"""So many a route remembers; of these at most 20 answered one of its last 1,000 exchanges, so one that goes is idle."""
_REMEMBERED: Final = 64
_DAY_SECONDS: Final = 86_400
_LEFT_OUT_FIRST: Final = (
    "guardrails_sha256",
    "tools_sha256",
    "system_prompt_sha256",
    "endpoint",
    "provider",
    "served",
    "requested",
)
"""Where fields say equally little: the names of the model are kept the longest."""


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
class KnownIdentity:
    """Who answers under an identity, without volatile fields, and the event index at which that was last."""

    model: Model
    last: int


@dataclass(frozen=True, slots=True)
class Volatility:
    """Which fields a route leaves out of its identities, and what is needed to find more.

    Attributes:
        identities: the identities that answered last, at most 32. forgotten: how many were more than that.
    """

    fields: tuple[str, ...] = ()
    history: dict[str, FieldHistory] = field(default_factory=dict)
    identities: dict[str, KnownIdentity] = field(default_factory=dict)
    forgotten: int = 0


@dataclass(frozen=True, slots=True)
class Observed:
    """What one exchange's model brought: the fields that became volatile by it, and the identity that had to go."""

    identity: str
    fields: tuple[str, ...] = ()
    forgotten: str | None = None


def observe(state: Volatility, model: Model, index: int, ts: float) -> tuple[Volatility, Observed]:
    """Take in one exchange's model.

    A field is volatile with more than 20 values in the route's last 1,000 exchanges, or with a new value on 3 days
    running; the first value of a field is not a new one. With more than 20 identities in the last 1,000 exchanges
    the field is volatile without which fewest are left, until there are 20.
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
    fields = (*state.fields, *found)
    known = _merged(state.identities, fields) if found else dict(state.identities)
    known[identity_of(model, fields)] = KnownIdentity(without_volatile(model, fields), index)
    while len(known) > MOST_VALUES and len(recent := _recent(known, index)) > MOST_VALUES:
        name = _least_telling(recent, fields)
        found.append(name)
        history.pop(name, None)
        fields = (*fields, name)
        known = _merged(known, fields)
    gone = min(known, key=lambda who: known[who].last) if len(known) > MOST_IDENTITIES else None
    if gone is not None:
        del known[gone]
    after = Volatility(fields, history, known, state.forgotten + (gone is not None))
    return after, Observed(identity_of(model, fields), tuple(found), gone)


def meant_identity(state: Volatility, model: Model) -> str | None:
    """Who was meant to answer a call that failed, and so names no model that answered; None where nobody is known.

    The identity of the same fields, else the one that answered last of those that agree with all that the call says.
    """
    own = identity_of(model, state.fields)
    if own in state.identities:
        return own
    told = {name: getattr(model, name) for name in IDENTITY_FIELDS if name not in state.fields}
    said = {name: value for name, value in told.items() if value is not None}
    fitting = [
        who
        for who, one in state.identities.items()
        if all(getattr(one.model, name) == value for name, value in said.items())
    ]
    return max(fitting, key=lambda who: state.identities[who].last, default=None)


def without_volatile(model: Model, volatile: Iterable[str]) -> Model:
    """The model as identities count it: no fingerprint, no volatile field."""
    left_out: dict[str, str | None] = dict.fromkeys([*volatile, "fingerprint"])
    if "requested" in left_out:
        left_out["requested"] = "(volatile)"
    if all(getattr(model, name) == value for name, value in left_out.items()):
        return model
    return model.model_copy(update=left_out)


def _recent(known: dict[str, KnownIdentity], index: int) -> list[Model]:
    return [one.model for one in known.values() if one.last > index - WINDOW]


def _merged(known: dict[str, KnownIdentity], fields: Collection[str]) -> dict[str, KnownIdentity]:
    """The identities without these fields: of those that are one now, the last time counts."""
    merged: dict[str, KnownIdentity] = {}
    for one in sorted(known.values(), key=lambda one: one.last):
        model = without_volatile(one.model, fields)
        merged[identity_of(model, fields)] = KnownIdentity(model, one.last)
    return merged


def _least_telling(models: Collection[Model], fields: Collection[str]) -> str:
    """The field without which the fewest identities are left."""
    names = [name for name in _LEFT_OUT_FIRST if name not in fields]
    return min(names, key=lambda name: len({identity_of(model, (*fields, name)) for model in models}))


def _seen(past: FieldHistory, value: str, index: int, ts: float) -> FieldHistory:
    last = {**past.last, value: index}
    if value in past.last or not past.last:
        return FieldHistory(last, past.day, past.running)
    if len(last) > _REMEMBERED:
        del last[min(last, key=last.__getitem__)]
    day = int(ts // _DAY_SECONDS)
    if day == past.day:
        return FieldHistory(last, past.day, past.running)
    return FieldHistory(last, day, past.running + 1 if day == past.day + 1 else 1)


def _is_volatile(past: FieldHistory, index: int) -> bool:
    if past.running >= DAYS_RUNNING:
        return True
    # Nearly all fields have fewer values than that at all: which of them are recent need not be counted.
    return len(past.last) > MOST_VALUES and sum(seen > index - WINDOW for seen in past.last.values()) > MOST_VALUES
