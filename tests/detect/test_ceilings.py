"""A ceiling from the first exchange to the incident, and the baseline that waits for a person."""

from __future__ import annotations

from dataclasses import replace

import pytest

from detectors.events import Events
from detectors.objective import Objectives
from detectors.rate_shift import RateShift
from services.alert.core import step as alert_step
from services.alert.state import AlertState
from services.detect.baseline import untrained_artefact
from services.detect.readings import stream_key_parts
from services.detect.state import DetectionPlan, Relearned
from services.monitor import BaselinePolicy, RoutePolicy
from services.specs import HELD, LEARNING
from services.wording import incidents
from tests.detect.test_detect import decide, run, traffic
from tests.support.blocks import ROUTE, blocks

SIZE = 200
POLICY = RoutePolicy(
    baseline=BaselinePolicy(size=SIZE, min_size=100),
    floors={"refusal": 0.02, "secret_leak": 0.0},
    objectives={"refusal": 0.15},
)
PLAN = DetectionPlan((RateShift(), Events(), Objectives()), POLICY)
BAD = traffic(500, rate=0.4)


def of_ceiling(readings):
    return [one for one in readings if one.detector == "objective"]


def held(readings):
    return [(one.event_index, one.reason) for one in readings if (one.detector, one.signal) == (LEARNING, HELD)]


def test_a_rate_above_its_ceiling_fires_while_the_route_learns():
    state, readings, changes = run(blocks(BAD[:150]), plan=PLAN)
    fired = [one for one in of_ceiling(readings) if one.status == "firing"]
    assert fired
    assert fired[0].event_index < SIZE
    assert (fired[0].direction, fired[0].floor, fired[0].effect.before) == ("up", 0.15, 0.0)
    assert fired[0].evidence.baseline is None
    assert (state.pinned, changes) == (None, [])
    assert state.watch.since is None  # it does not say since when anything is different


def test_a_baseline_above_a_ceiling_is_not_pinned_and_says_so():
    state, readings, changes = run(blocks(BAD), plan=PLAN)
    assert not [one for one in changes if one.kind == "pinned"]
    waits = held(readings)
    assert [index for index, _ in waits][:3] == [SIZE - 1, SIZE + 49, SIZE + 99]
    assert waits[0][1].startswith("not pinned: refusal ")
    assert waits[0][1].endswith("is above the ceiling of 15.0%; accept it or fix it")
    assert state.above["refusal"] > 0.15
    assert state.learned < SIZE


def test_a_person_accepts_it_and_the_ceiling_goes_on():
    state, _, _ = run(blocks(BAD[:310]), plan=PLAN)
    assert state.pinned is None
    state, readings, changes = run([decide("accept_baseline", 310)], state, PLAN)
    (pinned,) = changes
    assert (pinned.kind, pinned.pinning.rates["refusal"] > 0.15) == ("pinned", True)
    assert state.above == {}
    assert any(stream_key_parts(key)[0] == "objective" for key in state.watch.firing)
    state, readings, _ = run(blocks(BAD), state, PLAN)
    assert {one.status for one in of_ceiling(readings)} <= {"firing"}


def test_what_is_accepted_before_there_is_enough_is_pinned_when_there_is():
    state, _, _ = run(blocks(BAD[:120]), plan=PLAN)
    state, _, _ = run([decide("accept_baseline", 120)], state, PLAN)
    assert state.accepting is not None
    _, readings, changes = run(blocks(BAD[:260]), state, PLAN)
    assert [one.kind for one in changes][:1] == ["pinned"]
    assert not held(readings)


def test_a_route_that_is_mended_pins_by_itself():
    mended = BAD[:250] + traffic(400, 250, rate=0.02)
    state, _, changes = run(blocks(mended), plan=PLAN)
    (pinned,) = [one for one in changes if one.kind == "pinned"]
    assert pinned.pinning.rates["refusal"] <= 0.15
    assert state.above == {}


