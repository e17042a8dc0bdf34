"""Rates per tool and per guardrail: from score blocks to streams, rollups and stored rows, however blocks are cut."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.protocol import Baseline, Stream
from detectors.rate_shift import RateShift
from services.detect.core import step
from services.detect.refit import rows_of
from services.detect.state import DetectionPlan, DetectState, joined_rows
from services.intake.core import IntakeState
from services.intake.core import step as take_in
from services.intake.slice_values import MOST_VALUES, OTHER
from services.monitor import BaselinePolicy, RoutePolicy
from services.record.core import additions, rollup_rows
from services.store.codec import pack, unpack
from tests.support.blocks import ROUTE, Row, block, blocks

SIZE = 400
SIGNAL, OTHER_SIGNAL, RAIL = "undeclared_tool", "tool_loop", "guardrail_blocked"
POLICY = RoutePolicy(
    baseline=BaselinePolicy(size=SIZE, min_size=100),
    floors={SIGNAL: 0.02, RAIL: 0.02},
    slices=("tool", "guardrail"),
)
PLAN = DetectionPlan((RateShift(),), POLICY)
SHELL = Stream(SIGNAL, "tool=shell")


def traffic(n: int, first: int = 0, shell: float = 0.05) -> list[Row]:
    """Two of three exchanges call tools: `search` always, `shell` half the time and undeclared at a rate of its own."""
    chance, some = np.random.default_rng([11, first]), []
    for i in range(first, first + n):
        parts: dict[str, dict[str, bool]] = {RAIL: {"pii": bool(chance.random() < 0.1), "topic": False}}
        if i % 3:
            made = {"search": False, **({"shell": bool(chance.random() < shell)} if i % 2 else {})}
            parts[SIGNAL] = made
            parts[OTHER_SIGNAL] = dict.fromkeys(made, False)
        signals = {name: any(one.values()) for name, one in parts.items()}
        for name in (SIGNAL, OTHER_SIGNAL):
            signals.setdefault(name, None)  # type: ignore[arg-type]
        some.append(Row(f"e{i}", i, i * 86.4, signals=signals, parts=parts, prompt=i % 97))
    return some


SHIFT = traffic(SIZE + 100) + traffic(500, SIZE + 100, shell=0.8)


def run(items, plan=PLAN):
    state, readings = DetectState.start(ROUTE), []
    for item in items:
        state, out = step(plan, state, [item])
        readings += out.readings
    return state, readings


def intakes(items, slices=("tool", "guardrail")):
    state, outs = IntakeState.start(ROUTE), []
    for item in items:
        state, out = take_in(state, item, slices)
        outs.append(out)
    return state, outs


def columns(outs):
    """Column -> values over all rows, NaN where a block has no such column."""
    return dict(joined_rows(tuple(out.rows for out in outs), 10**9).signals)


@pytest.fixture(scope="module")
def whole():
    return run(blocks(SHIFT))


def test_a_tool_that_is_called_otherwise_fires_as_its_own_slice(whole):
    _, readings = whole
    fired = [one for one in readings if one.status == "firing" and one.slice is not None]
    assert {(one.signal, one.slice, one.direction) for one in fired} == {(SIGNAL, "tool=shell", "up")}
    assert SIZE + 100 <= fired[0].event_index < SIZE + 250
    assert fired[0].effect.after > fired[0].effect.before + 30


def test_each_frequent_tool_and_guardrail_is_a_stream_that_counts_for_the_budget(whole):
    state, _ = whole
    streams = {watch.stream for watch in state.pinned.artefacts["rate_shift"].watches}
    rails = {Stream(RAIL), Stream(RAIL, "guardrail=pii"), Stream(RAIL, "guardrail=topic")}
    assert streams == {Stream(SIGNAL), Stream(SIGNAL, "tool=search"), SHELL, *rails}
    assert state.pinned.streams == len(streams)
    assert not any("@" in name for name in state.pinned.rates)


def test_a_route_that_names_no_such_slice_knows_of_none(whole):
    plain = DetectionPlan(PLAN.detectors, replace(POLICY, slices=()))
    bare = [replace(row, parts={}) for row in SHIFT]
    state, readings = run(blocks(SHIFT), plan=plain)
    same, same_readings = run(blocks(bare), plan=plain)
    assert pack(state) == pack(same)
    assert readings == same_readings
    assert {one.slice for one in readings} == {None}


@settings(max_examples=10, deadline=None)
@given(cuts=st.lists(st.integers(1, 128), min_size=1, max_size=8))
def test_where_blocks_are_cut_changes_no_reading(whole, cuts):
    _, readings = whole
    _, cut_readings = run(blocks(SHIFT, cuts))
    assert [one.id for one in readings] == [one.id for one in cut_readings]
    for one, other in zip(readings, cut_readings, strict=True):
        if one.evidence.log_e is not None:
            assert one.evidence.log_e == pytest.approx(other.evidence.log_e, abs=1e-9)


NAMES = st.sampled_from([f"tool{n}" for n in range(90)])
CALLED = st.lists(st.dictionaries(NAMES, st.booleans(), max_size=5), min_size=1, max_size=60)


@settings(max_examples=40, deadline=None)
@given(called=CALLED, cuts=st.lists(st.integers(1, 20), min_size=1, max_size=5))
def test_where_blocks_are_cut_changes_no_column(called, cuts):
    some = [
        Row(
            f"e{i}",
            i,
            float(i),
            signals={SIGNAL: any(one.values()) if one else None},
            parts={SIGNAL: one} if one else {},
        )
        for i, one in enumerate(called)
    ]
    state, outs = intakes(blocks(some, 128))
    cut_state, cut_outs = intakes(blocks(some, cuts))
    assert pack(state) == pack(cut_state) == pack(unpack(IntakeState, pack(state)))
    one, other = columns(outs), columns(cut_outs)
    assert one.keys() == other.keys()
    for name, values in one.items():
        np.testing.assert_array_equal(values, other[name])
    assert all(np.isnan(one[name]).sum() < len(some) for name in one if "@" in name)


def test_names_without_a_place_are_one_value_and_true_where_any_of_them_was():
    known = [
        Row(f"e{i}", i, float(i), signals={SIGNAL: False}, parts={SIGNAL: {f"t{i}": False}}) for i in range(MOST_VALUES)
    ]
    last = Row("z", 99, 99.0, signals={SIGNAL: True}, parts={SIGNAL: {"new1": False, "new2": True, "t3": False}})
    state, outs = intakes(blocks([*known, last]))
    made = {name: values[-1] for name, values in columns(outs).items() if "@" in name and not np.isnan(values[-1])}
    assert made == {f"{SIGNAL}@tool={OTHER}": 1.0, f"{SIGNAL}@tool=t3": 0.0}
    assert len(state.values["tool"]) == MOST_VALUES


def test_a_block_without_calls_forgets_no_name():
    some = [*traffic(8), *(Row(f"n{i}", 8 + i, 1e6 + i) for i in range(4))]
    state, _ = intakes(blocks(some, 4))
    assert len(state.values["tool"]) == 2


def test_rollups_hold_the_rate_of_each_tool_beside_how_often_it_was_called():
    (one,) = blocks(traffic(60))
    _, (intake,) = intakes([one])
    rows = rollup_rows([additions(one, intake).sums])
    totals: dict[tuple[str, str], list[float]] = {}
    for _, _, _, slice, signal, *sums in rows:
        kept = totals.setdefault((slice, signal), [0, 0, 0.0])
        for at, value in enumerate(sums):
            kept[at] += value
    called = [row for row in traffic(60) if "shell" in row.parts.get(SIGNAL, {})]
    true = sum(row.parts[SIGNAL]["shell"] for row in called)
    assert totals["tool=shell", SIGNAL] == [len(called), len(called), true]
    assert totals["tool=shell", ""] == [len(called), len(called), len(called)]
    assert totals["tool=search", OTHER_SIGNAL][:2] == [40, 40]
    assert totals["guardrail=pii", RAIL][0] == 60
    assert ("tool=shell", RAIL) not in totals
    assert totals["", SIGNAL][:2] == [60, 40]


def test_stored_rows_give_the_same_columns_again():
    some = traffic(SIZE)
    _, outs = intakes(blocks(some, 50))
    stored = [row for one, out in zip(blocks(some, 50), outs, strict=True) for row in additions(one, out).rows]
    again = rows_of(stored, POLICY.slices)
    before = columns(outs)
    assert again.signals.keys() == before.keys()
    for name, values in before.items():
        np.testing.assert_array_equal(again.signals[name], values)
    baseline = Baseline(again, POLICY.floors, arl=1000.0)
    assert SHELL in RateShift().streams(baseline)
    assert msgspec.json.decode(stored[0]["signals"])[RAIL][3] == {"pii": some[0].parts[RAIL]["pii"], "topic": False}


def test_rows_of_a_block_without_parts_are_stored_as_before():
    (row,) = additions(*_taken(block([Row("a", 0, 0.0, signals={"refusal": True})]))).rows
    assert row["signals"] == '{"refusal":[true,null,"scored"]}'


def _taken(one):
    return one, intakes([one])[1][0]


def test_joined_rows_are_not_known_where_a_chunk_has_no_such_column():
    _, (first, second) = intakes(
        [block([Row("a", 0, 0.0, signals={SIGNAL: True}, parts={SIGNAL: {"x": True}})]), block([Row("b", 1, 1.0)])]
    )
    joined = joined_rows((first.rows, second.rows), 10)
    np.testing.assert_array_equal(joined.signals[f"{SIGNAL}@tool=x"], [1.0, np.nan])


def measured_by(version: str, some: list[Row]) -> list[Row]:
    return [replace(row, versions={SIGNAL: version}) for row in some]


def test_a_new_version_of_a_signal_learns_its_tools_anew_and_hears_nothing_of_them_before():
    before = measured_by("1", traffic(SIZE + 50))
    after = measured_by("2", traffic(SIZE + 450, SIZE + 50, shell=0.8))
    state, readings = run([*blocks(before, 50), *blocks(after, 50)])
    assert {one.slice for one in readings if one.status == "firing"} <= {None} | {"guardrail=pii", "guardrail=topic"}
    (made,) = state.pinned.relearned
    streams = {watch.stream for watch in made.artefacts["rate_shift"].watches}
    assert streams == {Stream(SIGNAL), Stream(SIGNAL, "tool=search"), SHELL}
    assert made.since > SIZE + 50
