"""Workers that come and go under traffic: nothing is lost or counted twice, and a clean end is quick."""

from __future__ import annotations

from tests.chaos.rebalance import rebalance
from tests.support.fleet import Fleet
from tests.support.streams import groups

SOON = 5.0


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
