"""While an alarm stands, the next change of the model is seen all the same, and the baseline has no part in it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors import DETECTORS
from detectors.model_shift import ModelShift
from detectors.rate_shift import RateShift
from schemas.decision import Decision
from schemas.identity import Model, identity_of
from services.detect import core, refit, serialization
from services.detect.core import step
from services.detect.state import DetectionPlan, DetectState
from services.monitor import BaselinePolicy, RoutePolicy
from services.store.codec import pack
from tests.support.blocks import ROUTE, START, Row, blocks

SIZE, LEAST = 150, 100
POLICY = RoutePolicy(baseline=BaselinePolicy(size=SIZE, min_size=LEAST), floors={"refusal": 0.02})
PLAN = DetectionPlan((ModelShift(), RateShift()), POLICY)
OLD, NEW = Model(requested="gpt-4", served="old"), Model(requested="gpt-4", served="new")
A, B, C = (0.1, 0.0), (0.7, 0.5), (0.2, 1.2)
"""Share of refusals, and how far style and vectors lie off."""


def traffic(n, first, behaves, model=OLD):
    rate, shift = behaves
    chance = np.random.default_rng([5, first])
    return [
        Row(
            f"e{i}",
            i,
            i * 86.4,
            model,
            signals={"refusal": bool(chance.random() < rate)},
            prompt=i % 97,
            shift=shift,
        )
        for i in range(first, first + n)
    ]


def story(*parts, model=OLD):
    """Exchanges that behave one way after the other: (how many, how)."""
    made = []
    for n, behaves in parts:
        made += traffic(n, len(made), behaves, model)
    return made


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


def again(readings):
    return [one for one in readings if one.again is not None]


FIRST, SECOND = SIZE + 50, SIZE + 350
TWICE = story((FIRST, A), (300, B), (150, C))


@pytest.fixture(scope="module")
def twice():
    return run(blocks(TWICE))


def test_a_second_change_is_seen_while_the_first_alarm_stands(twice):
    state, readings, changes = twice
    (found,) = again(readings)
    assert SECOND <= found.event_index < SECOND + 60
    assert found.again.after < SECOND
    assert found.again.n == LEAST
    point = found.again.change_point
    assert point is None or abs(point.event_index - SECOND) <= 30
    suspected = [one for one in changes if one.kind == "suspected"]
    assert [one.event_index for one in suspected] == [min(one.event_index for one in suspected), found.event_index]
    assert len({one.id for one in suspected}) == 2
    assert "moved again" in suspected[1].reason
    assert state.second[identity_of(OLD)].after == found.event_index, "the third change will be seen as well"


def test_what_is_held_against_the_baseline_is_the_same_with_and_without_a_second_look(twice, monkeypatch):
    monkeypatch.setattr(core, "look_again", lambda plan, before, *_: ({}, ()))
    state, readings, _ = run(blocks(TWICE))
    assert readings == [one for one in twice[1] if one.again is None]
    assert pack(state) == pack(replace(twice[0], second={}, known=state.known))


def test_a_word_on_a_further_change_names_its_own_reference_and_no_effect_against_the_baseline(twice):
    state, readings, _ = twice
    (found,) = again(readings)
    assert found.effect is found.change_point is None
    assert found.evidence.baseline == found.again.reference != state.pinned.id


@pytest.mark.parametrize("seed", range(3))
def test_a_shift_that_stays_is_told_of_once(seed):
    parts = story((FIRST, A), (900, B))
    order = np.random.default_rng(seed).permutation(97)
    same = [replace(row, prompt=int(order[row.prompt])) for row in parts]
    state, readings, changes = run(blocks(same))
    assert again(readings) == []
    assert sum(one.kind == "suspected" for one in changes) == 1
    assert state.second[identity_of(OLD)].id is not None


def test_a_third_change_is_seen_too():
    some = story((FIRST, A), (300, B), (300, C), (200, B))
    _, readings, _ = run(blocks(some))
    first, second = again(readings)
    assert SECOND <= first.event_index < SECOND + 60
    assert SECOND + 300 <= second.event_index < SECOND + 360
    assert second.again.after == first.event_index


@pytest.mark.parametrize("detectors", [(RateShift(),), (ModelShift(),)], ids=["rates", "answers"])
def test_each_of_the_detectors_looks_again(detectors):
    some = story((FIRST, A), (300, B), (250, C))
    (found,) = again(run(blocks(some), plan=DetectionPlan(detectors, POLICY))[1])
    assert found.detector == detectors[0].spec.name
    assert SECOND <= found.event_index < SECOND + 150


def test_a_model_that_came_under_a_new_name_is_watched_for_the_next_change_too():
    some = [*traffic(FIRST, 0, A), *traffic(300, FIRST, B, NEW), *traffic(150, SECOND, C, NEW)]
    _, readings, changes = run(blocks(some))
    (found,) = again(readings)
    assert found.identity == identity_of(NEW)
    (suspected,) = [one for one in changes if one.kind == "suspected"]
    assert (suspected.to_identity, suspected.event_index) == (identity_of(NEW), found.event_index)


def test_with_the_earlier_model_back_the_second_look_ends():
    some = story((FIRST, A), (200, B), (900, A))
    state, _, _ = run(blocks(some))
    assert (state.status, state.second) == ("quiet", {})


@pytest.mark.parametrize("kind", ["resolve", "false_alarm", "accept_baseline"])
def test_a_decision_that_ends_the_alarm_ends_the_second_look(kind):
    state, _, _ = run(blocks(TWICE[:SECOND]))
    assert state.second[identity_of(OLD)].id is not None
    assert run([decide(kind, SECOND)], state)[0].second == {}


def test_rolled_back_it_begins_anew():
    state, _, _ = run(blocks(TWICE[:SECOND]))
    after, _, _ = run([decide("roll_back", SECOND)], state)
    (reference,) = after.second.values()
    assert (reference.id, reference.after, reference.candidates.n) == (None, SECOND - 1, 0)


def test_with_another_version_of_a_signal_it_begins_anew():
    other = [replace(row, versions={"refusal": "2"}) for row in TWICE[SECOND:]]
    first = [replace(row, versions={"refusal": "1"}) for row in TWICE[:SECOND]]
    state, _, _ = run(blocks([*first, *other]))
    (reference,) = state.second.values()
    assert reference.after == SECOND + 48
    assert reference.event_index == len(TWICE) - 2, "of exchanges that the other version measured alone"


def test_of_erased_exchanges_nothing_is_left():
    state, _, _ = run(blocks(TWICE[: FIRST + 80]))
    (gathered,) = state.second.values()
    names = {chunk.ids[0] for chunk in gathered.candidates.chunks}
    after, n = refit.without_candidates(state, names)
    (left,) = after.second.values()
    assert n >= len(names)
    assert not names.intersection(id for chunk in left.candidates.chunks for id in chunk.ids)
    assert left.candidates.n == gathered.candidates.n - len(names)
    whole, _, _ = run(blocks(TWICE[:SECOND]))
    (reference,) = whole.second.values()
    after, gone = refit.without_second(whole, lambda since, until: since < SECOND - 100 < until)
    assert gone == ((reference.id,) if reference.event_index > SECOND - 100 else ())
    assert refit.without_second(whole, lambda *_: True)[1] == (reference.id,)


def test_its_budget_is_the_one_share_of_the_stream_that_fires():
    state, _, _ = run(blocks(TWICE[:SECOND]))
    (reference,) = state.second.values()
    assert reference.streams == 2
    assert reference.arl == pytest.approx(2 * state.pinned.arl)


@settings(max_examples=6, deadline=None)
@given(cuts=st.lists(st.integers(1, 128), min_size=1, max_size=6))
def test_cutting_blocks_otherwise_gives_the_same(twice, cuts):
    _, readings, changes = run(blocks(TWICE, cuts))
    assert [(one.id, one.event_index) for one in readings] == [(one.id, one.event_index) for one in twice[1]]
    assert [one.id for one in changes] == [one.id for one in twice[2]]
    (one,), (other,) = again(readings), again(twice[1])
    assert one.evidence.log_e == pytest.approx(other.evidence.log_e, abs=1e-9)


LATE = story((FIRST, A), (1300, (0.1, 0.5)), (60, (0.6, 1.2)))
"""More than a day after the first alarm both looks see the next change, one soon after the other."""


def suspected_of(cut):
    _, _, changes = run(blocks(LATE, cut))
    return [(one.event_index, one.id) for one in changes if one.kind == "suspected"]


def test_which_changes_are_suspected_does_not_depend_on_where_blocks_are_cut():
    one_by_one = suspected_of(1)
    assert len(one_by_one) == 2
    for cut in (7, 64, 128):
        assert suspected_of(cut) == one_by_one


@settings(max_examples=4, deadline=None)
@given(places=st.sets(st.integers(3, len(TWICE) // 50), min_size=1, max_size=4))
def test_stored_and_loaded_it_goes_on_to_the_last_bit(places):
    said, stored = [], []
    for every in (set(), places):
        state, told, artefacts, rows, before = DetectState.start(ROUTE), [], {}, {}, None
        for i, item in enumerate(blocks(TWICE, 50)):
            state, out = step(PLAN, state, [item])
            told += [one.encode() for one in (*out.readings, *out.changes)]
            if i in every:
                new = serialization.candidate_writes(before, state)
                rows = {**({} if new.afresh else rows), **new.rows}
                artefacts.update(serialization.artefact_writes(before, state))
                for id in serialization.artefact_drops(before, state):
                    del artefacts[id]
                running = serialization.pack_running_state(state)
                before = state = serialization.restore_state(PLAN.detectors, running, rows, artefacts.get)
                stored.append(len(running))
        said.append(told)
    assert said[0] == said[1]


def test_one_whose_artefacts_were_deleted_meanwhile_is_gathered_anew():
    half, _, _ = run(blocks(TWICE[:SECOND]))
    (reference,) = half.second.values()
    artefacts = serialization.artefact_writes(None, half)
    del artefacts[reference.id]
    stored = serialization.pack_running_state(half)
    rows = serialization.candidate_writes(None, half).rows
    state = serialization.restore_state(PLAN.detectors, stored, rows, artefacts.get)
    (left,) = state.second.values()
    assert (left.id, left.after, left.candidates.n) == (None, reference.after, 0)
    later = [replace(row, id=f"l{row.offset}") for row in story((SECOND, A), (200, B), (150, C))[SECOND:]]
    state, readings, _ = run(blocks(later), state)
    (found,) = again(readings)
    assert SECOND + 200 <= found.event_index < SECOND + 260


def test_it_keeps_running_what_the_same_detectors_keep_of_the_baseline():
    state, _, _ = run(blocks(TWICE[:SECOND]), plan=DetectionPlan(DETECTORS, POLICY))
    (reference,) = state.second.values()
    own = {name.partition("/")[0]: len(pack(one)) for name, one in state.watch.running.items()}
    assert set(reference.running) == {"model_shift", "rate_shift"}
    for name, one in reference.running.items():
        assert len(pack(one)) <= own[name] + 1024, name
    bare = serialization.pack_running_state(replace(state, second={}))
    assert len(serialization.pack_running_state(state)) - len(bare) < own["model_shift"] + own["rate_shift"] + 2048


def test_no_more_than_a_few_identities_have_one():
    some = traffic(SIZE + 20, 0, A)
    models = [Model(requested="gpt-4", served=f"m{i}") for i in range(7)]
    late = [replace(row, model=models[i % 7]) for i, row in enumerate(traffic(700, SIZE + 20, B))]
    state, _, _ = run(blocks([*some, *late]))
    assert len(state.watch.firing) > 4
    assert len(state.second) == 4


@pytest.mark.parametrize("cut", [1, 7, 64])
def test_an_alarm_that_stood_before_there_was_a_second_look_gets_one(cut):
    """As after an upgrade: the state that was stored knows of the alarm alone."""
    state, _, _ = run(blocks(TWICE[: FIRST + 100]))
    assert state.watch.firing
    _, readings, _ = run(blocks(TWICE[FIRST + 100 :], cut), replace(state, second={}))
    (found,) = again(readings)
    assert (found.again.after, found.again.n) == (FIRST + 100, LEAST)
    assert SECOND <= found.event_index < SECOND + 60


def test_while_a_new_baseline_is_accepted_none_begins():
    state, _, _ = run([*blocks(TWICE[: FIRST + 60]), decide("accept_baseline", FIRST + 60)])
    assert state.accepting is not None
    state, _, _ = run(blocks(TWICE[FIRST + 60 : FIRST + 80]), state)
    assert state.second == {}


def test_those_that_answer_no_more_give_way_to_one_that_waits():
    some = traffic(SIZE + 20, 0, A)
    models = [Model(requested="gpt-4", served=f"m{i}") for i in range(5)]
    end = SIZE + 20
    retired = [replace(row, model=models[i % 4]) for i, row in enumerate(traffic(400, end, B))]
    late = [replace(row, model=models[4]) for row in traffic(1_300, end + 400, B)]
    state, _, _ = run(blocks([*some, *retired]))
    assert set(state.second) == {identity_of(one) for one in models[:4]}
    waits, _, _ = run(blocks(late[:800]), state)
    assert set(waits.second) == set(state.second)
    told = [run(blocks(late, cut), state)[0].second for cut in (7, 64)]
    assert [set(one) for one in told] == [{identity_of(one) for one in models[1:]}] * 2
    assert len({one[identity_of(models[4])].after for one in told}) == 1
