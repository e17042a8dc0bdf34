"""Cross-fitted bets on a shift of the mean: how to bet, and what the bet earns while nothing has changed.

Rows are pairs of a design (what is conditioned on, an intercept first) and a target (what may shift). A ridge
regression takes the design out of the target; the residual is turned so that its noise is the identity and the prior
of a shift is diagonal. A bet is the likelihood ratio of the shift that the past suggests, its posterior mean.

Sources: Shin, Ramdas and Rinaldo, "E-detectors" (2023, arXiv 2203.03532) for the frame; Shekhar and Ramdas,
"Nonparametric two-sample testing by betting" (2023, arXiv 2112.09162) for the predictable direction; Chernozhukov et
al., "Double/debiased machine learning" (2018) for the folds. That the null is met is measured, not proven.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from detectors.protocol import Bool, Float, Int
from detectors.stats.linear_algebra import ridge, row_products
from detectors.stats.repeated_prompts import fold_of

Single = NDArray[np.floating[Any]]
LIMIT = 6.0  # standard deviations at which one row's residual is cut
LEAST_NOISE = 0.9  # variance of a turned residual is never taken for less
LEAST_NULL = 0.2  # an expected factor of a bet is never taken for less
TOGETHER: Final = 4  # blocks whose bets are worked out in one product


@dataclass(frozen=True, slots=True)
class Recipe:
    """How bets are fitted and placed.

    Attributes:
        folds: parts of the baseline; rows with one prompt stay together.
        penalty: ridge penalty per unique prompt's share of the rows.
        shrink: pseudo-rows by which a cluster's null is drawn to the global one.
        bound: largest log factor of one row.
        boldest: largest sd of a bet's log factor on the null; a bolder one, after a great shift, would lose most of
            its gain to the cut at `bound`, and all of it where the null is wider than the stream (few prompts).
        slack: standard errors of the null's own estimate that a bet has to earn first.
        floor: shift, in sd along the bet, that counts as none.
        most_null: held-out rows that are kept as the null; more than these cost time and add little.
    """

    folds: int = 5
    penalty: float = 5.0
    shrink: float = 2.0
    bound: float = 1.5
    boldest: float = 0.8
    slack: float = 0.5
    floor: float = 0.0
    most_null: int = 2000


@dataclass(frozen=True, slots=True)
class Fitted:
    """What bets need of the baseline: k folds and, last, the whole; n null rows padded to k * m.

    Attributes:
        weights: (k + 1, 1 + q, d) regression of target on design.
        turns: (k + 1, d, d) residual to turned residual.
        prior: (k + 1, d) prior variance of a shift in turned coordinates.
        noise: (d,) variance of a held-out turned residual.
        null: (k, m, d) turned residuals of the baseline's rows by the fold that has not seen them.
        even: (k * m,) weight of each null row in the global mean.
        local: (c, k * m) weight of each null row in the mean of a cluster.
        gram: (c, c) products of `local` over unique prompts.
        maps: (1 + q + d, (k + 1) * d) from decayed sums of design and target to turned ones, made of these.
        rigid: (k + 1, d) noise over prior.
        averages: (k * m, c + 1) `local` and `even` side by side; moment: (k, d, d) mean squares of the null's rows;
        middle: (k * d, c + 1) their means: what a bet earns on average needs no look at the rows.
    """

    weights: Float
    turns: Float
    prior: Float
    noise: Float
    null: Single
    even: Single
    local: Single
    gram: Float
    maps: Single = field(init=False, repr=False, compare=False)
    rigid: Single = field(init=False, repr=False, compare=False)
    averages: Single = field(init=False, repr=False, compare=False)
    moment: Single = field(init=False, repr=False, compare=False)
    middle: Single = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Lay the null out with its rows along memory, since most of a bet's time goes through them, and sum it up."""
        along = np.ascontiguousarray(self.null.transpose(0, 2, 1))
        object.__setattr__(self, "null", along.transpose(0, 2, 1))
        maps = np.concatenate([-self.weights @ self.turns, self.turns], axis=1)
        object.__setattr__(self, "maps", np.concatenate(list(maps), axis=1).astype(np.float32))
        object.__setattr__(self, "rigid", (self.noise / self.prior).astype(np.float32))
        averages = np.concatenate([self.local.T, self.even[:, None]], axis=1)
        object.__setattr__(self, "averages", np.ascontiguousarray(averages))
        k, m, _ = self.null.shape
        moment = (along * self.even.reshape(k, 1, m)) @ self.null
        object.__setattr__(self, "moment", moment)
        middle = along @ averages.reshape(k, m, -1)
        object.__setattr__(self, "middle", middle.reshape(-1, averages.shape[1]))


