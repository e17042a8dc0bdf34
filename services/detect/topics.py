"""The slice `topic`: which cluster of the baseline's prompts an exchange is about. Pure.

No field of an exchange says it, so it is known only where a baseline is: the map is fitted when one is pinned, and
stands among its artefacts.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np

from detectors.protocol import Rows
from detectors.stats.topic_map import TopicMap
from services.detect.state import Pinned
from services.specs import TOPIC

TOPIC_MAP: Final = "topics"
"""Among the artefacts of a baseline, which otherwise stand under the names of their detectors."""


def fitted_topics(rows: Rows, slices: tuple[str, ...]) -> TopicMap | None:
    """The map of a baseline's rows, where the route is sliced by topic."""
    vectors = np.flatnonzero(rows.embedded)
    return TopicMap.of(rows.prompt[vectors]) if TOPIC in slices and len(vectors) else None


def topics_of(pinned: Pinned | None) -> TopicMap | None:
    """The map of a baseline; None where it has none."""
    found = None if pinned is None else pinned.artefacts.get(TOPIC_MAP)
    return found if isinstance(found, TopicMap) else None


def with_topics(rows: Rows, topics: TopicMap | None) -> Rows:
    """The rows with the slice `topic`, where there is a map."""
    if topics is None:
        return rows
    return replace(rows, slices={**rows.slices, TOPIC: topics.name(rows.prompt, rows.embedded)})
