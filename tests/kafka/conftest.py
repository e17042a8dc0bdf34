"""The two kinds of broker that commands must work on."""

from __future__ import annotations

import pytest

from tests.support.kafka import Cluster


@pytest.fixture(params=["kafka", "embedded_broker"])
def cluster(request: pytest.FixtureRequest) -> Cluster:
    """The shared cluster, then the embedded broker."""
    found: Cluster = request.getfixturevalue(request.param)
    return found