@dataclass(frozen=True, slots=True)
class BaselineSample:
    """Baseline rows to fit bets on.

    Attributes:
        design: (n, 1 + q), the first column 1.
        target: (n, d).
        groups: (n,) number of the row's unique prompt.
        clusters: (n,) cluster of the row's prompt, of `of_clusters`.
        share: (d,) prior variance of a shift as a share of the residual's variance.
        least: (d,) variance added to the residual's.
    """

    design: Float
    target: Float
    groups: Int
    clusters: Int
    of_clusters: int
    share: Float
    least: Float

    def where(self, rows: Bool) -> tuple[Float, Float, int]:
        """Design, target and number of unique prompts of the picked rows."""
        return self.design[rows], self.target[rows], len(np.unique(self.groups[rows]))


@dataclass(frozen=True, slots=True)
class Placed:
    """A bet that stands for the next rows, over w windows; in single precision, as it is stored.

    Attributes:
        slope: (w, d) and offset: (w,): the log factor of a turned residual u is slope . u - offset.
        expected: (c, w) factor expected in each cluster while nothing has changed, slack included.
        aim: (d,) and centre: (c,): aim . u - centre is the distance along the bet, in sd.
        spread: standard error of the centre that the baseline's size leaves.
    """

    slope: Single
    offset: Single
    expected: Single
    aim: Single
    centre: Single
    spread: float


@dataclass(frozen=True, slots=True)
class BetBook:
    """Bets of b blocks: all of them but the direction along which the distance is measured.

    Attributes:
        slope: (b, w, d), offset: (b, w), expected: (b, c, w): as of `Placed`.
        error: (b, w) standard error of what is expected, along each bet.
        slopes: (tiles, together, w, k * d) of the bets on the null's folds, blocks in tiles, the last one padded.
        middle: (b, w, c + 1) what each bet earns on average in each cluster and, last, over all.
    """

    slope: Single
    offset: Single
    expected: Single
    error: Float
    slopes: Single
    middle: Single


