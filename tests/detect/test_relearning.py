"""A signal that comes to be measured in another way learns its own streams anew, and no other's."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.events import Events
from detectors.model_shift import ModelShift
from detectors.rate_shift import RateShift
from schemas.decision import Decision
from schemas.identity import Model
from services.alert.core import step as alert_step
from services.alert.state import AlertState
from services.detect.core import step
from services.detect.serialization import pack_running_state
from services.detect.state import ABSENT, DetectionPlan, DetectState, SignalVersion
from services.monitor import BaselinePolicy, RoutePolicy
from services.store.codec import unpack
from tests.detect.test_saved import Memory
from tests.support.blocks import ROUTE, START, Row, blocks

SIZE = 200
FLOORS = {"refusal": 0.02, "pii_leak": 0.02, "secret_leak": 0.0}
POLICY = RoutePolicy(baseline=BaselinePolicy(size=SIZE, min_size=100), floors=FLOORS)
PLAN = DetectionPlan((RateShift(), Events()), POLICY)
ALL = DetectionPlan((ModelShift(), RateShift(), Events()), POLICY)
OLD = Model(requested="gpt-4", served="old")
V1 = {"refusal": "1", "pii_leak": "1", "secret_leak": "1"}
V2 = {**V1, "refusal": "2"}


def traffic(n, first=0, refusal=0.1, pii=0.1, versions=V1, **more):
    """Exchanges with refusals and leaks at these rates; a rate of None leaves the signal out."""
    chance = np.random.default_rng([11, first])

    def signals():
        drawn = {"refusal": chance.random(), "pii_leak": chance.random()}
        rates = {"refusal": refusal, "pii_leak": pii}
        return {k: bool(drawn[k] < rate) for k, rate in rates.items() if rate is not None} | {"secret_leak": False}

    return [
        Row(f"e{i}", i, i * 86.4, OLD, signals=signals(), prompt=i % 97, versions=versions, **more)
        for i in range(first, first + n)
    ]


def run(items, state=None, plan=PLAN):
    state = state or DetectState.start(ROUTE)
    readings, changes = [], []
    for item in items:
        state, out = step(plan, state, [item])
        readings += out.readings
        changes += out.changes
    return state, readings, changes


def of(readings, detector="rate_shift", signal="refusal", status=None):
    return [r for r in readings if (r.detector, r.signal) == (detector, signal) and status in (None, r.status)]


# The scorer answers otherwise from row 300 on: 10% of the answers were refusals by version 1, 60% are by version 2.
UPGRADE = traffic(300) + traffic(700, 300, refusal=0.6, versions=V2)


def test_a_new_version_is_no_shift_and_its_streams_learn_anew():
    state, readings, changes = run(blocks(UPGRADE))
    assert of(readings, status="firing") == []
    assert [change.kind for change in changes] == ["pinned"]
    learning = of(readings, status="learning")
    assert [reading.evidence.n for reading in learning] == [0, 50, 100, 150, 200]
    assert learning[0].event_index == 349  # the 50th exchange running
    assert learning[-1].event_index == 548
    assert learning[2].reason == ("refusal is measured in a new way since 2026-01-01 08:22 UTC; learning 100 of 200")
    (new,) = state.pinned.relearned
    assert (new.versions, new.n, new.rates["refusal"] > 0.5) == ({"refusal": "2"}, SIZE, True)
    assert state.status == "quiet"
    watching = [r for r in of(readings, status="quiet") if r.event_index > 549]
    assert watching
    assert all(r.effect.baseline_rate > 50 for r in watching if r.effect is not None)
    assert len({reading.id for reading in readings}) == len(readings)


def test_what_was_learned_anew_sees_a_shift():
    rows = UPGRADE[:700] + traffic(300, 700, refusal=0.95, versions=V2)
    _, readings, _ = run(blocks(rows))
    first = of(readings, status="firing")[0]
    assert first.direction == "up"
    assert 700 <= first.event_index < 800


def test_all_others_keep_watching_with_their_evidence():
    same = [replace(row, versions=V1) for row in UPGRADE]
    moved = traffic(300) + traffic(700, 300, refusal=0.6, pii=0.5, versions=V2)
    _state, readings, _ = run(blocks(moved), plan=ALL)
    _unchanged, as_before, _ = run(blocks([replace(row, versions=V1) for row in moved]), plan=ALL)

    def told(some):
        return [(r.event_index, r.status, r.evidence.log_e) for r in some]

    assert told(of(readings, signal="pii_leak")) == told(of(as_before, signal="pii_leak"))
    assert of(readings, signal="pii_leak", status="firing")
    shift = ("model_shift", None)
    assert told(of(readings, *shift)) == told(of(as_before, *shift))
    assert of(run(blocks(same))[1], status="firing")  # by one version it would have been a shift


def test_it_is_told_as_a_change_of_the_ruler_that_nobody_must_act_on():
    _, readings, _ = run(blocks(UPGRADE))
    (told,) = of(readings, "instrument_shift")
    assert (told.status, told.event_index) == ("quiet", 349)
    assert told.reason == "refusal is measured by version 2 instead of 1: rates before and after are not compared"


def test_versions_that_alternate_in_a_rolling_upgrade_relearn_nothing_until_one_holds():
    rows = traffic(300)
    for turn in range(10):
        some = traffic(40, 300 + turn * 40, refusal=0.6 if turn % 2 else 0.1, versions=V2 if turn % 2 else V1)
        rows += some
    state, readings, _ = run(blocks(rows))
    assert of(readings, status="learning") == of(readings, status="firing") == []
    assert state.relearning is None
    held = traffic(300, 700, refusal=0.6, versions=V2)
    state, readings, _ = run(blocks(held), state)
    assert of(readings, status="learning")
    assert of(readings, status="firing") == []
    assert state.pinned.relearned


def test_a_version_that_comes_back_goes_on_where_it_was():
    back = traffic(300) + traffic(120, 300, refusal=0.6, versions=V2) + traffic(200, 420)
    state, readings, _ = run(blocks(back))
    assert of(readings, status="firing") == []
    assert state.relearning.candidates.n == 71
    assert [r.event_index for r in of(readings, status="quiet") if "again" in (r.reason or "")] == [469]
    shift = traffic(200, 620, refusal=0.6)
    _, readings, _ = run(blocks(shift), state)
    assert of(readings, status="firing")
    again = traffic(400, 620, refusal=0.6, versions=V2)
    state, readings, _ = run(blocks(again), state)
    assert of(readings, status="firing") == []
    assert state.pinned.relearned[0].n == SIZE


def test_a_new_signal_learns_and_then_counts_in_k():
    rows = traffic(300, pii=None, versions={"refusal": "1", "secret_leak": "1"}) + traffic(500, 300)
    state, readings, (_pinned,) = run(blocks(rows))
    assert [r.evidence.n for r in of(readings, signal="pii_leak", status="learning")][-1] == SIZE
    (new,) = state.pinned.relearned
    assert new.versions == {"pii_leak": "1"}
    assert of(readings, signal="refusal", status="learning") == []
    assert new.streams == 3
    assert new.arl == pytest.approx(3 * 30 * 1000, rel=0.01)
    _, readings, _ = run(blocks(traffic(300, 800, pii=0.6)), state)
    assert of(readings, signal="pii_leak", status="firing")


def test_a_floor_that_a_monitor_file_adds_is_a_new_signal():
    few = replace(PLAN, policy=replace(POLICY, floors={"refusal": 0.02, "secret_leak": 0.0}))
    state, _, _ = run(blocks(traffic(300)), plan=few)
    assert state.pinned.streams == 2
    state, readings, _ = run(blocks(traffic(300, 300)), state)
    (new,) = state.pinned.relearned
    assert (new.versions, new.streams) == ({"pii_leak": "1"}, 3)
    later = [r.evidence.threshold for r in of(readings) if r.event_index > new.event_index and r.evidence.threshold]
    assert later
    assert later == pytest.approx([np.log(new.arl)] * len(later))  # the old streams too: one budget for all


def test_a_signal_that_vanishes_is_said_to_be_unseen_and_its_alert_stays_open():
    rows = traffic(300) + traffic(150, 300, refusal=0.7)
    state, readings, _ = run(blocks(rows))
    assert of(readings, status="firing")
    alerts, _ = alert_step(AlertState.start(ROUTE), readings)
    gone = traffic(700, 450, refusal=None, versions={"pii_leak": "1", "secret_leak": "1"})
    state, readings, _ = run(blocks(gone), state)
    (told,) = of(readings, status="blind")
    assert told.reason.startswith("refusal is not measured any more since")
    assert state.status == "firing"
    _, sent = alert_step(alerts, readings)
    assert [alert for alert in sent if alert.status == "resolved"] == []


def test_an_alert_that_stood_on_the_old_version_stays_until_a_person_resolves_it():
    rows = traffic(300) + traffic(150, 300, refusal=0.7)
    state, readings, _ = run(blocks(rows))
    alerts, _ = alert_step(AlertState.start(ROUTE), readings)
    after = traffic(1500, 450, refusal=0.7, versions=V2)
    state, readings, _ = run(blocks(after), state)
    ruler = of(readings, "instrument_shift", status="firing")
    assert len(ruler) == 1
    learning = of(readings, status="learning")
    assert learning[0].reason.endswith("stays until a person resolves it")
    alerts, sent = alert_step(alerts, readings)
    assert [(alert.family, alert.status) for alert in sent] == [("instrument_shift", "firing")]
    assert state.status == "firing"
    at = START + timedelta(seconds=2000 * 86.4)
    resolved = Decision(kind="resolve", route=ROUTE, actor="ana", reason="seen", ts=at)
    state, _, _ = run([resolved], state)
    assert state.status == "quiet"
    _, readings, _ = run(blocks(traffic(300, 2000, refusal=0.1, versions=V2)), state)
    assert of(readings, status="firing")[0].direction == "down"


def test_a_version_that_changes_while_learning_leaves_no_row_of_the_old_one():
    rows = traffic(160) + traffic(400, 160, refusal=0.6, versions=V2)
    state, readings, (pinned,) = run(blocks(rows))
    assert (pinned.event_index, pinned.pinning.n) == (SIZE - 1, SIZE)
    assert state.pinned.versions == {
        "pii_leak": "1",
        "refusal": "1",
        "response_vec": "test/f32",
    }  # 49 rows of version 2: it did not hold yet
    (new,) = state.pinned.relearned
    assert new.rates["refusal"] > 0.5
    assert of(readings, status="firing") == []


def test_the_rows_since_a_change_while_learning_are_kept():
    rows = traffic(120) + traffic(400, 120, refusal=0.6, versions=V2)
    state, _readings, _ = run(blocks(rows))
    (new,) = state.pinned.relearned
    assert new.event_index == 169 + SIZE - 1  # 31 rows of the baseline's time count
    assert new.rates["refusal"] > 0.5
    assert "refusal" not in state.pinned.versions
    early = traffic(20) + traffic(400, 20, refusal=0.6, versions=V2)
    state, _, _ = run(blocks(early))
    assert state.pinned.versions["refusal"] == "2"
    assert state.pinned.rates["refusal"] > 0.5
    assert state.pinned.relearned == ()


def test_another_embedder_is_another_ruler_and_the_route_learns_its_baseline_anew():
    rows = traffic(300) + traffic(500, 300, engine="other", shift=0.8)
    state, readings, changes = run(blocks(rows), plan=ALL)
    assert [r for r in readings if r.status == "firing"] == []
    (told,) = of(readings, "instrument_shift", "response_vec")
    assert (told.status, told.event_index) == ("quiet", 349)
    assert "other/f32 instead of test/f32" in told.reason
    assert {r.status for r in of(readings) if r.event_index == 349} == {"blind"}
    assert [c.kind for c in changes] == ["pinned", "pinned"]
    assert state.pinned.event_index == 349 + SIZE - 1
    assert (state.status, state.watch.blind) == ("quiet", {})
    _, readings, _ = run(blocks(traffic(300, 800, engine="other", shift=0.8, refusal=0.7)), state, ALL)
    assert of(readings, status="firing")


@settings(max_examples=10, deadline=None)
@given(cuts=st.lists(st.integers(1, 128), min_size=1, max_size=8))
def test_cutting_blocks_otherwise_says_the_same(cuts):
    whole = UPGRADE + traffic(100, 1000, refusal=0.95, versions=V2, engine="other")
    state, readings, _ = run(blocks(whole, 64))
    cut_state, cut_readings, _ = run(blocks(whole, cuts))
    assert [r.id for r in readings] == [r.id for r in cut_readings]
    assert [r.reason for r in readings] == [r.reason for r in cut_readings]
    for one, other in zip(readings, cut_readings, strict=True):
        if one.evidence.log_e is not None:
            assert one.evidence.log_e == pytest.approx(other.evidence.log_e, abs=1e-9)
    assert state.versions == cut_state.versions


@settings(max_examples=10, deadline=None)
@given(stops=st.lists(st.integers(0, 20), min_size=1, max_size=4))
def test_a_state_that_is_stored_and_loaded_goes_on(stops):
    whole = blocks(UPGRADE + traffic(60, 1000, versions={**V2, "pii_leak": "2"}), 64)
    _, readings, _ = run(whole, plan=ALL)
    memory, state, said = Memory(), DetectState.start(ROUTE), []
    for at, one in enumerate(whole):
        state, out = step(ALL, state, [one])
        said += out.readings
        if at in stops:
            memory.save(state)
            state = memory.load()
    assert [(r.id, r.evidence) for r in said] == [(r.id, r.evidence) for r in readings]


def test_a_state_from_before_versions_learned_everything_by_the_first():
    """Bytes that an older release wrote have none of these fields."""
    state, _, _ = run(blocks(traffic(300)))
    old = replace(state, versions={}, relearning=None, pinned=replace(state.pinned, versions={}, relearned=()))
    same, readings, _ = run(blocks(traffic(300, 300)), old)
    assert of(readings, status="learning") == []
    assert same.pinned.versions == {"refusal": "1", "pii_leak": "1", "secret_leak": "1"}
    new, readings, _ = run(blocks(traffic(300, 300, refusal=0.6, versions=V2)), old)
    assert of(readings, status="firing") == []
    assert new.pinned.relearned


def test_old_bytes_are_read():
    state, _, _ = run(blocks(traffic(50)))
    data = pack_running_state(state)
    for name in (b"versions", b"relearning"):
        assert name in data
    raw = msgspec.msgpack.decode(data)
    for name in ("versions", "relearning"):
        raw.pop(name)
    raw["watch"].pop("superseded")
    read = unpack(DetectState, msgspec.msgpack.encode(raw), [one.state_type for one in PLAN.detectors])
    assert (read.versions, read.relearning, read.watch.superseded) == ({}, None, {})


def test_a_signal_that_is_not_measured_yet_is_absent():
    state, _, _ = run(blocks(traffic(50, pii=None, versions={"refusal": "1", "secret_leak": "1"})))
    assert state.versions["pii_leak"] == SignalVersion(ABSENT, 0, START.timestamp())
