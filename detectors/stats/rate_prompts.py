"""Where a prompt lies in the baseline: its coordinates, its topic, whether it was seen, whether it is unlike all."""

from __future__ import annotations

import hashlib
from collections import Counter, deque
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import KMeans

from detectors.protocol import Bool, Float, Half

Int = NDArray[np.int64]
Keys = NDArray[np.uint64]
RECENT = 500  # rows within which a prompt that comes back is a repetition


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
        centres: (c, d) cluster centres; radius: squared distance beyond which a prompt is novel.
        keys: (u,) sorted keys of the distinct prompts; allowed: (u,) how often each may count in `RECENT` rows.
    """

    mean: Float
    axes: Float
    centres: Float
    radius: float
    keys: Keys
    allowed: Float

    def locate(self, prompts: Half) -> Places:
        """Place (n, d) prompts; no sum runs over rows, so a row's place does not depend on its neighbours."""
        moved = prompts.astype(np.float64) - self.mean
        features = np.einsum("nd,dk->nk", moved, self.axes)
        topic, distance = _nearest(moved, self.centres - self.mean)
        keys = prompt_keys(prompts)
        seen = _find(self.keys, keys)
        return Places(features, topic, seen, (distance > self.radius) & (seen < 0), keys)

    def repeated(self, places: Places, recent: Keys, where: Bool) -> tuple[Bool, Keys]:
        """Which rows repeat a prompt more often than it may count, and the keys of the last `RECENT` rows.

        A model has one rate for one prompt: asked again and again, a prompt that the baseline hardly knows says
        nothing about whether that rate moved. Within `RECENT` rows it counts twice, plus four times as often as in
        the baseline.

        Args:
            places: where the rows lie.
            recent: keys of the last rows before them.
            where: (n,) rows that count; the others are never repeated.
        """
        held = deque(recent.tolist(), RECENT)
        times = Counter(held)
        allowed = np.where(places.seen >= 0, self.allowed[places.seen], 2.0)
        over = np.zeros(len(places.keys), dtype=np.bool_)
        for row in np.flatnonzero(where).tolist():
            key = int(places.keys[row])
            if len(held) == RECENT:
                times[held[0]] -= 1
            held.append(key)
            times[key] += 1
            over[row] = times[key] > allowed[row]
        return over, np.array(held, dtype=np.uint64)


def prompt_keys(prompts: Half) -> Keys:
    """(n,) 64-bit keys of prompt vectors: the same vector, the same key."""
    raw = np.ascontiguousarray(prompts)
    digests = b"".join(hashlib.blake2b(row.tobytes(), digest_size=8).digest() for row in raw)
    return np.frombuffer(digests, dtype="<u8").astype(np.uint64)


def map_prompts(prompts: Half, width: int, topics: int, novel_share: float) -> PromptMap:
    """The map of (n, d) baseline prompts: `width` directions, at most `topics` clusters.

    `novel_share` of the distinct baseline prompts would be novel, each held against clusters that do not hold it.
    """
    keys, first, times = np.unique(prompt_keys(prompts), return_index=True, return_counts=True)
    distinct = prompts[np.sort(first)].astype(np.float64)
    mean = prompts.astype(np.float64).mean(0)
    values, vectors = np.linalg.eigh(np.cov(prompts.astype(np.float64).T, bias=True))
    axes = vectors[:, ::-1][:, :width] / np.sqrt(max(float(values[-1]), 1e-12))
    count = int(np.clip(len(distinct) // 8, 1, topics))
    labels = KMeans(count, n_init=1, random_state=0).fit_predict(distinct)
    centres = np.stack([distinct[labels == c].mean(0) for c in np.unique(labels)])
    allowed = 2.0 + 4.0 * times * RECENT / len(prompts)
    return PromptMap(mean, axes, centres, _radius(distinct, centres, novel_share), keys, allowed)


def _nearest(points: Float, centres: Float) -> tuple[Int, Float]:
    """The nearest centre of each point and the squared distance to it."""
    squares = np.einsum("nd,nd->n", points, points)[:, None] + np.einsum("cd,cd->c", centres, centres)
    distances = squares - 2 * np.einsum("nd,dc->nc", points, np.ascontiguousarray(centres.T))
    topic = distances.argmin(1)
    return topic, distances[np.arange(len(points)), topic]


def _radius(distinct: Float, centres: Float, share: float) -> float:
    """Squared distance that `share` of the prompts exceed when their own cluster's centre is made without them."""
    topic, distance = _nearest(distinct, centres)
    size = np.bincount(topic, minlength=len(centres))[topic]
    without = distance * (size / np.maximum(size - 1, 1)) ** 2  # |x - mean without x| = |x - mean| n / (n - 1)
    return float(np.quantile(without, 1 - share)) if len(distinct) > 1 else 4.0


def _find(keys: Keys, wanted: Keys) -> Int:
    """Position of each wanted key among the sorted keys, or -1."""
    at = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[at] == wanted, at, -1)
