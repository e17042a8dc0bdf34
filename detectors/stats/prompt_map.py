"""Where a prompt lies in the baseline: its coordinates, its topic, whether it was seen, whether it is unlike all."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from detectors.protocol import Bool, Float, Half, Int, Rows
from detectors.stats.linear_algebra import row_products
from detectors.stats.prompt_support import known_within
from detectors.stats.repeated_prompts import Keys, Known, keys_in, mark_of, prompt_keys


@dataclass(frozen=True, slots=True)
class Places:
    """Where n prompts lie.

    Attributes:
        features: (n, k) coordinates on the baseline's principal directions, about unit scale.
        topic: (n,) index of the nearest cluster.
        seen: (n,) index of the same prompt in the baseline, -1 where it was not there.
        novel: (n,) whether it is farther from its cluster than nearly all of the baseline is, and was not seen.
        keys: (n,) keys of the prompts.
    """

    features: Float
    topic: Int
    seen: Int
    novel: Bool
    keys: Keys


@dataclass(frozen=True, slots=True)
class PromptMap:
    """The baseline's prompts: principal directions, clusters and the keys of the prompts themselves.

    Attributes:
        mean: (d,) mean prompt; axes: (d, k) principal directions over the spread of the first.
        centres: (c, d) cluster centres; radius: squared distance beyond which a prompt is novel that the
            baseline does not hold; -1 where all such are.
        known: the distinct prompts.
    """

    mean: Float
    axes: Float
    centres: Float
    radius: float
    known: Known
    asked: NDArray[np.float32] = field(init=False, repr=False, compare=False)  # (d, k + c) axes and centres, as one
    squares: Float = field(init=False, repr=False, compare=False)  # (c,) of the centres
    mark: bytes = field(init=False, repr=False, compare=False)  # the same where the same topics are found

    def __post_init__(self) -> None:
        """Put side by side what prompts are multiplied by."""
        asked = np.concatenate([self.axes, self.centres.T], axis=1)
        object.__setattr__(self, "asked", asked.astype(np.float32))
        object.__setattr__(self, "mark", mark_of(self.mean, self.centres, np.array([self.radius])) + self.known.mark)
        object.__setattr__(self, "squares", np.einsum("cd,cd->c", self.centres, self.centres))

    def locate(self, prompts: Half) -> Places:
        """Place (n, d) prompts; no sum runs over rows, so a row's place does not depend on its neighbours."""
        return self._placed(prompts.astype(np.float32), prompt_keys(prompts))

    def locate_in(self, rows: Rows) -> Places:
        """Place the prompts of rows; two maps of the same prompts share the work."""
        for other, topic, seen, novel in rows.derive("places", list[tuple[PromptMap, Int, Int, Bool]]):
            if other is self or other._is_alike(self):
                return Places(self._features(rows), topic, seen, novel, keys_in(rows))
        found = self._placed(rows.wide_prompts(), keys_in(rows))
        rows.derived["places"].append((self, found.topic, found.seen, found.novel))
        return found

    def _features(self, rows: Rows) -> Float:
        """(n, k) coordinates of the rows' prompts."""
        wide = self.axes.shape[1]
        axes = np.ascontiguousarray(self.asked[:, :wide])
        return row_products(rows.wide_prompts(), axes).astype(np.float64) - self.mean @ self.axes

    def _placed(self, prompts: NDArray[np.float32], keys: Keys) -> Places:
        """The places of prompts."""
        along, wide = row_products(prompts, self.asked).astype(np.float64), self.axes.shape[1]
        squares = np.einsum("nd,nd->n", prompts, prompts)[:, None] + self.squares
        distances = squares - 2 * along[:, wide:]
        seen = self.known.find(keys)
        novel = (distances.min(axis=1) > self.radius) & (seen < 0)
        return Places(along[:, :wide] - self.mean @ self.axes, distances.argmin(axis=1), seen, novel, keys)

    def _is_alike(self, other: PromptMap) -> bool:
        """Whether it finds the same topics, and the same prompts novel."""
        return self.mark == other.mark


def map_prompts(prompts: Half, width: int, topics: int, novel_share: float) -> PromptMap:
    """The map of (n, d) baseline prompts: `width` directions, at most `topics` clusters.

    `novel_share` of the baseline's exchanges would be novel, each held against the others.
    """
    from sklearn.cluster import KMeans  # noqa: PLC0415 -- half a second, and only a new baseline needs it

    distinct_half = _distinct(prompts)
    distinct = distinct_half.astype(np.float64)
    mean = prompts.astype(np.float64).mean(0)
    values, vectors = np.linalg.eigh(np.cov(prompts.astype(np.float64).T, bias=True))
    axes = vectors[:, ::-1][:, :width] / np.sqrt(max(float(values[-1]), 1e-12))
    count = int(np.clip(len(distinct) // 8, 1, topics))
    labels = KMeans(count, n_init=1, random_state=0).fit_predict(distinct)
    centres = np.stack([distinct[labels == c].mean(0) for c in np.unique(labels)])
    known = Known.of(prompts)
    keys = prompt_keys(prompts)
    radius = known_within(_left_out(prompts, centres, known), known.find(keys), novel_share)
    return PromptMap(mean, axes, centres, radius, known)


def left_out_novel(prompts_map: PromptMap, prompts: Half) -> Bool:
    """(n,) which of the exchanges that a map was made of would be novel if it had been made without each."""
    known = prompts_map.known
    row = known.find(prompt_keys(prompts))
    once = np.bincount(row, minlength=len(known.keys)) == 1
    return np.asarray((once & (_left_out(prompts, prompts_map.centres, known) > prompts_map.radius))[row])


def _left_out(prompts: Half, centres: Float, known: Known) -> Float:
    """(u,) squared distance of each distinct prompt, in the order of `known`, to its cluster made without it."""
    distinct = _distinct(prompts)
    apart = np.empty(len(distinct))
    apart[known.find(prompt_keys(distinct))] = _apart(distinct.astype(np.float64), centres)
    return apart


def _distinct(prompts: Half) -> Half:
    """The distinct prompts, in the order of their first exchange."""
    first = np.unique(prompt_keys(prompts), return_index=True)[1]
    return prompts[np.sort(first)]


def _nearest(points: Float, centres: Float) -> tuple[Int, Float]:
    """The nearest centre of each point and the squared distance to it."""
    squares = np.einsum("nd,nd->n", points, points)[:, None] + np.einsum("cd,cd->c", centres, centres)
    distances = squares - 2 * row_products(points, np.ascontiguousarray(centres.T))
    topic = distances.argmin(1)
    return topic, distances[np.arange(len(points)), topic]


def _apart(distinct: Float, centres: Float) -> Float:
    """(u,) squared distance of each prompt to its own cluster's centre, made without it.

    One prompt alone says nothing of any other.
    """
    topic, distance = _nearest(distinct, centres)
    size = np.bincount(topic, minlength=len(centres))[topic]
    without = distance * (size / np.maximum(size - 1, 1)) ** 2  # |x - mean without x| = |x - mean| n / (n - 1)
    return np.asarray(without if len(distinct) > 1 else np.zeros(1))
