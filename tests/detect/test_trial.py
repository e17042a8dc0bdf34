"""A trial baseline is pinned at once, says what it cannot see, and makes way for a full one while nothing moves."""

from __future__ import annotations

from dataclasses import replace

import pytest

from detectors.events import Events
from detectors.rate_shift import RateShift
from detectors.stats.visible_change import SLACK, smallest_change
from services.detect.state import DetectionPlan
from services.monitor import BaselinePolicy, RoutePolicy
from tests.detect.test_detect import NEW, decide, run, traffic
from tests.support.blocks import blocks

FULL, FIRST = 300, 100
POLICY = RoutePolicy(
    baseline=BaselinePolicy(size=FULL, min_size=FIRST, per_hour=30, trial=True),
    floors={"refusal": 0.02, "secret_leak": 0.0},
)
PLAN = DetectionPlan((RateShift(), Events()), POLICY)
FAST = 36.0
"""Seconds between exchanges: 100 an hour, of which the usual rules take 30."""


def pins(changes):
    return [(one.event_index, one.pinning.n, one.pinning.trial) for one in changes if one.kind == "pinned"]


def test_it_is_pinned_at_once_and_the_full_one_follows_by_the_usual_rules():
    _, readings, changes = run(blocks(traffic(1_200, step=FAST)), plan=PLAN)
    first, full = pins(changes)
    assert first == (FIRST - 1, FIRST, True)
    assert (full[1:], full[0] > FULL * 100 / 30 - 101) == ((FULL, False), True)
    assert any("towards a full one" in (one.reason or "") for one in readings)
    assert not [one for one in readings if one.status == "firing"]


def test_it_says_what_it_cannot_see_yet():
    _, _, changes = run(blocks(traffic(FIRST, step=FAST)), plan=PLAN)
    (pinned,) = changes
    rate = pinned.pinning.rates["refusal"]
    least = 100 * smallest_change(rate, FIRST, 0.02)
    assert f"cannot see yet: the refusal rate moving by less than {least:.1f} points" in pinned.reason


def test_what_moves_meanwhile_does_not_become_normal():
    moved = traffic(FIRST + 50, step=FAST) + traffic(1_500, FIRST + 50, rate=0.8, step=FAST)
    state, readings, changes = run(blocks(moved), plan=PLAN)
    assert [one for one in readings if one.status == "firing"]
    assert pins(changes) == [(FIRST - 1, FIRST, True)]
    assert state.pinned.trial


def test_a_person_makes_it_a_full_one_of_what_came_since():
    moved = traffic(FIRST + 50, step=FAST) + traffic(1_500, FIRST + 50, rate=0.8, step=FAST)
    state, _, _ = run(blocks(moved), plan=PLAN)
    state, _, changes = run([decide("accept_baseline", 1_600)], state, PLAN)
    assert [n for _, n, _ in pins(changes)] == [FULL]
    assert not state.pinned.trial
    assert state.pinned.rates["refusal"] > 0.6


def test_another_model_is_not_part_of_the_full_one():
    some = traffic(FIRST, step=FAST) + traffic(900, FIRST, step=FAST, model=NEW)
    state, _, changes = run(blocks(some), plan=PLAN)
    assert pins(changes) == [(FIRST - 1, FIRST, True)]
    assert state.pinned.trial


@pytest.mark.parametrize("cut", [1, 7, 128])
def test_cutting_blocks_otherwise_gives_the_same(cut):
    some = traffic(600, step=FAST) + traffic(150, 600, rate=0.8, step=FAST)
    _, readings, changes = run(blocks(some, 64), plan=PLAN)
    _, other, other_changes = run(blocks(some, cut), plan=PLAN)
    assert [one.id for one in readings] == [one.id for one in other]
    assert [one.id for one in changes] == [one.id for one in other_changes]


def test_without_it_nothing_is_a_trial():
    plan = replace(PLAN, policy=replace(POLICY, baseline=replace(POLICY.baseline, trial=False, per_hour=10_000)))
    _, _, changes = run(blocks(traffic(FULL, step=FAST)), plan=plan)
    assert pins(changes) == [(FULL - 1, FULL, False)]


def test_more_exchanges_show_smaller_changes_down_to_the_floor():
    least = [smallest_change(0.15, n, 0.02) for n in (300, 1_000, 100_000)]
    assert least == sorted(least, reverse=True)
    assert least[-1] == pytest.approx(0.02, abs=0.002)
    assert RateShift().slack == SLACK
