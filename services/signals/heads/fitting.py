"""How heads are fitted: each part by logistic regression, their combination on predictions of what was left out.

Groups are what is left out in turn: sources of recorded data, or folds of a deployment's own labels. A prior head makes
the fit start from what it knows: its score is a feature beside the words or the windows.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.sparse import csr_matrix, hstack, vstack

from services.signals.heads.head import WINDOW, LinearHead

Numbers = NDArray[np.float64]
WORDS, WINDOWS, RULES = "words", "windows", "rules"
STRENGTH: Final = {WORDS: 0.3, WINDOWS: 0.3, RULES: 0.5}
"""Inverse strength of the ridge of each part; chosen by left-out sources (`python -m tests.benchmarks.fit_heads`)."""
REFIT: Final = {WORDS: 30.0, WINDOWS: 30.0, RULES: 0.5}
"""The same where a head is fitted on from a prior one: what that knows holds it better than a ridge. Chosen on
`refusal` with 200 labels of XSTest and of refusal_direction, the looser the better."""
ENOUGH: Final = 0.5
"""Of what a head finds with windows it must find so much without them, or it says nothing of texts without."""
_APART: Final = 0.003
"""How far the factors of a combination may move apart, in units of each part's spread: a handful of groups says little
of which part to trust more, so that without much evidence all count alike."""
_TOGETHER: Final = 100.0
_ALIKE: Final[Mapping[str, float]] = {}
_LEVELS: Final = 10.0
_FREE: Final = 1e4
_FEW: Final = 1500
"""So many rows are turned at most: their products are a square table."""
_PRIOR_SCALE: Final = 4.0
"""A prior's score counts so much more than one n-gram: the ridge hardly holds its factor."""


@dataclass(frozen=True)
class Labelled:
    """Texts of one group with labels.

    Attributes:
        words: (n, buckets) n-grams, each row divided by the root of how many it has.
        windows: (n, k x 384) embeddings, zero where there is none; None where nothing was embedded.
        said: log odds of other heads, or of rules as they are weighed, (n,) by name.
        rules: (n, r) which rules found something, where their weights are fitted too.
        labels: (n,) whether it is what the head looks for.
    """

    name: str
    words: csr_matrix
    windows: Numbers | None
    said: Mapping[str, Numbers]
    labels: NDArray[np.bool_]
    rules: Numbers | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def rows(self, chosen: NDArray[Any]) -> Labelled:
        """Some of its rows."""
        return replace(
            self,
            words=self.words[chosen],
            windows=None if self.windows is None else self.windows[chosen],
            said={name: values[chosen] for name, values in self.said.items()},
            labels=self.labels[chosen],
            rules=None if self.rules is None else self.rules[chosen],
        )


def word_rows(buckets: Sequence[Sequence[int] | NDArray[np.int64]], width: int) -> csr_matrix:
    """(n, width) rows of n-grams as a head reads them."""
    starts = np.cumsum([0, *map(len, buckets)])
    columns = np.array([one for row in buckets for one in row], dtype=np.int64)
    values = np.concatenate(
        [np.full(len(row), 1 / math.sqrt(len(row))) for row in buckets if len(row)] or [np.zeros(0)]
    )
    return csr_matrix((values, columns, starts), shape=(len(buckets), width))


@dataclass(frozen=True)
class Parts:
    """Weights of each part, before they are combined: of words, of windows (empty: none), of rules (None: as said)."""

    words: Numbers
    windows: Numbers
    rules: Numbers | None = None
    bias: Mapping[str, float] = field(default_factory=dict)

    def scores(self, of: Labelled) -> dict[str, Numbers]:
        """(n,) scores of each part, with its bias, and what was said."""
        scores = {WORDS: of.words @ self.words + self.bias.get(WORDS, 0.0), **of.said}
        if self.rules is not None and of.rules is not None:
            scores[RULES] = of.rules @ self.rules + self.bias.get(RULES, 0.0)
        if of.windows is not None and self.windows.size:
            scores[WINDOWS] = np.einsum("nd,d->n", of.windows, self.windows) + self.bias.get(WINDOWS, 0.0)
        return scores


def fit_parts(
    groups: Sequence[Labelled], prior: LinearHead | None = None, strength: Mapping[str, float] | None = None
) -> Parts:
    """Weights of each part over all groups; a group of n rows counts as the root of n."""
    strength = strength or (STRENGTH if prior is None else REFIT)
    labels, weights = np.concatenate([one.labels for one in groups]), balanced(groups)
    known: dict[str, Numbers | None] = {}
    if prior is not None:
        known = {WORDS: prior.words, WINDOWS: prior.windows.ravel() if prior.windows.size else None}
    fitted: dict[str, Numbers] = {}
    bias: dict[str, float] = {}
    for name, rows in _features(groups).items():
        fitted[name], bias[name] = _logistic(rows, labels, weights, strength[name], known.get(name))
    return Parts(fitted[WORDS], fitted.get(WINDOWS, np.zeros(0)), fitted.get(RULES), bias)


