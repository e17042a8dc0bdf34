"""The short tier: five kills among 2,000 exchanges; and what plans and outcomes promise."""

from __future__ import annotations

from dataclasses import replace

import pytest

from services.failpoints import POINTS
from tests.chaos.judge import Violation
from tests.chaos.ledger import CHANGED
from tests.chaos.outcome import Outcome
from tests.chaos.plan import PLACES, STEPS, plan
from tests.chaos.run import Run, chaos
from tests.support import kafka as brokers

SEED = 6
GOOD = Outcome(["a", "b"], ["b", "a"], 7, 0, 1.0, 0.5, 90, 10, {"r": 1}, ["r"])


def test_nothing_is_lost_invented_altered_or_counted_twice_though_workers_are_killed(own_kafka, postgres, tmp_path):
    broker = brokers.cluster_of(own_kafka.bootstrap).broker
    found = chaos(Run(SEED, 2000, 5, 150.0, broker, postgres.fresh(), tmp_path))
    account = "\n".join(found.lines())
    print(account)
    assert found.code == 0, account
    assert len(found.fired) == 5
    assert (found.scored, found.dead) == (2000 + 1, 40), "the exchanges and the probe"
    assert {found.incidents[route] for route in CHANGED} == {1}


def test_the_plan_is_the_seed_s_and_has_every_fail_point():
    assert plan(3, 20_000, 10) == plan(3, 20_000, 10) != plan(4, 20_000, 10)
    for seed in range(20):
        made = plan(seed, 20_000, 10)
        assert len(made.names) == 10
        assert {point.place.partition(".")[2] for point in made.points} == set(POINTS)
        assert {one.victim for one in (*made.points, *made.moments)} == set(STEPS)
        assert all(0 < moment.share < 1 for moment in made.moments)
        assert all(point.victim in POINTS[point.place.partition(".")[2]] for point in made.points)


def test_suspensions_and_restarts_come_besides_the_kills():
    made = plan(3, 20_000, 10, 2, 3)
    assert set(plan(3, 20_000, 10).points) == set(made.points)
    assert [one.how for one in made.moments].count("suspended") == 2
    assert sorted(one.victim for one in made.moments if one.how == "restarted") == ["broker", "broker", "database"]


def test_of_many_kills_no_more_are_at_fail_points_than_there_are_exchanges_for():
    made = plan(3, 12_000, 30)
    assert len(made.names) == 30
    assert len(made.points) == len(PLACES)
    assert {one.victim for one in made.moments} == set(STEPS)


def test_the_short_tier_kills_every_process():
    made = plan(SEED, 2000, 5)
    assert {one.victim for one in (*made.points, *made.moments)} == set(STEPS)


@pytest.mark.parametrize(
    ("changes", "code", "line"),
    [
        ({}, 0, "kept"),
        ({"violations": [Violation("lost", "x")]}, 1, "  lost: x"),
        ({"violations": [Violation("lost", "x")], "fired": []}, 1, "INVALID: did not fire: a"),
        ({"fired": ["a"]}, 3, "INVALID: did not fire: b"),
        ({"redelivered": 0}, 3, "INVALID: nothing was delivered again"),
        ({"unaccepted": 2}, 3, "INVALID: 2 records were not accepted"),
        ({"incidents": {"s": 1}}, 3, "INVALID: no incident of r to be found"),
    ],
)
def test_a_run_is_green_only_when_it_shows_something_and_nothing_is_wrong(changes, code, line):
    found = replace(GOOD, **changes)
    assert found.code == code
    assert line in list(found.lines())


def test_many_violations_are_counted_by_kind():
    found = replace(GOOD, violations=[Violation("lost", str(n)) for n in range(30)])
    assert "  ... lost 30" in list(found.lines())
