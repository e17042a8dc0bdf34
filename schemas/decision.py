"""What a person decided."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Annotated, Final, Literal, Self

from pydantic import Field, PrivateAttr

from schemas.base import Hash16, Record, Text, Timestamp, hash16
from schemas.exchange import ToldRoute
from schemas.identity import Model

LASTS: Final = timedelta(hours=24)
"""How long a snooze or a silence holds that does not say."""

DecisionKind = Literal[
    "announce",
    "acknowledge",
    "snooze",
    "accept_baseline",
    "false_alarm",
    "roll_back",
    "silence",
    "resolve",
    "end_silence",
    "comment",
    "unmute",
]


class Decision(Record):
    """A person's decision on a route or one of its incidents, with the reason and who took it.

    A `comment` decides nothing: its reason stands on the incident's timeline, also after that was resolved. An `unmute`
    has what `resolve` and `false_alarm` muted heard again when it fires: of its `fingerprint`, else all of the route.

    `silence` is the id of the silence that an `end_silence` ends, or shortens to `expires`; without one it ends those
    of its `fingerprint`, and without that one all of the route. `share` is of an `announce`: the share of the route's
    exchanges that the model is to answer; None is all of them.
    """

    kind: DecisionKind
    route: ToldRoute
    incident: Hash16 | None = None
    fingerprint: Hash16 | None = None
    silence: Hash16 | None = None
    model: Model | None = None
    actor: Text
    reason: Text
    ts: Timestamp
    expires: Timestamp | None = None
    share: Annotated[float, Field(gt=0, le=1)] | None = None
    _first_id: str | None = PrivateAttr(default=None)

    @property
    def id(self) -> str:
        """Made of the content as it was decided: the same decision, delivered twice, is one."""
        if self._first_id is not None:
            return self._first_id
        content = self.model_dump(mode="json")
        for later in ("silence", "share"):  # the ids of decisions from before there was the field
            if content[later] is None:
                del content[later]
        return hash16(content)

    @classmethod
    def stored(cls, payload: str, id: str) -> Self:
        """A decision as it is stored under its id: words that were erased of it make it no other decision.

        Raises:
            pydantic.ValidationError: if `payload` is no decision.
        """
        one = cls.decode(payload.encode())
        if one.id != id:
            one._first_id = id
        return one

    @property
    def until(self) -> datetime:
        """When a snooze or a silence ends: `expires`, else 24 h after it was decided. None is for ever.

        What ends a silence does so at once when it does not say.
        """
        if self.expires is not None:
            return self.expires
        return self.ts if self.kind == "end_silence" else self.ts + LASTS


@dataclass(frozen=True, slots=True)
class Silence:
    """What became of a `silence`: nobody is told of the alerts of its route, or of one of them, before `until`.

    It holds from when it arrives, by the clock on the wall: people are told now, whenever it was that something moved.

    Attributes:
        id: of the decision that made it. incident: on which it was decided.
        fingerprint: of the one alert that it is about; None is all of the route.
        ended_by, ended_reason: who ended or shortened it, and why; None when it runs as long as it was made for.
    """

    id: str
    route: str
    since: datetime
    until: datetime
    actor: str
    reason: str
    fingerprint: str | None = None
    incident: str | None = None
    ended_by: str | None = None
    ended_reason: str | None = None

    def holds(self, now: datetime) -> bool:
        """Whether it holds at `now`."""
        return now < self.until

    def covers(self, fingerprint: str | None) -> bool:
        """Whether it is about this alert."""
        return self.fingerprint in (None, fingerprint)


def silences_of(decisions: Iterable[Decision], before: Iterable[Silence] = ()) -> tuple[Silence, ...]:
    """The silences of `before` and those that the decisions made, in order, each with its end as people left it."""
    made = {one.id: one for one in before}
    # At one time a silence comes before what ends it.
    for one in sorted(decisions, key=lambda one: (one.ts, one.kind == "end_silence", one.id)):
        if one.kind == "silence":
            made[one.id] = Silence(
                one.id, one.route, one.ts, one.until, one.actor, one.reason, one.fingerprint, one.incident
            )
        elif one.kind == "end_silence":
            made = {id: _ended(silence, one) for id, silence in made.items()}
    return tuple(made.values())


def _ended(silence: Silence, decision: Decision) -> Silence:
    """The silence after a decision that may end it, or shorten it; none makes one longer."""
    if decision.silence not in (None, silence.id) or decision.route != silence.route:
        return silence
    if decision.fingerprint not in (None, silence.fingerprint) or decision.until >= silence.until:
        return silence
    return replace(silence, until=decision.until, ended_by=decision.actor, ended_reason=decision.reason)
