"""One user's flood, or a campaign of one prompt: nobody is paged for the model, and what people see says what it is."""

from __future__ import annotations

import base64
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors import DETECTORS
from services.detect import refit
from services.detect.core import step
from services.detect.floods import FLOOD
from services.detect.state import DetectionPlan, DetectState
from services.monitor import BaselinePolicy, RoutePolicy
from services.wording import floods as words
from tests.support.blocks import ROUTE, Row, blocks

SIZE, CALM, FLOODED = 300, 100, 500
POLICY = RoutePolicy(baseline=BaselinePolicy(size=SIZE, min_size=100), floors={"refusal": 0.02})
PLAN = DetectionPlan(DETECTORS, POLICY)
PROMPTS = 150
NEAR = 0.22
"""Length of what is added to a unit vector: a cosine of about .95 between two that were made of one."""


def traffic(kind, share=0.7, seed=0, refuses=True):
    """A calm route, then one whose exchanges are, by this share, a flood. The model stays the same in all of it."""
    chance, rows = np.random.default_rng([3, seed]), []
    for i in range(SIZE + CALM + FLOODED):
        of_flood = i >= SIZE + CALM and chance.random() < share
        prompt = int(chance.integers(PROMPTS))
        if of_flood and kind in ("one known prompt", "near-duplicates of a known prompt"):
            prompt = 5
        if of_flood and kind in ("one new prompt", "near-duplicates of a new prompt"):
            prompt = 5_000
        # A model answers one prompt one way: some it refuses, and most it does not.
        refusal = refuses if prompt in (5, 5_000) else prompt % 10 == 0
        row = Row(f"e{i}", i, i * 86.4, signals={"refusal": bool(refusal ^ (chance.random() < 0.05))}, prompt=prompt)
        rows.append((row, of_flood))
    return rows


def scored(kind, rows, cut=64):
    """The rows as blocks: whose they are, and prompts that are nearly the same instead of the same."""
    made, done = [], 0
    for one in blocks([row for row, _ in rows], cut):
        of = rows[done : done + len(one.id)]
        users = tuple("flooder" if flood else f"u{row.offset % 40}" for row, flood in of)
        vectors = np.frombuffer(base64.b64decode(one.prompt_vec), "<f2").reshape(len(of), -1).astype(np.float64)
        if kind.startswith("near"):
            for i, (row, flood) in enumerate(of):
                if flood:
                    noise = np.random.default_rng([9, row.offset]).standard_normal(vectors.shape[1])
                    vectors[i] += NEAR * noise / np.linalg.norm(noise)
            vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        packed = base64.b64encode(vectors.astype("<f2").tobytes()).decode()
        made.append(one.model_copy(update={"user": users, "prompt_vec": packed}))
        done += len(of)
    return made


def run(items):
    state, readings = DetectState.start(ROUTE), []
    for item in items:
        state, out = step(PLAN, state, [item])
        readings += out.readings
    return state, readings


def paging(readings):
    return [one for one in readings if one.status == "firing" and one.detector != "user_shift"]


KINDS = (
    "ordinary prompts",
    "one known prompt",
    "one new prompt",
    "near-duplicates of a known prompt",
    "near-duplicates of a new prompt",
)


