"""The topics of a baseline's prompts, and which of them an exchange is about: what a route may be sliced by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Self

import numpy as np

from detectors.protocol import Bool, Float, Half
from detectors.stats.clusters import distances, kmeans

MOST_TOPICS: Final = 8
ROWS_EACH: Final = 100
"""Rows of the baseline for each topic that there may be: a rate of fewer says little."""


@dataclass(frozen=True, slots=True)
class TopicMap:
    """Clusters of a baseline's prompts.

    Attributes:
        centres: (c, d) in the order of their topics, the most frequent one first: topic `1` is the first row.
    """

    centres: Float

    @classmethod
    def of(cls, prompts: Half) -> Self:
        """The map of (n, d) prompts: at most 8 topics, one for every 100 of them."""
        points = prompts.astype(np.float64)
        centres = kmeans(points, max(1, min(MOST_TOPICS, len(points) // ROWS_EACH)))
        count = np.bincount(distances(points, centres).argmin(axis=1), minlength=len(centres))
        return cls(np.ascontiguousarray(centres[np.argsort(-count, kind="stable")]))

    def name(self, prompts: Half, embedded: Bool) -> tuple[str | None, ...]:
        """(n,) topic of each prompt, None without a vector; a row's topic does not depend on the other rows."""
        nearest = distances(prompts.astype(np.float64), self.centres).argmin(axis=1) + 1
        return tuple(
            f"{topic}" if has else None for topic, has in zip(nearest.tolist(), embedded.tolist(), strict=True)
        )
