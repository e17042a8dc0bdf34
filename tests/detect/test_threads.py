"""A baseline is the same bits on any number of cores: a verdict can be re-computed elsewhere."""

from __future__ import annotations

import pytest
from threadpoolctl import threadpool_limits

from detectors import DETECTORS
from schemas.position import Position
from services.demo.support_bot import ROUTE, Script, traffic
from services.detect import serialization
from services.monitor import BaselinePolicy, RoutePolicy
from services.ports import Received
from services.replay.runner import ReplayDependencies, ReplayRunner
from tests.support.oracle import scorer_of


@pytest.mark.embedding
def test_a_baseline_does_not_depend_on_how_many_threads_fit_it() -> None:
    policy = RoutePolicy(baseline=BaselinePolicy(size=250, min_size=100))
    scorer, found = scorer_of(lambda route: policy), []
    for threads in (1, 2):
        replay = ReplayRunner(ReplayDependencies(scorer.score, DETECTORS, lambda route: policy))
        with threadpool_limits(threads, user_api="blas"):
            for offset, one in enumerate(traffic(Script(before=260, after=0), seed=3)):
                replay.feed(Received(one, Position(cluster="c", topic="t", partition=0, offset=offset)))
            pinned = replay.finish().flows[ROUTE].detect.pinned
        assert pinned is not None
        found.append(serialization.pack_artefacts(pinned))
    assert found[0] == found[1]