def _features(groups: Sequence[Labelled]) -> dict[str, Any]:
    """The rows of each part that every group has."""
    rows: dict[str, Any] = {WORDS: vstack([one.words for one in groups], format="csr")}
    for name in (WINDOWS, RULES):
        there = [getattr(one, name) for one in groups]
        if all(one is not None for one in there):
            rows[name] = np.vstack(there)
    return rows


def balanced(groups: Sequence[Labelled]) -> Numbers:
    """(n,) weights: each group counts as the root of its rows, 1 on average."""
    weights = np.concatenate([np.full(len(one), 1 / math.sqrt(len(one))) for one in groups])
    return np.asarray(weights * (len(weights) / weights.sum()))


def fit_head(
    groups: Sequence[Labelled],
    prior: LinearHead | None = None,
    strength: Mapping[str, float] | None = None,
    trust: Mapping[str, float] = _ALIKE,
) -> LinearHead:
    """A head over all groups, whose combination was fitted on groups that its parts had not seen.

    Args:
        groups: at least two.
        prior: what to start from.
        strength: inverse strength of the ridge of each part; else `STRENGTH`, or `REFIT` with a prior.
        trust: how much each part counts before anything is known of it, 1 where it is not named.
    """
    left = []
    for at, group in enumerate(groups):
        others = [one for n, one in enumerate(groups) if n != at]
        left.append((fit_parts(others, prior, strength).scores(group), group))
    return combined(fit_parts(groups, prior, strength), left, trust)


def combined(
    parts: Parts,
    left: Sequence[tuple[Mapping[str, Numbers], Labelled]],
    trust: Mapping[str, float] = _ALIKE,
) -> LinearHead:
    """A head of these parts; `left` holds scores of groups by parts that had not seen them.

    A head that without windows finds less than half of what it finds with them says nothing without them.
    """
    names = [name for name in left[0][0] if name != WINDOWS]
    plain = _combination(left, names, trust)
    full = _combination(left, [*names, WINDOWS], trust) if parts.windows.size else plain
    windows = parts.windows.reshape(-1, WINDOW)
    tells = found_share(plain, left) >= ENOUGH * found_share(full, left)
    return LinearHead(parts.words, windows, _with_bias(full, parts), _with_bias(plain, parts) if tells else {})


def found_share(
    combination: Mapping[str, float], left: Sequence[tuple[Mapping[str, Numbers], Labelled]], cut: float = 0.0
) -> float:
    """Share of what is true that a combination calls so, of rows that its parts had not seen; `cut` in log odds."""
    names = [name for name in combination if name != "bias"]
    found = [
        sum((scores[name] * combination[name] for name in names), np.full(len(of), combination["bias"]))[of.labels]
        for scores, of in left
    ]
    true = np.concatenate(found)
    return float((true > cut).mean()) if len(true) else 0.0


def _combination(
    left: Sequence[tuple[Mapping[str, Numbers], Labelled]],
    names: Sequence[str],
    trust: Mapping[str, float],
) -> dict[str, float]:
    """`bias` and a factor for each name: their common level is free, what sets them apart is held by a ridge.

    Each group has a level of its own while factors are fitted, so that base rates, which differ by group, do not
    pass for what a part knows; then one level is fitted for all. Groups of one kind alone say nothing of factors. A
    part that ranks what it had not seen the wrong way round counts nothing: it is never turned round.
    """
    told = [(some, one) for some, one in left if one.labels.any() and not one.labels.all()]
    scores, labels, weights = _stacked(told, names)
    spread = np.sqrt((weights[:, None] * scores**2).sum(0) / weights.sum()) + 1e-9
    spread /= np.array([trust.get(name, 1.0) for name in names])
    each, sizes = scores / spread, [len(one) for _, one in told]
    levels = np.repeat(np.eye(len(sizes)), sizes, axis=0) * _LEVELS
    features = np.column_stack([each * math.sqrt(_APART), each.sum(1) * _TOGETHER, levels])
    fitted, _ = _logistic(features, labels, weights, 1.0, None)
    parts = len(names)
    factors = np.maximum(fitted[:parts] * math.sqrt(_APART) + max(fitted[parts], 0.0) * _TOGETHER, 0.0) / spread
    scores, labels, weights = _stacked(left, names)
    slope, bias = _logistic((scores @ factors)[:, None], labels, weights, _FREE, None)
    return {"bias": bias, **dict(zip(names, map(float, factors * max(slope[0], 0.0)), strict=True))}


def _stacked(
    some: Sequence[tuple[Mapping[str, Numbers], Labelled]], names: Sequence[str]
) -> tuple[Numbers, NDArray[np.bool_], Numbers]:
    groups = [group for _, group in some]
    scores = np.vstack([np.column_stack([scores[name] for name in names]) for scores, _ in some])
    return scores, np.concatenate([one.labels for one in groups]), balanced(groups)


