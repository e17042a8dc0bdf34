"""The expected probability of a Boolean signal given the prompt, and how far the baseline may be off about it."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from scipy.special import expit, logit

from detectors.protocol import Bool, Float, Int
from detectors.stats.linear_algebra import row_products
from detectors.stats.prompt_map import Places

FOLDS = 5
PENALTY = 1.0
PSEUDO = 2.0  # distinct prompts by which a topic's own rate is drawn to what the logistic model says
MEMORY_LEAST = 0.2  # a prompt's own answers never outweigh the model by more than 1 to this
MEMORY_PRIOR, MEMORY_WEIGHT = 0.8, 2.0  # answers to one prompt are taken to differ this much until repeats tell
EDGE = 1e-3


@dataclass(frozen=True, slots=True)
class Expectation:
    """q(prompt) of one stream with its error, both from the baseline alone.

    Attributes:
        weights: (1 + k,) logistic model on the features; offset: (c,) what a topic adds to it.
        memory: (u,) rate of each distinct baseline prompt, its own answers shrunk to the model; NaN where the
            stream did not hold it.
        new_error, seen_error: (c,) squared standard error of the mean of q over prompts of a topic that the
            baseline did not hold, and over those that it held.
        share: (2c,) share of the baseline's rows in each topic, first as new prompts, then as seen ones
            (the chance that a next row is new is the share of prompts seen once: Good, 1953).
    """

    weights: Float
    offset: Float
    memory: Float
    new_error: Float
    seen_error: Float
    share: Float

    def rate(self, places: Places) -> Float:
        """(n,) expected probability given the prompt."""
        score = self.weights[0] + np.einsum("nk,k->n", places.features, self.weights[1:])
        fresh = np.clip(expit(score) + self.offset[places.topic], 0.0, 1.0)
        return np.where(self._held(places), self.memory[places.seen], fresh)

    def cell(self, places: Places) -> Int:
        """(n,) index into `share`: the prompt's topic, counted apart for prompts that the baseline held."""
        return places.topic + np.where(self._held(places), len(self.offset), 0)

    def error(self) -> Float:
        """(2c,) squared errors in the order of `share`."""
        return np.concatenate([self.new_error, self.seen_error])

    def _held(self, places: Places) -> Bool:
        """Which prompts the stream's baseline held."""
        return (places.seen >= 0) & ~np.isnan(self.memory[places.seen])


@dataclass(frozen=True, slots=True)
class ExpectationTable:
    """The models of s expectations of one baseline side by side: they share its topics and its distinct prompts.

    Attributes:
        weights: (k, s) on the features; level: (s,) the intercepts; offset: (s, c) what a topic adds.
    """

    weights: Float
    level: Float
    offset: Float

    @classmethod
    def of(cls, expectations: Sequence[Expectation]) -> Self:
        """The table of these, one at least."""
        weights = np.stack([one.weights for one in expectations])
        offset = np.stack([one.offset for one in expectations])
        return cls(np.ascontiguousarray(weights[:, 1:].T), weights[:, 0].copy(), offset)

    def expected(self, memories: Sequence[Float], places: Places) -> tuple[Float, Int]:
        """(s, n) expected probability at n prompts, and the (s, n) cell of each in the stream's mix.

        `memories`: of each expectation, as it has them.
        """
        memory = np.stack([one[places.seen] for one in memories])
        held = (places.seen >= 0) & ~np.isnan(memory)
        score = row_products(places.features, self.weights) + self.level
        fresh = np.clip(expit(np.ascontiguousarray(score.T)) + self.offset[:, places.topic], 0.0, 1.0)
        return np.where(held, memory, fresh), places.topic + np.where(held, self.offset.shape[1], 0)


@dataclass(frozen=True, slots=True)
class LogisticModel:
    """A signal's logistic model: weights, and for each baseline row the rate by a model that never saw its prompt."""

    weights: Float
    unseen: Float


def fit_model(places: Places, values: Float) -> LogisticModel:
    """Cross-fitted, calibrated logistic model of 0/1 `values` (n,); all rows of one prompt are in one fold.

    Where either outcome, or the number of distinct prompts, is too small for folds, it says one rate for all.
    """
    width = places.features.shape[1]
    distinct, prompt = np.unique(places.seen, return_inverse=True)
    if min(values.sum(), (1 - values).sum(), len(distinct)) < 2 * FOLDS:
        rate = (values.sum() + 0.5) / (len(values) + 1)
        return LogisticModel(np.concatenate([[logit(rate)], np.zeros(width)]), np.full(len(values), rate))
    fold = prompt % FOLDS  # keys are sorted hashes: their order is as good as chance
    score = np.empty(len(values))
    for k in range(FOLDS):
        weights = _logistic(places.features[fold != k], values[fold != k], PENALTY)
        score[fold == k] = weights[0] + places.features[fold == k] @ weights[1:]
    level, slope = _logistic(score[:, None], values, 100.0)
    slope = float(np.clip(slope, 0.0, 1.0))
    weights = _logistic(places.features, values, PENALTY) * slope
    weights[0] += level
    return LogisticModel(weights, expit(level + slope * score))


