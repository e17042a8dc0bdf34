"""Of an alarm that would speak of the model it is said what was asked since: the same, like ones, or others."""

from __future__ import annotations

import numpy as np
import pytest

from detectors.model_shift import ModelShift
from detectors.rate_shift import RateShift
from detectors.user_shift import UserShift
from services.detect.core import step
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