def _with_bias(combination: Mapping[str, float], parts: Parts) -> dict[str, float]:
    """The combination of scores without the biases of words and windows, which are folded into its own.

    Rules bring theirs with them.
    """
    folded = sum(combination[name] * parts.bias[name] for name in (WORDS, WINDOWS) if name in combination)
    return {**combination, "bias": combination["bias"] + folded}


def log_odds(head: LinearHead, of: Labelled, rules: Numbers | None = None) -> Numbers:
    """(n,) log odds as `LinearHead.log_odds` gives them, of all rows at once: for figures, not for scores.

    NaN where it says nothing of texts without windows. `rules` are log odds to use in place of those said.
    """
    scores = Parts(head.words, head.windows.ravel()).scores(of)
    if rules is not None:
        scores[RULES] = rules
    weights = head.full if WINDOWS in scores else head.plain
    if not weights:
        return np.full(len(of), math.nan)
    total = np.full(len(of), weights["bias"])
    for name, values in scores.items():
        total += weights.get(name, 0.0) * values
    return total


def _logistic(
    features: Any, labels: NDArray[np.bool_], weights: Numbers, strength: float, prior: Numbers | None
) -> tuple[Numbers, float]:
    """Weights and bias of a logistic regression with a ridge, by L-BFGS from zero."""
    if prior is not None:
        scores = (features @ prior)[:, None]
        stack = np.hstack if isinstance(features, np.ndarray) else lambda some: hstack(some, format="csr")
        fitted, bias = _logistic(stack([features, scores * _PRIOR_SCALE]), labels, weights, strength, None)
        return fitted[:-1] + fitted[-1] * _PRIOR_SCALE * prior, bias
    rows = features if isinstance(features, np.ndarray) else features[:, np.unique(features.indices)]
    turned, back = _turned(rows)
    signs = np.where(labels, 1.0, -1.0)

    def loss(at: Numbers) -> tuple[float, Numbers]:
        margins = signs * (turned @ at[:-1] + at[-1])
        slope = -signs * weights * _sigmoid(-margins)
        value = float((weights * np.logaddexp(0, -margins)).sum() + at[:-1] @ at[:-1] / (2 * strength))
        return value, np.append(turned.T @ slope + at[:-1] / strength, slope.sum())

    start = np.zeros(turned.shape[1] + 1)
    found = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 400, "ftol": 1e-9})
    fitted = found.x[:-1] if back is None else rows.T @ (back @ found.x[:-1])
    if rows is features:
        return np.asarray(fitted), float(found.x[-1])
    whole = np.zeros(features.shape[1])
    whole[np.unique(features.indices)] = fitted
    return whole, float(found.x[-1])


def _turned(rows: Any) -> tuple[Any, Numbers | None]:
    """Few rows of many features in the space that they span, and the way back; others as they are.

    A ridge is the same whichever way its space is turned: with rows R = U S V' the fit of U S gives the fit of R.
    """
    if rows.shape[0] > min(_FEW, rows.shape[1] // 2):
        return rows, None
    products = rows @ rows.T
    values, vectors = np.linalg.eigh(products if isinstance(products, np.ndarray) else products.toarray())
    kept = values > values[-1] * 1e-10
    sizes = np.sqrt(values[kept])
    return vectors[:, kept] * sizes, vectors[:, kept] / sizes


def _sigmoid(values: Numbers) -> Numbers:
    return 0.5 * (1 + np.tanh(0.5 * values))


def auroc(scores: Numbers, labels: NDArray[np.bool_]) -> float:
    """Chance that a true one scores above a false one, ties counting half; NaN where there are not both."""
    from scipy.stats import rankdata  # noqa: PLC0415

    positives, negatives = int(labels.sum()), int((~labels).sum())
    if not positives or not negatives:
        return math.nan
    ranks = rankdata(scores)[labels].sum()
    return float((ranks - positives * (positives + 1) / 2) / (positives * negatives))


def calibration_error(probabilities: Numbers, labels: NDArray[np.bool_], bins: int = 10) -> float:
    """Expected calibration error: distance between stated probability and labelled share, over parts of equal size.

    Rows are sorted by probability into `bins` parts of equal size; each counts by its rows.
    """
    order = np.argsort(probabilities, kind="stable")
    parts = [part for part in np.array_split(order, bins) if len(part)]
    apart = [len(part) * abs(float(probabilities[part].mean()) - float(labels[part].mean())) for part in parts]
    return sum(apart) / max(len(labels), 1)


def threshold_at(probabilities: Numbers, labels: NDArray[np.bool_], fpr: float) -> float:
    """The least probability of four decimals from which on at most `fpr` of what is false would be called true.

    1 at most: where even false ones reach it, more is called true than was asked.
    """
    false = np.sort(np.round(probabilities[~labels], 4))[::-1]
    allowed = int(fpr * len(false))
    return 0.0 if allowed >= len(false) else min(1.0, round(float(false[allowed]) + 1e-4, 4))
