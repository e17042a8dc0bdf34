"""Whether the questions of a route are still those of its baseline: only then do other answers speak of the model.

A baseline knows how the model answered its own questions. Where these return word for word, that is enough. Where they
return in other words, one that is like none of the baseline is another question, however near it lies: as many as usual
must be like one. Where each is new, all there is to hold against the baseline is where the questions lie as a whole,
within the topics that they are about: these come and go on a route whose users are the same. A few say too little.

Sources: Vovk, Gammerman and Shafer, "Algorithmic Learning in a Random World" (2005), chapter 2, for the share that is
like another; Hotelling, "The generalization of Student's ratio" (1931), for the questions as a whole, here on the signs
of random projections that sketches are made of.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Self

import numpy as np

from detectors.protocol import Bool, Float
from detectors.stats.clusters import distances, kmeans
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
LOOKS: Final = 20
"""An alarm that stands is looked at again with every few questions: as much chance as by so many looks apart."""
TOPICS: Final = 24
EACH: Final = 25
"""New questions of the baseline for each topic that there may be."""
_HELD: Final = 1_000
_DOUBT: Final = 1.64
_RIDGE: Final = 1e-3


@dataclass(frozen=True, slots=True)
class UsualQuestions:
    """What the questions of a baseline are like.

    Attributes:
        sketches: (n,) as often as they were asked.
        same, alike: share of the exchanges whose question another one asks in the same words, or nearly.
        worth: different questions that they are, counting alike ones as one.
        topics: what those are like that no other one is like.
    """

    sketches: Sketches
    same: float
    alike: float
    worth: float
    topics: QuestionTopics

    @classmethod
    def of(cls, sketches: Sketches) -> Self:
        """Those of a baseline's prompts."""
        n = len(sketches)
        _, times = np.unique(sketches, return_counts=True)
        some = sketches[np.linspace(0, n - 1, min(n, _HELD)).astype(np.int64)]
        like = alike(some, sketches).sum(axis=1)  # itself among them
        return cls(
            sketches=sketches,
            same=float(times[times > 1].sum()) / n,
            alike=float((like > 1).mean()),
            worth=n * float((1 / like).mean()),
            topics=QuestionTopics.of(some[like == 1]),
        )

    def judge(self, recent: Sketches, strange: float) -> Questions:
        """What (m,) questions are to these: `same`, `alike`, `other`, or too `few` to tell.

        `strange` is the share of others among them that could be what moved; with time there always are some.
        """
        if self.same >= RETURN:
            return "same"
        if not len(recent):
            return "few"
        return self._by_strange(recent, strange) if self.alike >= RETURN_ALIKE else self._as_a_whole(recent)

    def _by_strange(self, recent: Sketches, strange: float) -> Questions:
        """By how many are like none of the baseline: others, if that rules out that these are as many as usual."""
        from scipy.stats import binom  # noqa: PLC0415 -- half a second, and only an alarm needs it

        like = alike(recent, self.sketches)
        counts = self._counts(recent, like)
        n = max(round(float(counts.sum())), 1)
        share = float(counts[like.any(axis=1)].sum() / counts.sum())
        found = round(share * n)
        error = np.sqrt(self.alike * (1 - self.alike) / self.worth)
        as_usual = float(binom.cdf(found, n, self.alike - _DOUBT * error))
        if as_usual < LEVEL / LOOKS and self.alike - share >= strange / 2:
            return "other"
        fewer = float(binom.sf(found - 1, n, max(self.alike - strange, 0.0)))
        return "same" if fewer < STAYED else "few"

    def _counts(self, recent: Sketches, like: Bool) -> Float:
        """(m,) what each question counts: one that is asked more often than twice the usual counts no more than that.

        One user who asks one thing again and again is one question, strange or not.
        """
        usual = 1 + 2 * len(recent) * like.mean(axis=1)
        counts: Float = np.minimum(1.0, usual / alike(recent, recent).sum(axis=1))
        return counts

    def _as_a_whole(self, recent: Sketches) -> Questions:
        """By where those lie that are like none of the baseline: the first look at enough of them decides.

        Half of the chance is for that look, the other half is spread over those before it.
        """
        new = recent[~alike(recent, self.sketches).any(axis=1)]
        enough = _different(recent) >= LEAST
        if self.topics.chance_of(new) < LEVEL / 2 / (1 if enough else LEAST):
            return "other"
        return "alike" if enough and self.topics.known else "few"


@dataclass(frozen=True, slots=True)
class QuestionTopics:
    """Where questions lie within the topics that they are about; how often each topic is asked about may change.

    Attributes:
        centres: (c, SIGNS) share of each sign in a topic. count: (c,) questions of each.
        turn: (SIGNS, SIGNS) inverse covariance of the signs within topics; None where the questions are too few.
    """

    centres: Float
    count: Float
    turn: Float | None

    @classmethod
    def of(cls, sketches: Sketches) -> Self:
        """Those of different questions."""
        signs, n = _signs_of(sketches), len(sketches)
        if n <= 2 * SIGNS:
            return cls(np.zeros((1, SIGNS)), np.array([float(n)]), None)
        start = kmeans(signs, max(1, min(TOPICS, n // EACH)))
        near = distances(signs, start).argmin(axis=1)
        held, near, count = np.unique(near, return_inverse=True, return_counts=True)
        centres = np.stack([signs[near == topic].mean(axis=0) for topic in range(len(held))])
        off = signs - centres[near]
        cov = off.T @ off / (n - len(held)) + _RIDGE * np.eye(SIGNS)
        return cls(centres, count.astype(np.float64), np.asarray(np.linalg.inv(cov), dtype=np.float64))

    @property
    def known(self) -> bool:
        """Whether there were enough questions to hold others against them."""
        return self.turn is not None

    def chance_of(self, sketches: Sketches) -> float:
        """The chance that questions of these topics lie so far off within them; 1 where too few were known."""
        from scipy.stats import f  # noqa: PLC0415 -- half a second, and only an alarm needs it

        if self.turn is None or not len(sketches):
            return 1.0
        signs = _signs_of(sketches)
        near = distances(signs, self.centres).argmin(axis=1)
        weight = 1 / alike(sketches, sketches).sum(axis=1)
        worth = float(weight.sum())
        off = weight @ (signs - self.centres[near]) / worth
        share = np.bincount(near, weights=weight, minlength=len(self.count)) / worth
        error = 1 / worth + float((share**2 / self.count).sum())
        held = float(self.count.sum()) - len(self.count)
        free = held - SIGNS + 1
        return float(f.sf(float(off @ self.turn @ off) / error * free / (SIGNS * held), SIGNS, free))


def usual_questions(sketches: Sketches) -> UsualQuestions:
    """What the questions of a baseline are like, worked out once for the same sketches."""
    return _usual(sketches.tobytes())


@lru_cache(maxsize=16)
def _usual(raw: bytes) -> UsualQuestions:
    return UsualQuestions.of(np.frombuffer(raw, dtype=np.uint64))


def _different(sketches: Sketches) -> float:
    """How many different questions these are: alike ones count as one, however often they are asked."""
    return float((1 / alike(sketches, sketches).sum(axis=1)).sum())


def _signs_of(sketches: Sketches) -> Float:
    """(n, SIGNS) the first signs of each sketch, 0 or 1."""
    bits = np.unpackbits(np.ascontiguousarray(sketches).view(np.uint8).reshape(len(sketches), 8), axis=1)
    return bits[:, :SIGNS].astype(np.float64)
