"""Whether the questions of a route are still those of its baseline: only then do other answers speak of the model.

A baseline knows how the model answered its own questions. Where these return word for word, that is enough. Where they
return in other words, one that is like none of the baseline is another question, however near it lies: as many as usual
must be like one. Where each is new, all there is to hold against the baseline is where the questions lie as a whole;
a few say too little of that.

Sources: Vovk, Gammerman and Shafer, "Algorithmic Learning in a Random World" (2005), chapter 2, for the share that is
like another; Hotelling, "The generalization of Student's ratio" (1931), for the questions as a whole, here on the signs
of random projections that sketches are made of; Kish, "Survey Sampling" (1965), for how many questions alike ones are
worth.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Self

import numpy as np

from detectors.protocol import Float
from detectors.stats.near_repeats import Sketches, alike
from schemas.reading import Questions

RETURN: Final = 0.4
"""Questions return word for word where at least this share of a baseline's exchanges is asked twice within it."""
RETURN_ALIKE: Final = 0.5
"""They return in other words where at least this share is like another: then a few strange ones are enough."""
LEAST: Final = 100
"""Different new questions that are looked at before they count as like those of the baseline."""
LEVEL: Final = 0.01
"""Chance at which questions that are like the baseline's are taken for others."""
STAYED: Final = 0.05
"""Chance at which questions of which enough are others to be what moved are taken for the baseline's."""
SIGNS: Final = 48
"""Signs of a sketch that are compared as a whole: with all 64, baselines of a few hundred say less."""
_HELD: Final = 1_000
_DOUBT: Final = 1.64
_RIDGE: Final = 1e-3


@dataclass(frozen=True, slots=True)
class UsualQuestions:
    """What the questions of a baseline are like.

    Attributes:
        sketches: (n,) as often as they were asked.
        same, alike: share of the exchanges whose question another one asks in the same words, or nearly.
        worth: different questions that they are worth, counting alike ones as one.
        mean: (SIGNS,) share of each sign; turn: (SIGNS, SIGNS) inverse of their covariance.
    """

    sketches: Sketches
    same: float
    alike: float
    worth: float
    mean: Float
    turn: Float

    @classmethod
    def of(cls, sketches: Sketches) -> Self:
        """Those of a baseline's prompts."""
        n = len(sketches)
        _, times = np.unique(sketches, return_counts=True)
        some = sketches[np.linspace(0, n - 1, min(n, _HELD)).astype(np.int64)]
        like = alike(some, sketches).sum(axis=1)  # itself among them
        signs = _signs_of(sketches)
        cov = np.cov(signs.T, bias=True) + _RIDGE * np.eye(SIGNS)
        return cls(
            sketches=sketches,
            same=float(times[times > 1].sum()) / n,
            alike=float((like > 1).mean()),
            worth=_worth(some, sketches),
            mean=signs.mean(axis=0),
            turn=np.asarray(np.linalg.inv(cov), dtype=np.float64),
        )

    def judge(self, recent: Sketches, strange: float) -> Questions:
        """What (m,) questions are to these: `same`, `alike`, `other`, or too `few` to tell.

        `strange` is the share of others among them that could be what moved; with time there always are some.
        """
        if self.same >= RETURN:
            return "same"
        worth = _worth(recent, recent)
        if self._chance_of_place(recent, worth) < LEVEL:
            return "other"
        if self.alike >= RETURN_ALIKE:
            return self._by_strange(recent, strange)
        return "alike" if worth >= LEAST and self.worth > 2 * SIGNS else "few"

    def _by_strange(self, recent: Sketches, strange: float) -> Questions:
        """By how many are like none of the baseline: others, if that rules out that these are as many as usual."""
        from scipy.stats import binom  # noqa: PLC0415 -- half a second, and only an alarm needs it

        n, found = len(recent), int(alike(recent, self.sketches).any(axis=1).sum())
        error = np.sqrt(self.alike * (1 - self.alike) / self.worth)
        as_usual = float(binom.cdf(found, n, self.alike - _DOUBT * error))
        if as_usual < LEVEL and self.alike - found / n >= strange / 2:
            return "other"
        fewer = float(binom.sf(found - 1, n, max(self.alike - strange, 0.0)))
        return "same" if fewer < STAYED else "few"

    def _chance_of_place(self, recent: Sketches, worth: float) -> float:
        """The chance that questions like these, worth so many, lie so far off; 1 where they are too few to tell."""
        from scipy.stats import f  # noqa: PLC0415 -- half a second, and only an alarm needs it

        free = self.worth - SIGNS
        if free <= SIGNS:
            return 1.0
        off = _signs_of(recent).mean(axis=0) - self.mean
        distance = float(off @ self.turn @ off) / (1 / worth + 1 / self.worth)
        return float(f.sf(distance * free / (SIGNS * (self.worth - 1)), SIGNS, free))


def usual_questions(sketches: Sketches) -> UsualQuestions:
    """What the questions of a baseline are like, worked out once for the same sketches."""
    return _usual(sketches.tobytes())


@lru_cache(maxsize=16)
def _usual(raw: bytes) -> UsualQuestions:
    return UsualQuestions.of(np.frombuffer(raw, dtype=np.uint64))


def _worth(some: Sketches, every: Sketches) -> float:
    """How many different questions `every` is worth, by `some` of them: alike ones count as one."""
    return len(every) / float(alike(some, every).sum(axis=1).mean())


def _signs_of(sketches: Sketches) -> Float:
    """(n, SIGNS) the first signs of each sketch, 0 or 1."""
    bits = np.unpackbits(np.ascontiguousarray(sketches).view(np.uint8).reshape(len(sketches), -1), axis=1)
    return bits[:, :SIGNS].astype(np.float64)