def expect(model: LogisticModel, places: Places, values: Float, topics: int, prompts: int, where: Bool) -> Expectation:
    """The expectation of a stream that holds the rows `where` of a signal's baseline rows.

    Args:
        model: fitted on all rows of the signal.
        places: where the prompts of all rows of the signal lie.
        values: (n,) what was measured there.
        topics: number of clusters.
        prompts: number of distinct prompts of the whole baseline.
        where: (n,) rows of the stream.
    """
    topic, seen, drawn, unseen = places.topic[where], places.seen[where], values[where], model.unseen[where]
    count = np.bincount(seen, minlength=prompts).astype(np.float64)
    home = np.zeros(prompts, dtype=np.int64)
    home[seen] = topic
    total = np.bincount(seen, weights=drawn - unseen, minlength=prompts).astype(np.float64)
    spread = _spread(total, count, home, topics)
    offset = _offset(total, count, home, topics)
    prior = np.full(prompts, 0.5)
    prior[seen] = np.clip(unseen + offset[topic], 0.0, 1.0)
    hits = np.bincount(seen, weights=drawn, minlength=prompts).astype(np.float64)
    strength = _strength(hits, count, prior)
    memory = np.where(count > 0, (hits + strength * prior) / (count + strength), np.nan)
    doubt = np.nan_to_num(memory * (1 - memory) / (count + strength + 1))
    leant = np.where(count > 0, strength / (count + strength), 0.0)  # on the model, whose error prompts share
    held = np.maximum(np.bincount(home, weights=(count > 0).astype(np.float64), minlength=topics), 1.0)
    own, shared = (np.bincount(home, weights=part, minlength=topics) / held for part in (doubt, leant))
    seen_error = own / held + shared**2 * spread
    rows = np.bincount(topic, minlength=topics) / max(len(topic), 1)
    once = np.bincount(home, weights=(count == 1).astype(np.float64), minlength=topics) / max(len(topic), 1)
    return Expectation(model.weights, offset, memory, spread, seen_error, np.concatenate([once, rows - once]))


def _logistic(features: Float, values: Float, inverse_penalty: float) -> Float:
    """Intercept and weights of a ridge logistic regression; a constant column of values gives its log odds."""
    if values.min() == values.max():
        return np.concatenate([[logit(np.clip(values[0], EDGE, 1 - EDGE))], np.zeros(features.shape[1])])
    # Imported here: scikit-learn takes half a second, and only a new baseline needs it.
    from sklearn.exceptions import ConvergenceWarning  # noqa: PLC0415
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        fitted = LogisticRegression(C=inverse_penalty, max_iter=200).fit(features, values)
    return np.concatenate([fitted.intercept_, fitted.coef_[0]]).astype(np.float64)


def _effective(count: Float, home: Int, topics: int) -> Float:
    """(c,) number of distinct prompts a topic is worth when some were asked more often than others."""
    rows = np.bincount(home, weights=count, minlength=topics)
    squares = np.bincount(home, weights=count**2, minlength=topics)
    return np.asarray(rows**2 / np.maximum(squares, 1.0))


def _offset(total: Float, count: Float, home: Int, topics: int) -> Float:
    """(c,) mean residual of a topic, shrunk to the stream's own mean residual by `PSEUDO` distinct prompts."""
    overall = total.sum() / max(count.sum(), 1.0)
    rows = np.bincount(home, weights=count, minlength=topics)
    mean = np.bincount(home, weights=total, minlength=topics) / np.maximum(rows, 1.0)
    worth = _effective(count, home, topics)
    return np.asarray((worth * mean + PSEUDO * overall) / (worth + PSEUDO))


def _spread(total: Float, count: Float, home: Int, topics: int) -> Float:
    """(c,) squared standard error of a topic's mean residual; the unit of sampling is the prompt, not the row."""
    square = count * (total / np.maximum(count, 1.0)) ** 2
    overall = (square.sum() + 0.5) / (count.sum() + 1.0)
    rows = np.bincount(home, weights=count, minlength=topics)
    worth = _effective(count, home, topics)
    within = np.bincount(home, weights=square, minlength=topics) / np.maximum(rows, 1.0)
    variance = (worth * within + PSEUDO * overall) / (worth + PSEUDO)
    return np.asarray(variance / (worth + PSEUDO))


def _strength(hits: Float, count: Float, prior: Float) -> float:
    """How many of a prompt's own answers the model's rate is worth (beta-binomial, by moments).

    Two answers to one prompt differ with probability `2 q (1 - q) a / (a + 1)`; repeats in the baseline tell `a`.
    """
    differ = float((hits * (count - hits))[count > 1].sum())
    pairs = (count * (count - 1) / 2)[count > 1]
    chance = float((pairs * 2 * prior[count > 1] * (1 - prior[count > 1])).sum())
    share = (differ + MEMORY_WEIGHT * MEMORY_PRIOR) / (chance + MEMORY_WEIGHT)
    share = min(share, 0.99)
    return max(share / (1 - share), MEMORY_LEAST)
