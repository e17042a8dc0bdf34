"""Statistics of pairs, the same items before and after, and what a suite of a size can tell.

Exact McNemar test, Tango's score interval (Statistics in Medicine 17, 1998, 891-908), Holm's adjustment.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from scipy.special import bdtrc, betaincinv, ndtri

from services.evaluate import anytime_evidence
from services.evaluate.suite import Suite
from services.wording import runs

TAIL: Final = 0.025
"""Chance of a false `regressed`, and of a false `improved`; of either end of an interval."""
ALL_HAZARDS: Final = 0.64
"""What of it the rows over all hazards may spend. Any share from 0.625 on costs 1, 2, 4 or 8 measures no flip more."""
EACH_HAZARD: Final = 0.36
"""What is left for the rows of each hazard; see `of_each`."""
EARLY: Final = 0.005
"""What of `TAIL` a run that is watched while it goes on spends on looking; what is left decides at its end."""
POWER: Final = 0.8
_HALVINGS: Final = 40


def tail(moved: int, back: int) -> float:
    """One-sided exact McNemar: how likely at least `moved` of all flips go this way when either way is as likely.

    >>> round(tail(6, 0), 6), tail(0, 0)
    (0.015625, 1.0)
    """
    return float(bdtrc(moved - 1, moved + back, 0.5)) if moved else 1.0


def holm(tails: Sequence[float]) -> list[float]:
    """Holm's adjusted values, in the order given.

    >>> holm([0.01, 0.5, 0.03])
    [0.03, 0.5, 0.06]
    """
    adjusted, largest = [0.0] * len(tails), 0.0
    for rank, i in enumerate(sorted(range(len(tails)), key=lambda i: tails[i])):
        largest = max(largest, min(1.0, (len(tails) - rank) * tails[i]))
        adjusted[i] = largest
    return adjusted


@lru_cache(maxsize=1 << 14)
def interval(worse: int, better: int, n: int, tail_: float = TAIL) -> tuple[float, float]:
    """Tango's score interval of the change (worse - better) / n, as shares; each end is missed in `tail_` of cases.

    >>> [round(end, 3) for end in interval(0, 0, 20)]
    [-0.161, 0.161]
    """
    share, z = (worse - better) / n, -float(ndtri(tail_))
    return _end(worse, better, n, -1.0, share, z), _end(worse, better, n, 1.0, share, z)


def detectable(n: int, tests: int) -> float | None:
    """Smallest change, as a share, that `n` items show with 80% power; None when no change could be shown.

    With k the fewest flips for which 0.5^k <= 0.016 / tests (Holm's first step over all hazards) and every flip going
    one way, it is the 80% quantile of Beta(k, n - k + 1): the share d of flipping items with
    P(Binomial(n, d) >= k) = 0.8.

    >>> round(detectable(20, 1), 3), detectable(5, 1)
    (0.366, None)
    """
    return WHOLE.detectable(n, tests, ALL_HAZARDS)


@dataclass(frozen=True, slots=True)
class FixedDesign:
    """All items are asked, and looked at once: exact McNemar, Holm's adjustment, Tango's interval, each at `tail`."""

    tail: float = TAIL

    def adjusted(self, moved: Sequence[tuple[int, int]]) -> list[float]:
        """Adjusted tails of a family of (flips one way, flips the other way)."""
        return holm([tail(one, other) for one, other in moved])

    def interval(self, worse: int, better: int, n: int) -> tuple[float, float]:
        """Where the change lies, as shares."""
        return interval(worse, better, n, self.tail)

    def detectable(self, n: int, tests: int, share: float) -> float | None:
        """Smallest change, as a share, that `n` items show with 80% power; None when no change could be shown."""
        return _detectable(n, math.ceil(math.log2(tests / (share * self.tail))))


@dataclass(frozen=True, slots=True)
class AnytimeDesign:
    """One may look after every pair, and stop whenever one likes: see `anytime_evidence`."""

    tail: float = EARLY

    def adjusted(self, moved: Sequence[tuple[int, int]]) -> list[float]:
        """Adjusted tails of a family of (flips one way, flips the other way): 1 / evidence."""
        logs = [anytime_evidence.evidence(one, other, one + other, 0.0) for one, other in moved]
        return [math.exp(min(-log, 0.0)) for log in anytime_evidence.adjusted(logs)]

    def interval(self, worse: int, better: int, n: int) -> tuple[float, float]:
        """Where the change lies, as shares."""
        return anytime_evidence.interval(worse, better, n, self.tail)

    def detectable(self, n: int, tests: int, share: float) -> float | None:
        """Smallest change, as a share, that `n` items show with 80% power; None when no change could be shown."""
        return _detectable(n, anytime_evidence.flips_needed(tests, share * self.tail))


Design = FixedDesign | AnytimeDesign
WHOLE: Final = FixedDesign()
"""A run that nobody looked at before its end."""
WATCHED: Final = FixedDesign(TAIL - EARLY)
"""The end of a run that was watched, and went on to it."""
STOPPED: Final = AnytimeDesign()
"""A run that was watched, and stopped once it was decided."""


def over_all(tails: Sequence[float]) -> list[float]:
    """The adjusted tails of the rows over all hazards, of what both families may spend together."""
    return [min(1.0, one / ALL_HAZARDS) for one in tails]


def of_each(tails: Sequence[float], over: Sequence[float]) -> list[float]:
    """Those of the rows of each hazard, beside the rows `over` all of them.

    Once every row over all hazards is decided, what they spent is free again, and the hazards have all of it: a closed
    test, whose chance of any false verdict is still the whole tail.

    >>> of_each([0.009], [0.01]), of_each([0.009], [0.001]), of_each([0.009], [0.5]) == [0.009 / EACH_HAZARD]
    ([0.01], [0.009], True)
    """
    gate = max(over, default=1.0)
    return [min(1.0, one / EACH_HAZARD, max(one, gate)) for one in tails]


def _detectable(n: int, flips: int) -> float | None:
    return float(betaincinv(flips, n - flips + 1, POWER)) if flips <= n else None


def _end(worse: int, better: int, n: int, outer: float, inner: float, z: float) -> float:
    """Where the score leaves +-z between the estimate and -1 or 1, by halving."""
    for _ in range(_HALVINGS):
        middle = (outer + inner) / 2
        if abs(_score(worse, better, n, middle)) > z:
            outer = middle
        else:
            inner = middle
    return (outer + inner) / 2


def _score(worse: int, better: int, n: int, change: float) -> float:
    """Tango's score statistic of the null hypothesis that the change is `change`."""
    a, b = 2 * n, (2 * n - worse + better) * change - worse - better
    c = -better * change * (1 - change)
    rate = (math.sqrt(max(b * b - 4 * a * c, 0.0)) - b) / (2 * a)
    variance = n * (2 * rate + change * (1 - change))
    missed = worse - better - n * change
    return missed / math.sqrt(variance) if variance > 0 else math.copysign(math.inf, missed) if missed else 0.0


def remarks(suite: Suite) -> tuple[str, ...]:
    """For each tested measure: the smallest change that is seen, and whether `unchanged` can ever be said."""
    counts = Counter(item.measure for item in suite.items if item.measure != "canary")
    return tuple(_remark(measure, n, len(counts), suite.margin) for measure, n in sorted(counts.items()))


def _remark(measure: str, n: int, tests: int, margin: float) -> str:
    least, still = detectable(n, tests), 100 * interval(0, 0, n)[1]
    return runs.remark(measure, n, least, still, margin)
