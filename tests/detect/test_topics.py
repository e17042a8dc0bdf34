"""`slices: [topic]`: clusters of the baseline's prompts, fitted when it is pinned."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from detectors.rate_shift import RateShift
from detectors.stats.topic_map import MOST_TOPICS, TopicMap
from services.detect.serialization import pack_artefacts, pack_running_state, restore_state
from services.detect.state import DetectionPlan
from services.detect.topics import topics_of
from services.monitor import BaselinePolicy, RoutePolicy
from tests.detect.test_detect import run, traffic
from tests.support import rows as made
from tests.support.blocks import blocks

POLICY = RoutePolicy(
    baseline=BaselinePolicy(size=400, min_size=100, per_hour=10_000), floors={"refusal": 0.02}, slices=("topic",)
)
PLAN = DetectionPlan((RateShift(),), POLICY)


def test_topics_are_the_clusters_of_the_prompts_whoever_else_is_asked_about() -> None:
    some = made.rows(600, 3)
    topics = TopicMap.of(some.prompt)
    named = topics.name(some.prompt, np.ones(600, bool))
    assert len(set(named)) == 6 == len(topics.centres)  # one for every 100 rows
    alone = [topics.name(some.prompt[i : i + 1], np.ones(1, bool))[0] for i in range(50)]
    assert alone == list(named[:50])
    sizes = [named.count(f"{topic}") for topic in range(1, 7)]
    assert sizes == sorted(sizes, reverse=True)


def test_a_row_without_a_vector_has_no_topic_and_there_are_at_most_eight() -> None:
    some = made.rows(2_000, 4)
    topics = TopicMap.of(some.prompt)
    assert len(topics.centres) == MOST_TOPICS
    assert topics.name(some.prompt[:2], np.array([True, False]))[1] is None


def test_a_route_sliced_by_topic_watches_each_frequent_one() -> None:
    state, readings, changes = run(blocks(traffic(600, step=36.0)), plan=PLAN)
    topics = {one.slice for one in readings if one.slice is not None}
    assert topics
    assert all(slice.startswith("topic=") for slice in topics)
    (pinned,) = [one for one in changes if one.kind == "pinned"]
    plain, _, (other,) = run(blocks(traffic(600, step=36.0)), plan=replace(PLAN, policy=replace(POLICY, slices=())))
    assert pinned.pinning.streams > other.pinning.streams == 1
    assert topics_of(plain.pinned) is None
    stored = restore_state(PLAN.detectors, pack_running_state(state), {}, lambda _: pack_artefacts(state.pinned))
    np.testing.assert_array_equal(topics_of(stored.pinned).centres, topics_of(state.pinned).centres)


@pytest.mark.parametrize("cut", [1, 50])
def test_cutting_blocks_otherwise_gives_the_same(cut: int) -> None:
    some = traffic(450, step=36.0) + traffic(100, 450, rate=0.8, step=36.0)
    _, readings, _ = run(blocks(some, 64), plan=PLAN)
    _, other, _ = run(blocks(some, cut), plan=PLAN)
    assert [one.id for one in readings] == [one.id for one in other]
