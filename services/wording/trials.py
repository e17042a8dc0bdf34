"""What a trial baseline is, and what it cannot see yet. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from services.wording import nouns, numbers

_EXAMPLES: Final = (0.01, 0.1)
MARK: Final = "for a trial"


def _least(rate: float, n: int, floor: float) -> str:
    """The smallest change that a baseline of `n` exchanges can show, without its unit."""
    from detectors.stats.visible_change import smallest_change  # noqa: PLC0415 -- numpy and scipy, for one root

    return points(smallest_change(rate, n, floor)).removesuffix(" points")


def points(share: float) -> str:
    """A change of a rate.

    >>> points(0.0512)
    '5.1 points'
    """
    return f"{100 * share:.1f} points"


def progress(n: int, size: int) -> str:
    """How far the full baseline is that a trial one will make way for."""
    return f"watches against a trial baseline; learned {n} of {size} exchanges towards a full one"


def cannot_see(rates: Mapping[str, float], floors: Mapping[str, float], n: int, full: int) -> str:
    """Per rate, the changes that never alert against a trial baseline, and against a full one.

    >>> cannot_see({"refusal": 0.15}, {"refusal": 0.02}, 300, 1000)
    'it cannot see yet: the refusal rate moving by less than 5.1 points (3.7 with 1,000)'
    """
    told = [
        f"the {nouns.signal_noun(name)} moving by less than {_least(rate, n, floors[name])} points "
        f"({_least(rate, full, floors[name])} with {full:,})"
        for name, rate in sorted(rates.items())
        if floors.get(name)
    ]
    return f"it cannot see yet: {numbers.listed(told)}" if told else "no rate is watched against it"


def pinned(rates: Mapping[str, float], floors: Mapping[str, float], n: int, full: int) -> str:
    """What a route is held against for now, on its page."""
    some = f"Trial baseline of {numbers.count(n, 'exchange')}; a full one has {full:,}, and takes its place"
    return f"{some} once there are as many and nothing has changed. For now {cannot_see(rates, floors, n, full)}."


def will_learn(first: int, full: int, floor: float) -> str:
    """What a monitor file asks for, before any rate is known, for `check-config`."""
    seen = [
        f"{_least(rate, first, floor)} points of a rate of {rate:.0%} ({_least(rate, full, floor)} with {full:,})"
        for rate in _EXAMPLES
    ]
    return (
        f"learns a trial baseline of {numbers.count(first, 'exchange')} at once; with a floor of {points(floor)} "
        f"smaller changes than {numbers.listed(seen)} are not seen until there is a full one"
    )
