"""A new identity on a route, or the suspicion of one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field

from schemas.base import Hash16, NonNegative, Part, Record, Text, Timestamp, hash16
from schemas.exchange import ToldRoute
from schemas.identity import Model

ChangeKind = Literal["observed", "suspected", "pinned", "provider", "share"]


class Pinning(Part):
    """What was pinned: `n` exchanges, the share of them for which each signal was true, and the budget.

    Each of `streams` tests is held to one false alarm in `arl` exchanges, on average. A `trial` baseline is of few
    exchanges, and makes way for a full one. `examples` are ids of those whose text is kept with it, to be read beside
    later exchanges.
    """

    n: NonNegative
    streams: NonNegative
    arl: float
    rates: Mapping[Text, float] = Field(default_factory=dict)
    trial: bool = False
    examples: tuple[Text, ...] = ()


class Change(Record):
    """`observed`: first seen in traffic. `suspected`: behaviour moved under the same name. `pinned`: a baseline was.

    `provider`: the same served model moved on several routes within hours; `reason` says on which of how many.

    `share`: what became of the share of the exchanges that the new identity of the change `of` answers, a canary or one
    of several behind a load balancer; it is no change of its own. With `observed` the share is that at its first sight.

    `from` and `to` are identities. A change of fingerprint alone has equal identities and names the fingerprints.
    """

    id: Hash16
    kind: ChangeKind
    route: ToldRoute
    from_identity: Hash16 | None = Field(default=None, alias="from")
    to_identity: Hash16 = Field(alias="to")
    model: Model | None = None
    fingerprint: Text | None = None
    baseline: Hash16 | None = None
    pinning: Pinning | None = None
    ts: Timestamp
    event_index: NonNegative
    reason: Text
    share: Annotated[float, Field(ge=0, le=1)] | None = None
    of: Hash16 | None = None


def change_id(route: str, kind: str, from_: str | None, to: str, baseline: str | None) -> str:
    """The id of a change.

    `from_` and `to` carry the fingerprints where only those differ, and `to` the exchange (`@index`) where the same
    identity is suspected again after 24 h.
    """
    return hash16([route, kind, from_, to, baseline])
