from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.events import Events
from detectors.protocol import Finding, Stream
from detectors.rate_shift import RateShift
from schemas.alert import fingerprint_of
from schemas.change import change_id
from schemas.decision import Decision
from schemas.identity import Model, identity_of
from services.detect.core import step
from services.detect.readings import StreamFinding, stream_key_parts
from services.detect.run_detectors import rename_streams
from services.detect.state import DetectionPlan, DetectorStates, DetectState
from services.monitor import BaselinePolicy, RoutePolicy
from tests.support.blocks import ROUTE, START, Row, blocks

SIZE = 200
POLICY = RoutePolicy(baseline=BaselinePolicy(size=SIZE, min_size=100), floors={"refusal": 0.02, "secret_leak": 0.0})
PLAN = DetectionPlan((RateShift(), Events()), POLICY)
OLD = Model(requested="gpt-4", served="old")
NEW = Model(requested="gpt-4", served="new")


def traffic(n, first=0, rate=0.1, model=OLD, step=86.4, **same):
    """Refusals at `rate`, drawn from a seeded generator."""
    chance = np.random.default_rng([7, first])
    return [
        Row(
            f"e{i}",
            i,
            i * step,
            model,
            signals={"refusal": bool(chance.random() < rate), "secret_leak": False},
            prompt=i % 97,
            **same,
        )
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


def decide(kind, index, **more):
    at = START + timedelta(seconds=index * 86.4)
    return Decision(kind=kind, route=ROUTE, actor="ana", reason="seen", ts=at, **more)


def firing(readings):
    return [(one.detector, one.signal, one.direction, one.event_index) for one in readings if one.status == "firing"]


SHIFT = traffic(SIZE + 100) + traffic(300, SIZE + 100, rate=0.7)


def test_the_baseline_is_pinned_at_its_size_and_says_its_budget():
    state, readings, changes = run(blocks(traffic(SIZE + 10)))
    (pinned,) = changes
    assert (pinned.kind, pinned.event_index, pinned.to_identity) == ("pinned", SIZE - 1, identity_of(OLD))
    assert pinned.pinning.n == SIZE
    assert pinned.pinning.streams == 2
    assert pinned.pinning.arl == pytest.approx(2 * 30 * 1000, rel=0.02)
    assert pinned.pinning.rates["refusal"] == pytest.approx(0.1, abs=0.05)
    learning = [one for one in readings if one.status == "learning"]
    assert [one.evidence.n for one in learning] == [1, 50, 100, 150, 200]
    assert (state.status, state.learned) == ("quiet", SIZE)


def test_a_moved_rate_fires_after_the_change_and_is_a_suspected_change():
    _, readings, changes = run(blocks(SHIFT))
    found = [one for one in firing(readings) if one[0] == "rate_shift"]
    assert found[0][:3] == ("rate_shift", "refusal", "up")
    assert SIZE + 100 <= found[0][3] < SIZE + 200
    suspected = [one for one in changes if one.kind == "suspected"]
    assert [one.event_index for one in suspected] == [found[0][3]]


def test_every_rate_carries_the_one_that_was_counted_in_its_baseline():
    _, readings, (pinned, *_) = run(blocks(SHIFT))
    rates = [one for one in readings if one.detector == "rate_shift" and one.effect is not None]
    assert rates
    assert {one.effect.baseline_rate for one in rates} == {100 * pinned.pinning.rates["refusal"]}


@settings(max_examples=12, deadline=None)
@given(cuts=st.lists(st.integers(1, 128), min_size=1, max_size=8))
def test_cutting_blocks_otherwise_gives_the_same_readings_and_changes(cuts):
    _, readings, changes = run(blocks(SHIFT, 64))
    _, cut_readings, cut_changes = run(blocks(SHIFT, cuts))
    assert [one.id for one in readings] == [one.id for one in cut_readings]
    assert [one.event_index for one in readings] == [one.event_index for one in cut_readings]
    assert [one.id for one in changes] == [one.id for one in cut_changes]
    for one, other in zip(readings, cut_readings, strict=True):
        if one.evidence.log_e is not None:
            assert one.evidence.log_e == pytest.approx(other.evidence.log_e, abs=1e-9)


@settings(max_examples=8, deadline=None)
@given(prefix=st.integers(1, len(SHIFT)))
def test_any_prefix_fed_again_says_nothing(prefix):
    state, _, _ = run(blocks(SHIFT))
    again, readings, changes = run(blocks(SHIFT[:prefix], 50), state)
    assert (readings, changes) == ([], [])
    assert again.watch == state.watch


def test_no_more_than_per_hour_exchanges_of_one_clock_hour_are_learned():
    plan = replace(PLAN, policy=replace(POLICY, baseline=BaselinePolicy(size=SIZE, min_size=100, per_hour=20)))
    state, _, changes = run(blocks(traffic(500, step=36.0)), plan=plan)
    assert changes == []
    assert state.learned == 5 * 20


def test_lines_without_a_time_are_not_limited_by_the_hour_and_measure_no_traffic():
    _, _, changes = run(blocks(traffic(SIZE, step=1.0, flags=("no_ts",))))
    assert changes[0].pinning.arl == pytest.approx(2 * 30 * 1000)


def test_after_max_days_the_majority_with_min_size_is_pinned():
    mixed = [replace(row, model=NEW if i % 3 == 0 else OLD) for i, row in enumerate(traffic(180, step=3600.0))]
    _, _, changes = run(blocks(mixed))
    (pinned,) = [one for one in changes if one.kind == "pinned"]
    assert pinned.to_identity == identity_of(OLD)
    assert pinned.event_index == 168
    assert 100 <= pinned.pinning.n < SIZE


def test_a_new_identity_is_observed_at_its_fifth_exchange_and_starts_at_zero_evidence():
    some = traffic(SIZE + 20) + traffic(30, SIZE + 20, model=NEW)
    _, _, changes = run(blocks(some, 7))
    (observed,) = [one for one in changes if one.kind == "observed"]
    assert (observed.event_index, observed.to_identity) == (SIZE + 24, identity_of(NEW))
    assert observed.from_identity == identity_of(OLD)


def test_an_identity_seen_while_learning_is_never_observed():
    mixed = [replace(row, model=NEW if i % 4 == 0 else OLD) for i, row in enumerate(traffic(400))]
    _, _, changes = run(blocks(mixed))
    assert {one.kind for one in changes} == {"pinned"}


@pytest.mark.parametrize("known", [True, False])
def test_calls_that_failed_are_no_new_identity(known):
    served = OLD.model_copy(update={"served": "gpt-4-0613"})
    asked = OLD if known else OLD.model_copy(update={"served": None, "endpoint": "elsewhere"})
    failed = [
        replace(row, model=asked.model_copy(update={"served": None}), flags=("no_response",), signals={})
        for row in traffic(30, SIZE + 20)
    ]
    some = [replace(row, model=served) for row in traffic(SIZE + 20)] + failed
    state, _, changes = run(blocks(some, 7))
    assert {one.kind for one in changes} == {"pinned"}
    assert set(state.known.models) == {identity_of(served)}


def test_a_new_fingerprint_is_observed_and_resets_nothing():
    other = OLD.model_copy(update={"fingerprint": "fp-2"})
    state, _, changes = run(blocks(traffic(SIZE + 20) + traffic(30, SIZE + 20, model=other)))
    (observed,) = [one for one in changes if one.kind == "observed"]
    assert observed.fingerprint == "fp-2"
    assert observed.to_identity == observed.from_identity == identity_of(OLD)
    assert [key for key in state.watch.running if key.startswith("rate_shift")] == [f"rate_shift/{identity_of(OLD)}"]


def test_events_fire_while_learning():
    leak = Row("leak", 30, 30 * 86.4, OLD, 0, {"refusal": False, "secret_leak": True})
    _, readings, _ = run(blocks([*traffic(30), leak, *traffic(20, 31)]))
    assert firing(readings)[0] == ("events", "secret_leak", "up", 30)


def test_resolve_zeroes_the_evidence():
    state, _, _ = run(blocks(SHIFT))
    assert state.status == "firing"
    after, _, _ = run([decide("resolve", len(SHIFT))], state)
    assert after.status == "quiet"
    _, again, _ = run(blocks(traffic(100, len(SHIFT), rate=0.7)), after)
    assert firing(again)[0][3] > len(SHIFT)


def test_resolving_one_fingerprint_leaves_the_others_firing():
    leak = Row("leak", len(SHIFT), len(SHIFT) * 86.4, OLD, signals={"refusal": True, "secret_leak": True})
    state, _, _ = run(blocks([*SHIFT, leak]))
    assert len(state.watch.firing) == 2
    one = fingerprint_of(ROUTE, "events", "secret_leak", None, None, "up")
    after, _, _ = run([decide("resolve", len(SHIFT) + 1, fingerprint=one)], state)
    assert [key.split("|")[0] for key in after.watch.firing] == ["rate_shift"]
    none, _, _ = run([decide("resolve", len(SHIFT) + 1, fingerprint="0" * 16)], state)
    assert none.watch == state.watch


def test_accept_baseline_takes_what_came_after_the_first_crossing():
    some = SHIFT + traffic(200, len(SHIFT), rate=0.7)
    state, readings, _ = run(blocks(some))
    crossing = firing(readings)[0][3]
    state, _, changes = run([decide("accept_baseline", len(some))], state)
    (pinned,) = changes
    assert pinned.pinning.n == SIZE
    assert pinned.pinning.rates["refusal"] == pytest.approx(0.7, abs=0.12)
    assert state.status == "quiet"
    assert crossing < pinned.event_index
    _, quiet, _ = run(blocks(traffic(300, len(some), rate=0.7)), state)
    assert firing(quiet) == []


def test_accept_baseline_too_early_learns_on_while_the_old_one_watches():
    early = SHIFT[: SIZE + 200]
    state, _, _ = run(blocks(early))
    old = state.pinned.id
    state, _, changes = run([decide("accept_baseline", len(early))], state)
    assert changes == []
    assert state.pinned.id == old
    state, _, changes = run(blocks(traffic(SIZE, len(early), rate=0.7)), state)
    assert [one.kind for one in changes] == ["pinned"]
    assert state.pinned.id != old


def test_a_volatile_field_does_not_reset_the_watch():
    def dated(i):
        return Model(requested="gpt-4", system_prompt_sha256=f"{i // 40:064x}")

    plan = replace(PLAN, policy=replace(POLICY, baseline=BaselinePolicy(size=100, min_size=50, max_days=30)))
    some = [replace(row, model=dated(i)) for i, row in enumerate(traffic(400, step=2160.0))]
    state, readings, changes = run(blocks(some), plan=plan)
    assert state.intake.volatility.fields == ("system_prompt_sha256",)
    assert sum(one.detector == "identity" for one in readings) == 1
    assert [one.kind for one in changes] == ["pinned"]
    assert state.pinned.identity == identity_of(dated(0), ["system_prompt_sha256"])
    assert [key for key in state.watch.running if key.startswith("rate_shift")] == [
        f"rate_shift/{state.pinned.identity}"
    ]


def test_a_second_suspicion_days_later_is_a_change_of_its_own():
    days = [*traffic(SIZE + 100), *traffic(300, SIZE + 100, rate=0.7)]
    days += [*traffic(2000, 600), *traffic(300, 2600, rate=0.7)]
    _, _, changes = run(blocks(days))
    first, back, second = (one for one in changes if one.kind == "suspected")
    assert 600 <= back.event_index < 700, "the earlier rate is back, while the alarm stands"
    assert first.id == change_id(ROUTE, "suspected", first.from_identity, first.to_identity, first.baseline)
    assert (second.to_identity, second.baseline) == (first.to_identity, first.baseline)
    assert second.id != first.id


def test_an_accepted_baseline_is_not_pinned_before_the_decision():
    some = SHIFT + traffic(200, len(SHIFT), rate=0.7)
    accepted = decide("accept_baseline", len(some) + 30)
    _, _, (pinned,) = run([accepted], run(blocks(some))[0])
    assert pinned.ts == accepted.ts


def test_what_is_known_of_a_stream_stays_with_its_evidence_when_identities_become_one():
    watch = DetectorStates(
        running={"rate_shift/a": 1, "rate_shift/b": 2, "user_shift": 3},
        firing=("rate_shift|a|refusal|tags.team=x|y",),
        blind={"rate_shift|a|pii_leak|": "unscored", "rate_shift|b|refusal|": "unscored", "user_shift|||": "few"},
        spoken={"rate_shift|a|refusal|": 5.0},
        restarts={"rate_shift/a": 7, "user_shift": 8},
        suspect="a",
    )
    assert rename_streams(watch, {"a": "c", "b": "c"}, first="a") == DetectorStates(
        running={"rate_shift/c": 1, "user_shift": 3},
        firing=("rate_shift|c|refusal|tags.team=x|y",),
        blind={"rate_shift|c|pii_leak|": "unscored", "user_shift|||": "few"},
        spoken={"rate_shift|c|refusal|": 5.0},
        restarts={"rate_shift/c": 7, "user_shift": 8},
        suspect="c",
    )


def test_a_slice_may_hold_any_character():
    key = StreamFinding(0, "rate_shift", "a", Finding(0, Stream("refusal", "tags.team=x|y"), "blind", True, 0)).key
    assert stream_key_parts(key) == ("rate_shift", "a", "refusal", "tags.team=x|y")
