"""Who answers which share of a route: canaries and snapshots behind a load balancer are one change each. Pure.

A new identity is a change once. What becomes of it is followed: its share is counted over the exchanges since it first
answered, the last 500 of them, in blocks that depend on the exchanges alone and not on how they arrive. It is told
again when the share moved by 20 points, when only the new one is left, when it answers no more, and when whoever was
gone answers again: a provider that balances two snapshots moves by less, however often they alternate. Who comes and
goes for ever is told of 8 times, and then only after 500 exchanges, 1,000, 2,000 ..., if it is another way then.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from math import sqrt
from typing import Final, Literal

BLOCK: Final = 50
"""Exchanges after which is looked."""
SHARE_WINDOW: Final = 500
MOVED: Final = 0.2
"""What is told again moved by so much since it was told."""
SETTLED: Final = 100
"""A share of fewer exchanges is not told again."""
_NOISE: Final = 3.0
"""A first share of few exchanges is far from the next one where it is so many standard errors away."""
_GAPS: Final = 20.0
"""Who answers at random and was not seen for so many times the usual gap is gone, but for one case in 10^8."""
_MOST_BLOCKS: Final = 64

TOLD_FREELY: Final = 8
"""So often an identity is told of since a baseline without a wait; each time more takes twice the exchanges."""
RETURNED: Final = 5
"""Who was gone answers again once it has answered so often."""

ShareEnd = Literal["complete", "rolled_back"]
ShareStage = Literal["moved", "complete", "rolled_back", "returned", "joined"]
"""`joined`: others answer again beside the one that had taken over."""


@dataclass(frozen=True, slots=True)
class ShareBlock:
    """Exchanges running, from number `start` of the route on: how many each identity answered."""

    start: int
    counts: dict[str, int] = field(default_factory=dict)

    @property
    def n(self) -> int:
        """How many exchanges."""
        return sum(self.counts.values())


@dataclass(frozen=True, slots=True)
class FollowedShare:
    """One new identity beside the others.

    Attributes:
        change: id of the change that it is, None before it is one. first: its first exchange.
        told: the share that was told last. few: of how many exchanges, where those are few.
        n, last: its exchanges and the newest of them.
        others, last_other: the same of all others since its first.
        ended: whether only it is left, or it is gone. back: exchanges since then of whoever was gone.
        times, told_at: how often it was told of after it was a change, and with which exchange last.
    """

    first: int
    change: str | None = None
    told: float = 0.0
    n: int = 0
    last: int = -1
    others: int = 0
    last_other: int = -1
    ended: ShareEnd | None = None
    back: int = 0
    times: int = 0
    told_at: int = 0
    few: int = 0


@dataclass(frozen=True, slots=True)
class TrafficShares:
    """The newest blocks, and who is followed since the baseline `of`."""

    of: str | None = None
    blocks: tuple[ShareBlock, ...] = ()
    followed: dict[str, FollowedShare] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ShareNews:
    """What is told of an identity: its share of the last `n` exchanges, beside those of the others."""

    identity: str
    stage: ShareStage
    change: str
    share: float
    shares: tuple[tuple[str, float], ...]
    n: int


def count_exchange(
    shares: TrafficShares, baseline: str, identity: str, index: int, new: bool
) -> tuple[TrafficShares, tuple[ShareNews, ...]]:
    """Take in who answered exchange `index`; one that is `new` beside the `baseline` is followed from then on."""
    if shares.of != baseline:
        shares = TrafficShares(baseline)
    begins = new and identity not in shares.followed
    if not (shares.followed or begins):
        return shares, ()  # as good as always: nothing is counted
    followed, blocks = dict(shares.followed), shares.blocks
    if begins:
        followed[identity] = FollowedShare(index)
    if begins or not blocks or blocks[-1].n >= BLOCK:
        blocks = _kept((*blocks, ShareBlock(index)))
    counts = blocks[-1].counts
    blocks = (*blocks[:-1], replace(blocks[-1], counts={**counts, identity: counts.get(identity, 0) + 1}))
    for who, one in followed.items():
        if who == identity:
            followed[who] = replace(one, n=one.n + 1, last=index, back=one.back + (one.ended == "rolled_back"))
        else:
            back = one.back + (one.ended == "complete")
            followed[who] = replace(one, others=one.others + 1, last_other=index, back=back)
    shares = replace(shares, blocks=blocks, followed=followed)
    return _look(shares, index) if blocks[-1].n >= BLOCK else (shares, ())


def share_of_identity(shares: TrafficShares, identity: str) -> tuple[tuple[tuple[str, float], ...], int]:
    """The shares of all since the identity first answered, largest first, and of how many exchanges."""
    first = shares.followed[identity].first if identity in shares.followed else 0
    counts: dict[str, int] = {}
    for block in shares.blocks:
        if block.start >= first:
            for who, n in block.counts.items():
                counts[who] = counts.get(who, 0) + n
    total = sum(counts.values())
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return tuple((who, n / total) for who, n in ordered), total


def begin_following(shares: TrafficShares, identity: str, change: str) -> TrafficShares:
    """The identity is a change from now on: what its share is now was told with it."""
    one = shares.followed.get(identity)
    if one is None:
        return shares
    table, n = share_of_identity(shares, identity)
    told, few = dict(table).get(identity, 0.0), n if n < SETTLED else 0
    ended: ShareEnd | None = None if one.others else "complete"  # it took over at once: there is nothing to follow
    now = replace(one, change=change, told=told, ended=ended, few=few)
    return replace(shares, followed={**shares.followed, identity: now})


def without_identity(shares: TrafficShares, identity: str) -> TrafficShares:
    """An identity that is forgotten is followed no more."""
    followed = {who: one for who, one in shares.followed.items() if who != identity}
    return replace(shares, followed=followed)


def renamed_shares(shares: TrafficShares, names: Mapping[str, str], usual: str | None) -> TrafficShares:
    """Identities that differed in a volatile field alone are one: the usual one is followed no more."""
    blocks = []
    for block in shares.blocks:
        counts: dict[str, int] = {}
        for who, n in block.counts.items():
            counts[names.get(who, who)] = counts.get(names.get(who, who), 0) + n
        blocks.append(replace(block, counts=counts))
    followed: dict[str, FollowedShare] = {}
    for who, one in sorted(shares.followed.items(), key=lambda item: item[1].first):
        if names.get(who, who) != usual:
            followed.setdefault(names.get(who, who), one)
    return replace(shares, blocks=tuple(blocks), followed=followed)


def _look(shares: TrafficShares, index: int) -> tuple[TrafficShares, tuple[ShareNews, ...]]:
    """What is told after exchange `index`, with which a block is full."""
    news = []
    for who in sorted(shares.followed):
        one = shares.followed[who]
        one = _settled(one, *share_of_identity(shares, who), who)
        shares = replace(shares, followed={**shares.followed, who: one})
        if one.change is None or (stage := _stage(shares, who, index)) is None:
            continue
        if stage in ("returned", "joined"):
            one = _anew(one, who, shares.blocks[-1])
            shares = replace(shares, followed={**shares.followed, who: one})
        table, n = share_of_identity(shares, who)
        share = {"complete": 1.0, "rolled_back": 0.0}.get(stage, dict(table).get(who, 0.0))
        ended: ShareEnd | None = stage if stage == "complete" or stage == "rolled_back" else None  # noqa: PLR1714 -- mypy
        one = replace(one, told=share, ended=ended, back=0, times=one.times + 1, told_at=index)
        shares = replace(shares, followed={**shares.followed, who: one})
        news.append(ShareNews(who, stage, str(one.change), share, table, n))
    return shares, tuple(news)


def _settled(one: FollowedShare, table: tuple[tuple[str, float], ...], n: int, who: str) -> FollowedShare:
    """With a share of enough exchanges to be held against, where the first was of few and this is no other one."""
    if one.few == 0 or n < SETTLED:
        return one
    share = dict(table).get(who, 0.0)
    noise = _NOISE * sqrt(max(share * (1 - share), one.told * (1 - one.told)) / one.few)
    return replace(one, few=0, told=share if abs(share - one.told) < max(MOVED, noise) else one.told)


def _anew(one: FollowedShare, who: str, block: ShareBlock) -> FollowedShare:
    """Followed as if it had first answered in the newest block."""
    n = block.counts.get(who, 0)
    return replace(one, first=block.start, n=n, others=block.n - n)


def _stage(shares: TrafficShares, who: str, index: int) -> ShareStage | None:
    one = shares.followed[who]
    if one.times >= TOLD_FREELY and index - one.told_at < SHARE_WINDOW * 2 ** (one.times - TOLD_FREELY):
        return None
    if one.ended is not None:
        here = shares.blocks[-1].counts  # after a wait, who came back may be gone again
        is_back = who in here if one.ended == "rolled_back" else bool(here.keys() - {who})
        if one.back < RETURNED or not is_back:
            return None
        return "returned" if one.ended == "rolled_back" else "joined"
    if _is_gone(index, one.last, one.first, one.n):
        return "rolled_back"
    if _is_gone(index, one.last_other, one.first, one.others):
        return "complete"
    table, n = share_of_identity(shares, who)
    return "moved" if n >= SETTLED and abs(dict(table).get(who, 0.0) - one.told) >= MOVED else None


def _is_gone(index: int, last: int, first: int, n: int) -> bool:
    """Whether who answered n times since `first` was not seen for so long that it is no chance."""
    if n == 0:
        return index - first >= SHARE_WINDOW
    usual = (last - first + 1) / n
    return index - last >= max(SHARE_WINDOW, _GAPS * usual)


def _kept(blocks: tuple[ShareBlock, ...]) -> tuple[ShareBlock, ...]:
    """The newest blocks, as many as hold the last 500 exchanges."""
    total, first = 0, len(blocks)
    while first > 0 and total < SHARE_WINDOW and len(blocks) - first < _MOST_BLOCKS:
        first -= 1
        total += blocks[first].n
    return blocks[first:]
