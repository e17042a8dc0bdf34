"""Heads of one's own: read from a labelled file, fitted from a shipped head, judged by what was left out. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from services.signals.heads.fitting import (
    Labelled,
    Numbers,
    auroc,
    calibration_error,
    fit_head,
    log_odds,
    threshold_at,
    word_rows,
)
from services.signals.heads.head import WINDOW, HeadInputs, Heads, LinearHead
from services.signals.heads.reading import BUCKETS

LEAST: Final = 50
"""Labels of each kind that a head needs."""
FOLDS: Final = 5


@dataclass(frozen=True)
class OwnHead:
    """A head of a deployment, and what it is worth on labels that it had not seen.

    Attributes:
        before, after: AUROC of the shipped head and of this one. calibration: expected error, 0 to 1.
        false_positives, recall: shares at the threshold.
    """

    heads: Heads
    before: float
    after: float
    calibration: float
    false_positives: float
    recall: float


def labelled(inputs: Sequence[HeadInputs], labels: Sequence[bool], windows: int) -> Labelled:
    """Rows of `inputs` as the fit reads them; without windows unless every one was embedded.

    `windows` says how many windows the head reads.
    """
    embedded: Numbers | None = None
    if all(one.windows is not None for one in inputs):
        embedded = np.array([_row(one, windows) for one in inputs])
    names = sorted(inputs[0].said)
    said = {name: np.array([one.said[name] for one in inputs]) for name in names}
    words = word_rows([one.buckets for one in inputs], BUCKETS)
    return Labelled("own", words, embedded, said, np.array(labels, dtype=bool))


def _row(given: HeadInputs, windows: int) -> Numbers:
    nothing = np.zeros(WINDOW)
    there = given.windows or (None,) * windows
    return np.concatenate([nothing if one is None else one.astype(np.float64) for one in there])


def folds(of: Labelled, parts: int = FOLDS) -> list[Labelled]:
    """Rows cut into parts, always the same, each with its share of what is true."""
    return [of.rows(chosen) for chosen in _cuts(of.labels, parts)]


def _cuts(labels: NDArray[np.bool_], parts: int) -> list[NDArray[np.intp]]:
    order = np.random.default_rng(0).permutation(len(labels))
    order = order[np.argsort(labels[order], kind="stable")]
    return [np.sort(order[at::parts]) for at in range(parts)]


def fit_own(signal: str, of: Labelled, prior: LinearHead, fpr: float, facts: dict[str, Any]) -> OwnHead:
    """A head that starts from `prior`, with a threshold at which at most `fpr` of what is false is called true.

    Everything stated of it comes from folds that were left out: the parts, their combination and the threshold.
    """
    found, blind = np.zeros(len(of)), np.zeros(len(of))
    without = replace(of, windows=None)
    for chosen in _cuts(of.labels, FOLDS):
        others = np.setdiff1d(np.arange(len(of)), chosen)
        fitted = fit_head(folds(of.rows(others)), prior=prior)
        found[chosen], blind[chosen] = log_odds(fitted, of.rows(chosen)), log_odds(fitted, without.rows(chosen))
    chance = 1 / (1 + np.exp(-found))
    threshold = threshold_at(np.round(chance, 4), of.labels, fpr)
    called = np.round(chance, 4) >= threshold
    head = replace(fit_head(folds(of), prior=prior), threshold=threshold)
    head = _thresholded(head, blind, of.labels, fpr)
    told = OwnHead(
        heads=Heads(signal, {signal: head}, facts),
        before=auroc(log_odds(prior, of), of.labels),
        after=auroc(found, of.labels),
        calibration=calibration_error(chance, of.labels),
        false_positives=float(called[~of.labels].mean()),
        recall=float(called[of.labels].mean()),
    )
    figures = {"auroc": told.after, "auroc_shipped": told.before, "calibration_error": told.calibration}
    figures |= {"false_positives": told.false_positives, "recall": told.recall}
    stated = {**facts, "left_out": {name: round(value, 4) for name, value in figures.items()}}
    return replace(told, heads=replace(told.heads, facts=stated))


def _thresholded(head: LinearHead, blind: Numbers, labels: NDArray[np.bool_], fpr: float) -> LinearHead:
    """A head with a threshold of its own for texts without windows, which are judged by less.

    It says nothing of them where a fold's head did not, or where no threshold leaves anything true.
    """
    if not head.plain or np.isnan(blind).any():
        return replace(head, plain={})
    chance = 1 / (1 + np.exp(-blind))
    threshold = threshold_at(chance, labels, fpr)
    tells = bool((np.round(chance, 4) >= threshold)[labels].any())
    return replace(head, plain_threshold=threshold) if tells else replace(head, plain={})
