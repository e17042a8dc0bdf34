"""What silences do to notifications: which are kept, which are sent at their end, which nobody hears of. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Final

from schemas.alert import rank
from schemas.decision import Silence
from services.store.deliveries import JOINED, KEPT, PASSED, PENDING
from services.store.silences import OutboxEntry

_UNHEARD: Final = (KEPT, PASSED, JOINED)


@dataclass(frozen=True, slots=True)
class SilencePlan:
    """Notifications that get another state, and those that a silence keeps, or makes quiet from now on."""

    states: Mapping[str, str] = field(default_factory=dict)
    silences: Mapping[str, str] = field(default_factory=dict)

    def __bool__(self) -> bool:
        """Whether anything is to be done."""
        return bool(self.states or self.silences)


def plan(entries: Sequence[OutboxEntry], silences: Mapping[str, Sequence[Silence]]) -> SilencePlan:
    """What becomes of the notifications under the silences that hold now, by route.

    - An alert that fires under a silence is kept: nobody is told, its incident's page shows it.
    - One that resolves only edits the message that is there: nobody is rung for it.
    - When no silence covers what is kept any more, the worst of an incident's that still stand is sent, and stands for
      the others: one telling an incident.
    - What happens to an incident of which nobody has heard is told to nobody.
    """
    states: dict[str, str] = {}
    covered: dict[str, str] = {}
    for _, some in groupby(sorted(entries, key=lambda one: one.incident), key=lambda one: one.incident):
        _of_incident(tuple(some), silences, states, covered)
    return SilencePlan(states, covered)


def _of_incident(
    entries: Sequence[OutboxEntry],
    silences: Mapping[str, Sequence[Silence]],
    states: dict[str, str],
    covered: dict[str, str],
) -> None:
    kept, pending = [], []
    for one in entries:
        silence = _silence_of(one, silences)
        if one.state == PENDING and not one.heard and silence is not None:
            if one.silence != silence.id:
                covered[one.id] = silence.id
            if one.fired is not None:
                states[one.id] = KEPT
                continue
        if one.state == KEPT and silence is None:
            kept.append(one)
        elif one.state == KEPT and silence is not None and one.silence is None:
            covered[one.id] = silence.id
        elif one.state == PENDING:
            pending.append(one)
    known = any(one.heard or (one.fired is not None and one in pending) for one in entries)
    hushed = any(one.state in _UNHEARD or one.id in states for one in entries)
    if hushed and not known:
        states.update({one.id: PASSED for one in pending if one.fired is None})
    if kept:
        states.update({one.id: JOINED for one in kept})
        states[max(kept, key=_urgency).id] = PENDING


def _silence_of(one: OutboxEntry, silences: Mapping[str, Sequence[Silence]]) -> Silence | None:
    """The silence that covers an alert; what people decide is no alert."""
    if one.fingerprint is None:
        return None
    return next((silence for silence in silences.get(one.route, ()) if silence.covers(one.fingerprint)), None)


def _urgency(one: OutboxEntry) -> tuple[int, float]:
    assert one.fired is not None
    return rank(one.fired), one.created.timestamp()
