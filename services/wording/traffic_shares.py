"""Who answers which share of a route's exchanges: canaries and snapshots behind a load balancer. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

from services.wording import numbers

_MOST: Final = 3


def served_by(shares: Sequence[tuple[str, float]], n: int) -> str:
    """Who answers how much: (name, share), largest first.

    >>> served_by([("gpt-x-0613", 0.95), ("gpt-x-1106", 0.05)], 500)
    'served by gpt-x-0613 95.0%, gpt-x-1106 5.0% of the last 500 exchanges'
    """
    told = ", ".join(f"{name} {numbers.percent(share)}" for name, share in shares[:_MOST])
    more = f" and {len(shares) - _MOST} more" if len(shares) > _MOST else ""
    return f"served by {told}{more} of the last {numbers.count(n, 'exchange')}"


def share_moved(
    name: str,
    stage: Literal["moved", "complete", "rolled_back", "returned", "joined"],
    share: float,
    shares: Sequence[tuple[str, float]],
    n: int,
) -> str:
    """What became of the share of a model that had begun to answer a part of the route."""
    if stage == "complete":
        return f"{name} has taken over: it alone answered the last {numbers.count(n, 'exchange')}"
    if stage == "rolled_back":
        return f"{name} is rolled back: it answered none of the last {numbers.count(n, 'exchange')}"
    if stage == "joined":
        others = [other for other, _ in shares if other != name]
        who = numbers.listed(others[:_MOST]) if others else "another model"
        verb = "answers" if len(others) <= 1 else "answer"
        return f"{who} {verb} again beside {name}, which had taken over: {served_by(shares, n)}"
    again = " again" if stage == "returned" else ""
    return f"{name} answers {numbers.percent(share)}{again}: {served_by(shares, n)}"


def part_answers(name: str, share: float) -> str:
    """That a new model answers a part of the route."""
    return f"Another model answers {numbers.percent(share)} of the exchanges: {name}"