def fit(sample: BaselineSample, recipe: Recipe) -> Fitted:
    """Fit bets on the baseline, once per fold and once on all of it."""
    fold = fold_of(sample.groups, recipe.folds)
    everything = np.ones(len(fold), dtype=np.bool_)
    fits = [_fit_one(sample, keep, recipe) for keep in [*(fold != k for k in range(recipe.folds)), everything]]
    weights, turns, prior = (np.stack(parts) for parts in zip(*fits, strict=True))
    order = [_thinned((fold == k).nonzero()[0], recipe.most_null // recipe.folds) for k in range(recipe.folds)]
    parts = [_turned(sample, rows, weights[k], turns[k]) for k, rows in enumerate(order)]
    null, slots = _padded(parts, order)
    spread = np.stack([part.var(axis=0) for part in parts if len(part)]).mean(axis=0)
    noise = np.maximum(spread, LEAST_NOISE)
    even, local, gram = _averages(sample, slots, recipe.shrink)
    halves = (
        null.astype(np.float32),
        even.astype(np.float32),
        local.astype(np.float32),
    )  # half the memory to go through
    return Fitted(weights, turns, prior, noise, *halves, gram)


def residuals(fitted: Fitted, design: Float, target: Float) -> Float:
    """(n, d) of the target what the design does not say; a row's bits depend on that row alone."""
    rest: Float = target - row_products(design, fitted.weights[-1])
    return rest


def turned(fitted: Fitted, rest: Float) -> Float:
    """(n, d) residuals turned, cut at `LIMIT`; a row's bits depend on that row alone."""
    made: Float = row_products(rest, fitted.turns[-1])
    return np.clip(made, -LIMIT, LIMIT, out=made)


def place(fitted: Fitted, recipe: Recipe, sums: Float, trust: Float) -> Placed:
    """Bet on the shift that the decayed `sums` (w, 1 + q + d + c) of past rows show.

    `trust` (w,) weighs the windows in the direction along which the distance is measured.
    """
    book = place_all(fitted, recipe, sums[None])
    aim, centre, spread = aims(fitted, book, trust[None])
    return Placed(book.slope[0], book.offset[0], book.expected[0], aim[0], centre[0], float(spread[0]))


def place_all(fitted: Fitted, recipe: Recipe, sums: Float) -> BetBook:
    """Bets on the shifts that the decayed `sums` (b, w, 1 + q + d + c) before each of b blocks show.

    Blocks are worked out `_together` at a time, in products of one shape, so that the bits of a block do not depend on
    how many others come with it.
    """
    q, c = fitted.weights.shape[1], len(fitted.local)
    return _placed(fitted, recipe, sums, _together(*fitted.null.shape, q, c, sums.shape[1], recipe))


def aims(fitted: Fitted, book: BetBook, trust: Float) -> tuple[Single, Single, Float]:
    """Directions (b, d) of the trusted bets with sd 1 on the null rows, the null's means (b, c), their errors (b,).

    `trust` (b, w) weighs the windows of each block.
    """
    tiles, together, windows, _ = book.slopes.shape
    k, _, d = fitted.null.shape
    weighed = np.zeros((tiles * together, windows), dtype=np.float32)
    weighed[: len(trust)] = trust
    weighed = weighed.reshape(tiles, together, windows, 1)
    along = weighed[:, :, 0] * book.slopes[:, :, 0]
    middle = trust[:, 0, None] * book.middle[:, 0]
    for w in range(1, windows):
        along += weighed[:, :, w] * book.slopes[:, :, w]
        middle += trust[:, w, None] * book.middle[:, w]
    square = _squares(fitted, along.reshape(tiles, together, k, d))[: len(trust)].astype(np.float64)
    scale = np.sqrt(np.maximum(square - middle[:, -1] ** 2, 0.0))
    flat = scale < 1e-12
    scale = np.where(flat, 1.0, scale)[:, None]
    aim = np.einsum("bw,bwd->bd", trust, book.slope.astype(np.float64)) / scale
    centre = middle[:, :-1] / scale
    aim[flat], centre[flat] = 0.0, 0.0
    return aim.astype(np.float32), centre.astype(np.float32), (trust * book.error).sum(axis=1)


def _squares(fitted: Fitted, slopes: Single) -> Single:
    """(rows,) mean square of what bets earn on the null, `slopes` (tiles, rows of a tile, k, d)."""
    tiles, rows, k, d = slopes.shape
    turned = np.empty((tiles, rows, k, d), dtype=np.float32)
    np.matmul(slopes.transpose(0, 2, 1, 3), fitted.moment, out=turned.transpose(0, 2, 1, 3))
    flat = (-1, k * d)
    made: Single = np.einsum("rd,rd->r", turned.reshape(flat), slopes.reshape(flat))
    return made


def _placed(fitted: Fitted, recipe: Recipe, sums: Float, together: int) -> BetBook:
    """The book, with `together` blocks to a tile."""
    q, d = fitted.weights.shape[1:]
    k, m, _ = fitted.null.shape
    blocks, windows, wide = sums.shape
    tiles, rows = -(-blocks // together), together * windows
    padded = np.zeros((tiles * rows, wide))
    padded[: blocks * windows] = sums.reshape(-1, wide)
    padded = padded.reshape(tiles, rows, wide)
    count, shares = padded[..., :1], padded[..., q + d :]
    turned = (padded[..., : q + d].astype(np.float32) @ fitted.maps).reshape(tiles, rows, k + 1, d)
    turned /= count[..., None].astype(np.float32) * fitted.noise.astype(np.float32) + fitted.rigid
    slopes = turned[:, :, :-1].copy()
    square = np.maximum(_squares(fitted, slopes), 0.0).reshape(tiles, rows)
    tame = np.minimum(np.float32(1.0), np.float32(recipe.boldest) / np.sqrt(np.maximum(square, 1e-12)))
    slopes *= tame[..., None, None]
    square *= tame * tame
    # Rows of the null run along the last axis, in single precision: most of the time goes into these few lines.
    factor = np.empty((tiles, rows, k, m), dtype=np.float32)
    np.matmul(slopes.transpose(0, 2, 1, 3), fitted.null.transpose(0, 2, 1), out=factor.transpose(0, 2, 1, 3))
    factor = factor.reshape(tiles, rows, k * m)
    factor -= square[..., None] / 2
    np.clip(factor, -recipe.bound, recipe.bound, out=factor)
    np.exp(factor, out=factor)
    factor -= 1.0  # around 1 the squares below would lose half of their digits
    gained = (factor @ fitted.averages).astype(np.float64)
    np.multiply(factor, factor, out=factor)
    sd = np.sqrt(np.maximum((factor @ fitted.even).astype(np.float64) - gained[..., -1] ** 2, 0.0))
    mix = shares / np.maximum(count, 1e-9)
    error = np.sqrt(((mix @ fitted.gram) * mix).sum(axis=-1))
    slack = recipe.slack * sd * error + recipe.floor * np.sqrt(square)
    expected = np.maximum(1.0 + gained[..., :-1] + slack[..., None], LEAST_NULL)
    slope = turned[:, :, -1] * tame[..., None]
    return BetBook(
        slope=_by_block(slope, blocks, windows),
        offset=_by_block(square / 2, blocks, windows),
        expected=_by_block(expected, blocks, windows).transpose(0, 2, 1),
        error=error.reshape(-1, windows)[:blocks],
        slopes=slopes.reshape(tiles, together, windows, k * d),
        middle=_by_block(slopes.reshape(tiles, rows, k * d) @ fitted.middle, blocks, windows),
    )


def _by_block(tiled: NDArray[np.floating[Any]], blocks: int, windows: int) -> Single:
    """(b, w, ...) in single precision of what was worked out in tiles."""
    return tiled.reshape(-1, windows, *tiled.shape[2:])[:blocks].astype(np.float32)


@cache
def _together(k: int, m: int, d: int, q: int, c: int, windows: int, recipe: Recipe) -> int:
    """Blocks to a tile: `TOGETHER` where a block then has the same bits at each place, beside others and beside none.

    It is tried once a shape; a machine whose BLAS does not keep to that works them out one by one.
    """
    chance = np.random.default_rng(5)
    even = np.full(k * m, 1 / (k * m), dtype=np.float32)
    tried = Fitted(
        weights=chance.normal(size=(k + 1, q, d)),
        turns=chance.normal(size=(k + 1, d, d)),
        prior=np.abs(chance.normal(size=(k + 1, d))),
        noise=np.ones(d),
        null=chance.normal(size=(k, m, d)).astype(np.float32),
        even=even,
        local=np.abs(chance.normal(size=(c, k * m))).astype(np.float32),
        gram=np.eye(c),
    )
    sums = np.abs(chance.normal(size=(TOGETHER, windows, q + d + c))) + 1.0
    trust = np.abs(chance.normal(size=(TOGETHER, windows)))
    known = _bits(tried, recipe, sums, trust)
    turned = all(
        (
            _bits(tried, recipe, np.roll(sums, at, axis=0), np.roll(trust, at, axis=0)) == np.roll(known, at, axis=0)
        ).all()
        for at in range(1, TOGETHER)
    )
    alone = _bits(tried, recipe, sums[-1:], trust[-1:])
    return TOGETHER if turned and (alone[0] == known[-1]).all() else 1


def _bits(fitted: Fitted, recipe: Recipe, sums: Float, trust: Float) -> Float:
    """(b, ...) all numbers of the blocks' bets."""
    book = _placed(fitted, recipe, sums, TOGETHER)
    parts = [book.slope, book.offset, book.expected, book.error, *aims(fitted, book, trust)]
    return np.concatenate([part.reshape(len(sums), -1) for part in parts], axis=1)


def _fit_one(sample: BaselineSample, keep: Bool, recipe: Recipe) -> tuple[Float, Float, Float]:
    """Regression weights, turn and prior variances fitted on the kept rows."""
    design, target, unique = sample.where(keep)
    weights, used = ridge(design, target, recipe.penalty * len(design) / unique)
    rest = target - design @ weights
    inflate = unique / max(unique - used, 0.1 * unique)
    cov = np.atleast_2d(rest.T @ rest / len(rest)) * inflate
    variance = np.diag(cov) + sample.least
    cov = cov / 2 + np.diag(variance - np.diag(cov) / 2)
    root = np.sqrt(sample.share * variance)
    prior, vectors = _eigen(root[:, None] * np.linalg.inv(cov) * root)
    return weights, vectors * np.sqrt(prior) / root[:, None], prior


def _eigen(matrix: Float) -> tuple[Float, Float]:
    """Eigenvalues, largest first and above 0, and eigenvectors of a symmetric matrix."""
    values, vectors = np.linalg.eigh(matrix)
    return np.maximum(np.asarray(values, dtype=np.float64)[::-1], 1e-12), np.asarray(vectors)[:, ::-1]


def _turned(sample: BaselineSample, rows: Int, weights: Float, turns: Float) -> Float:
    rest = (sample.target[rows] - sample.design[rows] @ weights) @ turns
    return np.clip(rest, -LIMIT, LIMIT)


def _thinned(rows: Int, most: int) -> Int:
    """At most `most` of the rows, evenly spread."""
    return rows if len(rows) <= most else rows[np.linspace(0, len(rows) - 1, most).astype(np.int64)]


def _padded(parts: list[Float], order: list[Int]) -> tuple[Float, Int]:
    """The folds' rows as (k, m, d), zero where a fold is shorter, and which row lies in each of the k * m slots."""
    most = max(len(part) for part in parts)
    null = np.zeros((len(parts), most, parts[0].shape[1]))
    slots = np.full((len(parts), most), -1, dtype=np.int64)
    for k, (part, rows) in enumerate(zip(parts, order, strict=True)):
        null[k, : len(part)] = part
        slots[k, : len(rows)] = rows
    return null, slots.ravel()


def _averages(sample: BaselineSample, slots: Int, shrink: float) -> tuple[Float, Float, Float]:
    """Weights of the null rows in the global mean and in each cluster's, and their products by unique prompt."""
    real = slots >= 0
    even = real / real.sum()
    member = (sample.clusters[slots] == np.arange(sample.of_clusters)[:, None]) & real
    local = (member + shrink * even) / (member.sum(axis=1, keepdims=True) + shrink)
    by_prompt = np.zeros((len(local), int(sample.groups.max()) + 1))
    np.add.at(by_prompt.T, sample.groups[slots[real]], local.T[real])
    return even, local, by_prompt @ by_prompt.T
