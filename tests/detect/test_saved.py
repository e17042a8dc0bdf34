"""A state that was stored and loaded goes on as if nothing had happened."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors import DETECTORS
from schemas.decision import Decision
from schemas.identity import Model
from services.detect import serialization
from services.detect.core import step
from services.detect.state import DetectionPlan, DetectState
from services.monitor import BaselinePolicy, RoutePolicy
from services.store.codec import CodecError
from tests.support.blocks import ROUTE, START, Row, blocks

SIZE = 150
POLICY = RoutePolicy(baseline=BaselinePolicy(size=SIZE, min_size=100), floors={"refusal": 0.02, "secret_leak": 0.0})
PLAN = DetectionPlan(DETECTORS, POLICY)
OLD, NEW = Model(requested="gpt-4", served="old"), Model(requested="gpt-4", served="new")


def traffic(n, first, rate, model=OLD, shift=0.0):
    chance = np.random.default_rng([5, first])
    return [
        Row(
            f"e{i}",
            i,
            i * 86.4,
            model,
            signals={"refusal": bool(chance.random() < rate), "secret_leak": i % 211 == 0},
            prompt=i % 97,
            shift=shift,
        )
        for i in range(first, first + n)
    ]


def decide(kind, index):
    at = START + timedelta(seconds=index * 86.4)
    return Decision(kind=kind, route=ROUTE, actor="ana", reason="seen", ts=at)


STORY = [
    *blocks(traffic(SIZE + 40, 0, 0.1), 23),
    *blocks(traffic(120, SIZE + 40, 0.7, shift=0.5), 17),
    decide("resolve", SIZE + 160),
    *blocks(traffic(60, SIZE + 160, 0.7, NEW, shift=0.5), 30),
    decide("accept_baseline", SIZE + 220),
    *blocks(traffic(200, SIZE + 220, 0.7, NEW, shift=0.5), 41),
]


class Memory:
    """A store as saved.py sees one: it keeps what is written, and gives it back."""

    def __init__(self):
        self.running, self.rows, self.artefacts, self.puts = b"", {}, {}, 0
        self.state = None

    def save(self, state):
        self.running = serialization.pack_running_state(state)
        new = serialization.candidate_writes(self.state, state)
        if new.afresh:
            self.rows = {}
        self.rows.update(new.rows)
        self.puts += len(new.rows)
        self.artefacts.update(serialization.artefact_writes(self.state, state))
        for id in serialization.artefact_drops(self.state, state):
            del self.artefacts[id]
        self.state = state

    def load(self):
        self.state = serialization.restore_state(DETECTORS, self.running, self.rows, self.artefacts.get)
        return self.state


def run(cuts=()):
    """What detect says of the story when the state is stored and loaded after these items."""
    state, said, memory = DetectState.start(ROUTE), [], Memory()
    for place, item in enumerate(STORY):
        state, output = step(PLAN, state, [item])
        said += [record.encode() for record in (*output.readings, *output.changes)]
        if place in cuts:
            memory.save(state)
            state = memory.load()
    return said, memory


@pytest.fixture(scope="module")
def whole():
    said, _ = run()
    return said


@settings(max_examples=6)
@given(cuts=st.sets(st.integers(0, len(STORY) - 1), min_size=1))
def test_stored_and_loaded_anywhere_it_says_the_same_to_the_last_bit(whole, cuts):
    assert run(cuts)[0] == whole


def test_the_story_has_a_crossing_two_baselines_and_candidates_of_both(whole):
    said = b"\n".join(whole)
    assert said.count(b'"pinned"') == 2
    assert b'"firing"' in said


def test_stored_after_every_item_it_says_the_same_and_writes_rows_once(whole):
    said, memory = run(range(len(STORY)))
    assert said == whole
    rows = sum(len(item.id) for item in STORY if not isinstance(item, Decision))
    assert memory.puts <= len(STORY) + 2 * rows // 17  # each piece once, and again where pieces were dropped


def test_the_running_state_is_small_and_holds_no_rows(whole):
    _, memory = run([6])
    assert memory.rows
    assert len(memory.running) < 64 * 1024


def test_a_missing_part_is_an_error_never_a_smaller_baseline():
    _, memory = run([3])
    lost = dict(list(memory.rows.items())[1:])
    with pytest.raises(CodecError, match="rows were counted"):
        serialization.restore_state(DETECTORS, memory.running, lost, memory.artefacts.get)
    _, memory = run([10])
    with pytest.raises(CodecError, match="its artefact is not stored"):
        serialization.restore_state(DETECTORS, memory.running, memory.rows, {}.get)


def test_a_decision_that_is_delivered_again_changes_nothing():
    state = DetectState.start(ROUTE)
    for item in STORY[:20]:
        state, _ = step(PLAN, state, [item])
    accept = decide("accept_baseline", SIZE + 160)
    once, _ = step(PLAN, state, [accept])
    more, _ = step(PLAN, once, STORY[16:18])
    again, said = step(PLAN, more, [accept])
    assert again is more
    assert (said.readings, said.changes) == ((), ())
