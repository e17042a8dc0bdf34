from __future__ import annotations

from dataclasses import replace

import pytest

from detectors import DETECTORS
from schemas.position import Position
from services.demo.support_bot import Script, traffic
from services.monitor import BaselinePolicy, RoutePolicy
from services.ports import Received
from services.replay.runner import ReplayDependencies
from services.score.core import ExchangeScorer
from services.score.embed.cached import CachedEmbedder
from services.score.embed.openvino import OpenVinoEmbedder

POLICY = RoutePolicy(baseline=BaselinePolicy(size=300, min_size=100))


@pytest.fixture(scope="session")
def tools() -> ReplayDependencies:
    """The real scorer and detectors, with a baseline small enough for a test."""
    embedder = CachedEmbedder(OpenVinoEmbedder(threads=1))
    return ReplayDependencies(ExchangeScorer(embedder, lambda route: POLICY).score, DETECTORS, lambda route: POLICY)


@pytest.fixture(scope="session")
def story() -> list[Received]:
    """A support bot whose model is silently replaced after 500 exchanges."""
    exchanges = traffic(Script(before=500, after=250, leak=0.03), seed=3)
    return [
        Received(exchange, Position(cluster="demo", topic="demo", partition=0, offset=offset))
        for offset, exchange in enumerate(exchanges)
    ]


def with_id(received: Received, id: str) -> Received:
    return replace(received, exchange=received.exchange.model_copy(update={"id": id}))