def test_a_good_route_is_pinned_as_without_ceilings_and_its_budget_counts_them():
    good = traffic(SIZE + 10)
    _, _, (with_ceiling,) = run(blocks(good), plan=PLAN)
    without = DetectionPlan(PLAN.detectors, replace(POLICY, objectives={}))
    _, _, (plain,) = run(blocks(good), plan=without)
    assert with_ceiling.event_index == plain.event_index == SIZE - 1
    assert with_ceiling.pinning.streams == plain.pinning.streams + 1
    assert with_ceiling.pinning.arl == pytest.approx(plain.pinning.arl * 3 / 2)


@pytest.mark.parametrize("cut", [1, 7, 128])
def test_cutting_blocks_otherwise_says_the_same(cut):
    some = BAD[:330]
    _, readings, changes = run(blocks(some, 64), plan=PLAN)
    _, other, other_changes = run(blocks(some, cut), plan=PLAN)
    assert [one.id for one in readings] == [one.id for one in other]
    assert [one.id for one in changes] == [one.id for one in other_changes]


def test_a_ceiling_does_not_move_what_accepting_would_take():
    mended = traffic(SIZE + 100, rate=0.05) + traffic(120, SIZE + 100, rate=0.9)
    state, readings, _ = run(blocks(mended), plan=PLAN)
    crossing = next(one.event_index for one in readings if one.detector == "rate_shift" and one.status == "firing")
    assert state.watch.since == crossing


def alerts_of(readings):
    state, found = AlertState.start(ROUTE), []
    for reading in readings:
        state, more = alert_step(state, [reading])
        found += more
    return found


def test_the_alert_says_how_high_and_how_high_it_may_be_and_resolves_below():
    mended = BAD[:200] + traffic(1_500, 200, rate=0.0)
    _, readings, _ = run(blocks(mended), plan=PLAN)
    fired, *more = alerts_of(of_ceiling(readings))
    assert (fired.family, fired.severity, fired.status) == ("objective", "warning", "firing")
    told = incidents.sentence(fired)
    assert told.startswith(f"the refusal rate of {ROUTE} is ")
    assert told.endswith("above its ceiling of 15.0%")
    assert [(one.status, one.reason) for one in more][-1] == ("resolved", "below its ceiling again")


def test_it_is_an_error_where_the_rate_is_surely_twice_the_ceiling():
    worse = [*traffic(400, rate=0.95)]
    _, readings, _ = run(blocks(worse), plan=PLAN)
    assert {one.severity for one in alerts_of(of_ceiling(readings))} == {"error"}


def test_a_ceiling_says_nothing_of_a_change():
    _, _, changes = run(blocks(BAD), plan=PLAN)
    assert not [one for one in changes if one.kind == "suspected"]


def test_a_new_version_of_the_signal_leaves_its_ceiling_where_it_is():
    good = traffic(SIZE + 60, rate=0.05, versions={"refusal": "1"})
    after = traffic(900, SIZE + 60, rate=0.0, versions={"refusal": "2"})
    spike = traffic(60, SIZE + 60, rate=1.0, versions={"refusal": "1"})
    later = [
        replace(row, id=f"l{i}", offset=SIZE + 200 + i, seconds=(SIZE + 200 + i) * 86.4) for i, row in enumerate(after)
    ]
    state, readings, _ = run(blocks(good + spike + later), plan=PLAN)
    statuses = [one.status for one in of_ceiling(readings)]
    assert "firing" in statuses
    assert statuses[-1] == "quiet"
    assert not any(stream_key_parts(key)[0] == "objective" for key in (*state.watch.firing, *state.watch.superseded))


def test_a_ceiling_is_held_to_the_budget_of_the_set_that_counts_now():
    state, _, _ = run(blocks(traffic(SIZE + 10)), plan=PLAN)
    pinned = state.pinned
    anew = Relearned("x", {"refusal": "2"}, SIZE, 9, 4 * pinned.arl, 0.0, 0, 0, {}, {})
    detector = PLAN.detectors[2]
    assert untrained_artefact(detector, PLAN, pinned).arl == pinned.arl
    assert untrained_artefact(detector, PLAN, replace(pinned, relearned=(anew,))).arl == 4 * pinned.arl
    learning = untrained_artefact(detector, PLAN, None).arl
    assert learning == 3 * 30 * 1000  # refusal as a rate, secret_leak as an event, the ceiling
