"""Beside an exchange that shows a shift stands the nearest one of the baseline, wherever the batches are cut."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from detectors import DETECTORS
from detectors.protocol import Finding, Rows, Stream
from schemas.reading import Reading
from services.detect.core import step
from services.detect.counterparts import (
    BaselineExamples,
    NearestNoted,
    choose_examples,
    forget_old,
    note_nearest,
    with_counterparts,
)
from services.detect.refit import without_examples
from services.detect.serialization import pack_artefacts, pack_running_state, restore_state
from services.detect.state import DetectionPlan, DetectOutput, DetectState
from services.monitor import BaselinePolicy, RoutePolicy
from tests.support.blocks import ROUTE, Row, blocks

SIZE = 200
POLICY = RoutePolicy(baseline=BaselinePolicy(size=SIZE, min_size=100), floors={"refusal": 0.02})
PLAN = DetectionPlan(DETECTORS, POLICY)


def made(n: int, refused: Sequence[int] = (), first: int = 0) -> Rows:
    """Exchange i asks question i, whose vector points along axis i."""
    prompts = np.zeros((n, 384), np.float16)
    prompts[np.arange(n), (first + np.arange(n)) % 384] = 1.0
    told = np.array([float(i in refused) for i in range(n)])
    return Rows(
        index=np.arange(first, first + n),
        ts=np.arange(n, dtype=float),
        prompt=prompts,
        response=prompts,
        style=np.zeros((n, 30), np.float16),
        embedded=np.ones(n, bool),
        answered=np.ones(n, bool),
        signals={"refusal": told},
        slices={},
        ids=tuple(f"e{first + i}" for i in range(n)),
    )


def fired(*exemplars: str, signal: str | None = None, direction: str | None = None) -> Finding:
    return Finding(0, Stream(signal), "firing", True, 9, direction=direction, exemplars=exemplars)  # type: ignore[arg-type]


def test_the_nearest_question_of_the_baseline_is_named() -> None:
    examples = BaselineExamples(("b0", "b1", "b2"), made(3).prompt, {})
    noted = note_nearest(NearestNoted(), examples, made(3, first=384 * 3))
    found = with_counterparts(fired("e1153", "e1152", "elsewhere"), noted, examples, 1154)
    assert found.counterparts == ("b1", "b0", None)
    assert with_counterparts(fired("e1153"), noted, None, 1154).counterparts == ()


@pytest.mark.parametrize(("direction", "other"), [("down", "refused"), ("up", "answered"), (None, "answered")])
def test_of_a_rate_the_nearest_one_on_the_other_side_is_named(direction: str | None, other: str) -> None:
    prompts = np.zeros((3, 384), np.float16)
    prompts[0, 0], prompts[1, :2], prompts[2, 5] = 1.0, (0.8, 0.6), 1.0
    values = {"refusal": np.array([0.0, 1.0, 1.0])}
    examples = BaselineExamples(("answered", "refused", "far"), prompts, values)
    noted = note_nearest(NearestNoted(), examples, made(1))
    found = with_counterparts(fired("e0", signal="refusal", direction=direction), noted, examples, 0)
    assert found.counterparts == (other,)


def test_a_fifth_of_a_baseline_of_1000_and_some_refusals_keep_their_text() -> None:
    rows = made(1000, refused=range(0, 1000, 4))
    chosen = choose_examples(rows, {"refusal"}, 1000)
    again = choose_examples(rows.take(np.arange(999, -1, -1)), {"refusal"}, 1000)
    assert set(again.ids) == set(chosen.ids)
    assert 250 <= len(chosen.ids) <= 300
    assert int(chosen.signals["refusal"].sum()) > 100
    assert len(choose_examples(made(150), {"refusal"}, 150).ids) == 150


def test_what_is_noted_is_bounded_and_does_not_depend_on_cuts() -> None:
    examples = choose_examples(made(300), {"refusal"}, 300)
    rows = made(1000, refused=range(0, 1000, 7), first=300)
    whole = forget_old(note_nearest(NearestNoted(), examples, rows))
    pieces = NearestNoted()
    for start in range(0, 1000, 13):
        pieces = forget_old(note_nearest(pieces, examples, rows.take(np.arange(start, min(start + 13, 1000)))))
    assert whole.ids == pieces.ids
    np.testing.assert_array_equal(whole.nearest, pieces.nearest)
    assert 96 < len(whole.ids) <= 128


def traffic(n: int = 420) -> list[Row]:
    chance = np.random.default_rng(3)
    return [
        Row(
            f"x{i}",
            i,
            i * 60.0,
            signals={"refusal": bool(chance.random() < (0.4 if i < 220 else 0.02))},
            prompt=i % 97,
            shift=0.0 if i < 220 else 0.6,
        )
        for i in range(n)
    ]


def told(cut: int, restored: bool = False) -> tuple[DetectState, list[Reading]]:
    state, output = DetectState.start(ROUTE), DetectOutput()
    for one in blocks(traffic(), cut):
        if restored and state.pinned is not None:
            state = saved(state)
        state, more = step(PLAN, state, [one])
        output += more
    return state, list(output.readings)


def saved(state: DetectState) -> DetectState:
    assert state.pinned is not None
    artefact = pack_artefacts(state.pinned)
    return restore_state(
        DETECTORS, pack_running_state(replace(state, candidates={}, second={})), {}, lambda _: artefact
    )


def test_firing_readings_name_counterparts_however_the_batches_are_cut_and_after_a_restart() -> None:
    state, readings = told(64)
    fired = [one for one in readings if one.status == "firing" and one.exemplars]
    assert {one.detector for one in fired} >= {"model_shift", "rate_shift"}
    assert state.pinned is not None
    assert state.pinned.examples is not None
    for one in fired:
        assert len(one.counterparts) == len(one.exemplars)
        assert set(one.counterparts) <= {*state.pinned.examples.ids, None}
    [fell] = [one for one in fired if one.detector == "rate_shift" and one.direction == "down"][:1]
    refused = dict(zip(state.pinned.examples.ids, state.pinned.examples.signals["refusal"], strict=True))
    assert [refused[id] for id in fell.counterparts if id] == [1.0] * sum(id is not None for id in fell.counterparts)
    assert any(fell.counterparts)
    assert told(7)[1] == readings
    assert told(64, restored=True)[1] == readings


def test_what_was_erased_is_no_counterpart() -> None:
    state, _ = told(64)
    assert state.pinned is not None
    assert state.pinned.examples is not None
    gone = state.pinned.examples.ids[3]
    after = without_examples(state, {gone})
    assert after.pinned is not None
    assert after.pinned.examples is not None
    assert gone not in after.pinned.examples.ids
    assert len(after.pinned.examples.prompt) == len(state.pinned.examples.prompt) - 1
    assert without_examples(state, {"nobody"}) is state
