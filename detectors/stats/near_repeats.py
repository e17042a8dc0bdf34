"""Prompts that are asked again and again in nearly the same words: how many of the last ones say the same.

A prompt is held as 64 signs of random projections, so that the angle between two of them shows as the share of signs
that differ: Charikar, "Similarity estimation techniques from rounding algorithms" (2002), section 3.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from detectors.protocol import Bool, Float, Half, Int
from detectors.stats.linear_algebra import row_products
from detectors.stats.repeated_prompts import RECENT

Sketches = NDArray[np.uint64]
ALIKE: Final = 9
"""Of 64 signs at most so many differ: a cosine of .95 differs in 6.5 +- 2.4 of them, one of .7 in 16 +- 3.5."""
LATEST: Final = 60
MANY: Final = 6
_BITS: Final = 64


@dataclass(frozen=True, slots=True)
class UsualPrompts:
    """What a baseline's prompts and users are like, to see what is unusual in numbers alone.

    Attributes:
        sketches: (n,) of its prompts, as often as they were asked.
        user_share: of its exchanges, the most that came from one user; 0 where none was told.
    """

    sketches: Sketches = field(default_factory=lambda: np.zeros(0, dtype=np.uint64))
    user_share: float = 0.0

    @classmethod
    def of(cls, prompts: Half, users: Int) -> Self:
        """Those of (n, d) prompts by (n,) users, 0 where none was told."""
        known = users[users != 0]
        most = np.unique(known, return_counts=True)[1].max(initial=0) if len(known) else 0
        return cls(sketches_of(prompts), float(most) / max(len(users), 1))

    def repeats(self, before: Sketches, new: Sketches) -> Bool:
        """(n,) which prompts repeat too much, by those that were asked before them, oldest first.

        Beyond twice, and four times as often as in the baseline, within `RECENT` prompts: the rule of
        `repeated_prompts`, for prompts that are alike. But not before there are `MANY` of the last `LATEST`: users who
        narrow their questions to a few topics ask more that is alike, and are no flood.
        """
        if not len(self.sketches):
            return np.zeros(len(new), dtype=np.bool_)
        allowed = 2.0 + 4.0 * RECENT * alike(new, self.sketches).mean(axis=1)
        recent, latest = _counts(before, new)
        return np.asarray((recent > allowed) & (latest >= MANY))

    def standing_out(self, sketches: Sketches) -> float:
        """Of these prompts, the share that is like one question; 0 where that is at most twice its usual share."""
        share = alike(sketches, sketches).mean(axis=1)
        if not len(share) or not len(self.sketches):
            return 0.0
        most = int(share.argmax())
        usual = float(alike(sketches[most : most + 1], self.sketches).mean())
        return float(share[most]) if share[most] > 2 * usual else 0.0


def sketches_of(prompts: Half) -> Sketches:
    """(n,) sketches of (n, d) prompt vectors."""
    signs = row_products(prompts.astype(np.float64), _signs(prompts.shape[1])) > 0
    return np.packbits(signs, axis=1).view(np.uint64)[:, 0] if len(prompts) else np.zeros(0, dtype=np.uint64)


def _counts(before: Sketches, new: Sketches) -> tuple[Int, Int]:
    """(n,) how many of the last `RECENT`, and `LATEST`, prompts up to each, itself among them, are like it."""
    every = np.concatenate([before, new])
    back = len(before) + np.arange(len(new))[:, None] - np.arange(len(every))[None, :]
    near = alike(new, every) & (back >= 0)
    return (near & (back < RECENT)).sum(axis=1), (near & (back < LATEST)).sum(axis=1)


def largest_share(sketches: Sketches) -> float:
    """Of these prompts, the share that is like the one that most are like."""
    return float(alike(sketches, sketches).mean(axis=1).max()) if len(sketches) else 0.0


def alike(a: Sketches, b: Sketches) -> Bool:
    """(n, m) whether each of `a` says nearly the same as each of `b`."""
    return np.asarray(np.bitwise_count(a[:, None] ^ b[None, :]) <= ALIKE)


@cache
def _signs(wide: int) -> Float:
    return np.random.default_rng(64).normal(size=(wide, _BITS))
