"""How unlike the baseline's a prompt is: a novelty score, its conformal p-value, and a sketch to hold prompts apart."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from detectors.protocol import Bool, Float, Half, Int, Rows
from detectors.stats.linear_algebra import row_products
from detectors.stats.repeated_prompts import group_rows, mark_of

Single = NDArray[np.float32]
LEAST_PROMPTS: Final = 60  # distinct prompts without which there are no two halves
WIDTH: Final = 48
SKETCH: Final = 64
REFERENCES: Final = 200
TAIL: Final = 0.1  # share of the held-out scores from which the tail of p-values is drawn
LEAST_SPREAD: Final = 1e-3
LEAST_P: Final = 1e-9


@dataclass(frozen=True, slots=True)
class NoveltyMap:
    """One half of the baseline's distinct prompts to be near to, the other half to say how near is usual.

    The score is the squared distance to the nearest of the first half: along its principal directions, plus what lies
    outside of them. Source: Angelopoulos and Bates, "Conformal prediction: a gentle introduction" (2021), section 4.4;
    Bates et al., "Testing for outliers with conformal p-values" (2023, arXiv 2104.08279).

    Attributes:
        axes: (d, k + 1) principal directions of the first half, and its mean; origin: (k + 1,) the mean along them.
        near: (k, r) the first half along the directions; weight: (r,) its squared lengths along and outside of them.
        held: (m,) sorted scores of the other half.
        edge, spread: beyond the score `edge` p falls exponentially, by e each `spread`: counting alone says nothing of
            p below 1 / m, and an exponential is the heavier tail where scores have an end.
        sketch: (d, SKETCH) random signs; `turned` rows keep their angles, to about 0.1 in the cosine; centre: the mean.
    """

    axes: Single
    origin: Single
    near: Single
    weight: Single
    held: Float
    edge: float
    spread: float
    sketch: Single
    centre: Single
    mark: bytes = field(init=False, repr=False, compare=False)  # the same where p-values are the same

    def __post_init__(self) -> None:
        """Work out the mark once: it is compared at every batch."""
        ends = np.array([self.edge, self.spread])
        object.__setattr__(self, "mark", mark_of(self.held, self.weight, self.origin, self.near, self.axes, ends))

    def scores(self, prompts: Half) -> Float:
        """(n,) novelty of (n, d) prompts of unit length, squared distances: 0 to 4."""
        return self._scored(prompts.astype(np.float32))

    def _scored(self, prompts: Single) -> Float:
        seen = row_products(prompts, self.axes)
        along = seen[:, :-1] - self.origin[:-1]
        whole = 1.0 - 2.0 * seen[:, -1] + self.origin[-1]  # |x - mean|^2 of a unit vector; the last axis is the mean
        apart = (self.weight - 2.0 * row_products(along, self.near)).min(axis=1)
        # Along the directions |x|^2 belongs to the distance, outside of them it is the rest: together it is the whole.
        made: Float = np.maximum(apart + whole, 0.0).astype(np.float64)
        return made

    def p_values_in(self, rows: Rows) -> Float:
        """(n,) p-values of the rows' prompts; two maps of the same prompts share the work."""
        for other, found in rows.derive("novelty", list[tuple[NoveltyMap, Float]]):
            if other is self or other._is_alike(self):
                return found
        found = self.p_values(self._scored(rows.wide_prompts()))
        rows.derived["novelty"].append((self, found))
        return found

    def _is_alike(self, other: NoveltyMap) -> bool:
        """Whether it gives the same p-values."""
        return self.mark == other.mark

    def p_values(self, scores: Float) -> Float:
        """(n,) share of exchanges like the baseline's that are at least as novel, in (0, 1]."""
        above = len(self.held) - np.searchsorted(self.held, scores, side="left")
        counted = (1.0 + above) / (1.0 + len(self.held))
        tail = TAIL * np.exp(-np.maximum(scores - self.edge, 0.0) / self.spread)
        return np.maximum(np.where(scores > self.edge, tail, counted), LEAST_P)

    def turned(self, prompts: Half) -> Half:
        """(n, SKETCH) the prompts' sketches, unit length."""
        moved = row_products(prompts.astype(np.float32), self.sketch) - self.centre
        length = np.sqrt((moved * moved).sum(axis=1))[:, None]
        made: Half = (moved / np.maximum(length, 1e-6)).astype(np.float16)
        return made


def fit_novelty(prompts: Half) -> tuple[NoveltyMap, Int] | None:
    """The map of (n, d) baseline prompts and the rows that it held out; None with too few different prompts.

    The halves share no prompt; repeats of a prompt count once.
    """
    first = np.unique(group_rows(prompts), return_index=True)[1]
    if len(first) < LEAST_PROMPTS:
        return None
    order = np.random.default_rng(4711).permutation(np.sort(first))
    one, other = order[: len(order) // 2], order[len(order) // 2 :]
    known = prompts[one].astype(np.float32)
    mean = known.mean(axis=0)
    moved = known - mean
    _, _, directions = np.linalg.svd(moved.astype(np.float64), full_matrices=False)
    most = min(WIDTH, len(one) // 3)
    # In the order in which it is stored: products of another order of memory differ in their last bits.
    axes = np.ascontiguousarray(np.concatenate([directions[:most].T, mean[:, None]], axis=1), dtype=np.float32)
    picked = moved[:REFERENCES]
    near = np.ascontiguousarray((picked @ axes[:, :-1]).T)
    # Each reference's squared length along the directions and outside of them together is its whole squared length.
    weight = np.einsum("nd,nd->n", picked, picked).astype(np.float32)
    signs = np.random.default_rng(4712).choice(np.array([-1.0, 1.0]), size=(prompts.shape[1], SKETCH))
    sketch = (signs / np.sqrt(SKETCH)).astype(np.float32)
    made = NoveltyMap(axes, mean @ axes, near, weight, np.zeros(0), 0.0, 1.0, sketch, mean @ sketch)
    held = np.sort(made.scores(prompts[other]))
    edge = float(np.quantile(held, 1 - TAIL))
    beyond = held[held > edge] - edge
    # The mean of few exceedances is itself uncertain: a standard error more, so that p is rather too great.
    spread = float(beyond.mean() * (1 + 1 / np.sqrt(len(beyond)))) if len(beyond) else LEAST_SPREAD
    made = replace(made, held=held, edge=edge, spread=max(spread, LEAST_SPREAD))
    return made, other


def repeats(keys: Int, recent: Int, where: Bool, most: int) -> tuple[Bool, Int]:
    """Which of the rows `where` hold a prompt that stood among the last `most` such rows, and the keys of those."""
    held = deque(recent.tolist())
    known = set(held)
    seen = np.zeros(len(keys), dtype=np.bool_)
    for row, key in zip(where.nonzero()[0].tolist(), keys[where].tolist(), strict=True):
        if key in known:
            seen[row] = True
            continue
        if len(held) >= most:
            known.discard(held.popleft())
        held.append(key)
        known.add(key)
    return seen, np.array(held, dtype=np.int64)
