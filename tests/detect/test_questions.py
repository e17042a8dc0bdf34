"""Of an alarm that would speak of the model it is said what was asked since: the same, like ones, or others."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from detectors.model_shift import ModelShift
from detectors.protocol import Rows
from detectors.rate_shift import RateShift
from detectors.stats.near_repeats import UsualPrompts, sketches_of
from detectors.user_shift import UserShift
from services.detect.core import step
from services.detect.floods import FloodState, follow_floods
from services.detect.state import DetectionPlan, DetectState
from services.monitor import BaselinePolicy, RoutePolicy
from tests.support.blocks import ROUTE, Row, blocks

SIZE, CALM, AFTER = 300, 60, 260
PLAN = DetectionPlan(
    (ModelShift(), RateShift(), UserShift()),
    RoutePolicy(baseline=BaselinePolicy(size=SIZE, min_size=100), floors={"refusal": 0.02, "harmful_request": 0.02}),
)


def update(returns: bool) -> list[Row]:
    """A route whose model comes to refuse much more; its questions return word for word, or each is new."""
    chance = np.random.default_rng(4)
    return [
        Row(
            f"e{i}",
            i,
            i * 86.4,
            signals={"refusal": bool(chance.random() < (0.1 if i < SIZE + CALM else 0.7)), "harmful_request": False},
            prompt=i % 97 if returns else 1_000 + i,
        )
        for i in range(SIZE + CALM + AFTER)
    ]


def said(rows: list[Row], cut: int):
    state, readings = DetectState.start(ROUTE), []
    for item in blocks(rows, cut):
        state, out = step(PLAN, state, [item])
        readings += out.readings
    return [
        (one.detector, one.signal, one.event_index - SIZE - CALM, one.questions)
        for one in readings
        if one.status == "firing"
    ]


@pytest.mark.parametrize("returns", [True, False])
def test_questions_that_return_speak_of_the_model_at_once_and_new_ones_once_there_are_enough(returns):
    found = said(update(returns), 64)
    assert found[0][2] < 60
    told = [questions for detector, _, _, questions in found if detector == "rate_shift"]
    assert told == ["same"] * len(told) if returns else told[0] == "few" and told[-1] == "alike"
    assert found == said(update(returns), 23), "however the exchanges are cut into batches"


def test_what_blames_nobody_or_the_users_says_nothing_of_the_questions():
    others = [
        Row(f"e{i}", i, i * 86.4, signals={"harmful_request": i > SIZE + CALM, "refusal": False}, prompt=i % 97)
        for i in range(SIZE + CALM + AFTER)
    ]
    assert {(signal, questions) for _, signal, _, questions in said(others, 64)} == {("harmful_request", None)}


def rows_of(count: int, embedded=None) -> Rows:
    chance = np.random.default_rng(7)
    has = np.ones(count, dtype=np.bool_) if embedded is None else embedded
    prompt = chance.normal(size=(count, 384))
    prompt = np.where(has[:, None], prompt / np.linalg.norm(prompt, axis=1, keepdims=True), 0.0).astype(np.float16)
    none = np.zeros((count, 0), dtype=np.float16)
    index = np.arange(count)
    ids = tuple(f"e{i}" for i in index)
    return Rows(index, index.astype(float), prompt, none, none, has, np.ones(count, dtype=np.bool_), {}, {}, ids)


def followed(rows: Rows, cut: int):
    """What the blocks of so many rows said of floods, and the place of the last row in the last of them."""
    usual, state = UsualPrompts.of(rows_of(300).prompt, np.zeros(300, dtype=np.int64)), FloodState()
    for start in range(0, len(rows), cut):
        block = rows.take(np.arange(start, min(start + cut, len(rows))))
        flood = follow_floods(state, usual, block, 0, len(block))
        state = flood.state
    return flood, len(block) - 1


@pytest.mark.parametrize("cut", [7, 64, 400])
def test_only_questions_since_the_change_are_looked_at_though_few_carry_vectors(cut):
    rows = rows_of(400, np.arange(400) % 10 == 0)
    flood, last = followed(rows, cut)
    assert flood.judged_since(last, 200).tolist() == sketches_of(rows.prompt[200::10]).tolist()
    assert len(flood.judged_since(last, 0)) == 40


@pytest.mark.parametrize("cut", [7, 64, 400])
def test_a_flood_that_the_detectors_are_not_shown_is_not_looked_at_either(cut):
    rows = rows_of(400)
    rows.prompt[300:400:2] = rows.prompt[300]  # one client asks one thing in every second exchange
    flood, last = followed(rows, cut)
    held = flood.judged_since(last, 300)
    assert 50 < len(held) < 60
    assert len(flood.judged_since(last, 0)) < 160, "of the last 200"


def test_what_was_held_before_indexes_were_kept_is_not_taken_for_questions_since_the_change():
    rows = rows_of(120)
    usual = UsualPrompts.of(rows.prompt, np.zeros(120, dtype=np.int64))
    state = replace(follow_floods(FloodState(), usual, rows, 0, 100).state, index=np.zeros(0, dtype=np.int64))
    flood = follow_floods(state, usual, rows, 100, 120)
    assert flood.judged_since(119, 0).tolist() == sketches_of(rows.prompt[100:]).tolist()
    assert len(follow_floods(flood.state, usual, rows, 0, 30).judged_since(29, 0)) == 50
