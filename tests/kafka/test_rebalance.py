"""Workers that come and go under traffic: nothing is lost or counted twice, and a clean end is quick."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.chaos.rebalance import rebalance
from tests.support import kafka as brokers
from tests.support.fleet import Fleet
from tests.support.kafka import Cluster
from tests.support.streams import groups, make_topics, remove_topics

SOON = 5.0


@pytest.fixture(scope="module")
def stage() -> Iterator[Cluster]:
    """A broker of this module's own: the steps' topics have fixed names."""
    with brokers.apache_kafka() as server:
        if server is None:
            pytest.skip(brokers.ABSENT)
        yield brokers.cluster_of(server.bootstrap, server)


@pytest.fixture
def broker(stage):
    make_topics(stage.broker)
    yield stage.broker
    remove_topics(stage.broker)


def test_workers_that_join_leave_and_are_killed_lose_and_invent_nothing(broker, postgres, tmp_path):
    found = rebalance(broker, postgres.fresh(), tmp_path, seconds=20)
    print("\n".join(found.lines()))
    left = [seconds for what, _, seconds in found.changes if "left" in what]
    assert len(left) == 3
    assert max(left) < SOON


def test_a_clean_end_waits_for_no_member_that_was_killed(broker, tmp_path):
    """A join is answered when all members have joined; aiokafka would wait for that answer before it ends."""
    with Fleet(tmp_path, broker, f"sqlite:///{tmp_path}/keelwatch.db", only="score") as fleet:
        fleet.join("leaver")
        fleet.join("killed")
        fleet.until(lambda: fleet.shared(2), "both are members")
        fleet.workers.pop("killed").kill()
        newcomer = fleet.join("newcomer")
        fleet.until(lambda: state(broker) == ("PreparingRebalance", 3), "the group waits for the one that was killed")
        fleet.until(lambda: b"rebalancing" in fleet.workers["leaver"].log.read_bytes(), "the leaver joins anew")
        assert fleet.leave("leaver") < SOON
        assert state(broker) == ("PreparingRebalance", 2)
        assert b"running" not in newcomer.log.read_bytes()
        assert fleet.leave("newcomer") < SOON
        assert state(broker)[1] == 1  # at once, not when its session ends


def state(broker) -> tuple[str, int]:
    return groups(broker, ["score"])["score"]