@pytest.mark.parametrize("refuses", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_a_flood_neither_pages_nor_blinds_without_saying_so(kind, refuses):
    state, readings = run(scored(kind, traffic(kind, refuses=refuses)))
    assert [(one.detector, one.signal, one.event_index) for one in paging(readings)] == []
    (first, *_) = [one for one in readings if one.detector == FLOOD]
    assert SIZE + CALM < first.event_index <= SIZE + CALM + 200
    assert "one user sent" in first.reason
    if kind == "ordinary prompts":
        assert first.status == "quiet"
        assert state.status in ("quiet", "firing")
    else:
        blind = [one for one in readings if one.detector == FLOOD and one.status == "blind"]
        assert "one question, word for word or nearly" in blind[0].reason
        assert "repeat too much" in blind[0].reason
        assert state.flood.blind
        assert state.status in ("blind", "firing")


@pytest.mark.parametrize("kind", KINDS)
def test_what_fires_or_is_blind_meanwhile_names_the_flood(kind):
    _, readings = run(scored(kind, traffic(kind, share=0.8)))
    told = [
        one
        for one in readings
        if one.event_index > SIZE + CALM + 25
        and one.detector in ("user_shift", "model_shift", "rate_shift", "score_shift")
        and one.status in ("firing", "blind")
    ]
    assert told or kind == "ordinary prompts"
    for one in told:
        assert "one user sent" in (one.reason or ""), (one.detector, one.event_index)


def test_while_it_lasts_the_others_exchanges_are_judged():
    rows = traffic("one new prompt", share=0.6)
    late = SIZE + CALM + 250
    moved = [
        (replace(row, shift=1.2, signals={"refusal": True}) if row.offset >= late and not flood else row, flood)
        for row, flood in rows
    ]
    _, readings = run(scored("one new prompt", moved))
    found = [one for one in readings if one.status == "firing" and one.detector in ("model_shift", "rate_shift")]
    assert found
    assert late <= found[0].event_index < late + 120


def test_an_ordinary_route_tells_of_no_flood():
    _, readings = run(scored("ordinary prompts", traffic("ordinary prompts", share=0.0)))
    assert [one for one in readings if one.detector == FLOOD] == []


def calm_after(rows):
    end = len(rows)
    return [
        (replace(row, id=f"c{row.offset}", offset=row.offset + end, seconds=(row.offset + end) * 86.4), False)
        for row, _ in traffic("ordinary prompts", share=0.0, seed=4)
    ]


def test_what_was_said_of_one_is_taken_back_when_it_is_counted_anew_in_its_midst():
    rows = traffic("one new prompt")
    state, _ = run(scored("one new prompt", rows))
    assert state.flood.blind
    erased = refit.without_flood(state)
    assert (len(erased.flood.sketches), erased.flood.told) == (0, state.flood.told)
    told = []
    for item in scored("one new prompt", calm_after(rows)):
        erased, out = step(PLAN, erased, [item])
        told += [one for one in out.readings if one.detector == FLOOD]
    assert (told[-1].status, told[-1].reason) == ("quiet", words.OVER)
    assert not erased.flood.blind


def test_under_another_embedder_too():
    rows = traffic("one new prompt")
    state, _ = run(scored("one new prompt", rows))
    told, later = [], calm_after(rows)
    more = [(replace(row, id=f"m{row.offset}", offset=row.offset + 3_000), False) for row, _ in later]
    for item in scored("one new prompt", [*later, *more]):
        scorer = item.scorer.model_copy(update={"engine": "another"})
        state, out = step(PLAN, state, [item.model_copy(update={"scorer": scorer})])
        told += [one for one in out.readings if one.detector == FLOOD]
    assert (told[-1].status, told[-1].reason) == ("quiet", words.OVER)
    assert not state.flood.blind


def test_when_it_is_over_that_is_said():
    rows = traffic("one new prompt")
    calm = calm_after(rows)
    state, readings = run(scored("one new prompt", [*rows, *calm]))
    told = [one for one in readings if one.detector == FLOOD]
    assert (told[-1].status, told[-1].reason) == ("quiet", words.OVER)
    assert not state.flood.blind


@settings(max_examples=4, deadline=None)
@given(cuts=st.lists(st.integers(1, 128), min_size=1, max_size=5))
def test_cutting_blocks_otherwise_tells_the_same(cuts):
    rows = traffic("near-duplicates of a new prompt")
    told = [
        [(one.id, one.event_index, one.reason) for one in run(scored("near-duplicates of a new prompt", rows, cut))[1]]
        for cut in (64, cuts)
    ]
    assert told[0] == told[1]
