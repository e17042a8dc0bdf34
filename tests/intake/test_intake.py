from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.identity import Model, identity_of
from schemas.score import STYLE_WIDTH, ScoreBlock, SignalColumn
from services.intake.core import RECENT_IDS, RECREATED, IntakeState, step
from services.store.codec import pack, unpack
from services.vectors import to_text
from tests.support.blocks import ROUTE, Row, block, blocks, rows


def run(some, state=None):
    state = state or IntakeState.start(ROUTE)
    outs = []
    for one in some:
        state, out = step(state, one)
        outs.append(out)
    return state, outs


def counted(outs):
    return [
        (int(i), id, who) for out in outs for i, id, who in zip(out.rows.index, out.rows.ids, out.identity, strict=True)
    ]


def test_event_index_counts_from_zero_across_blocks():
    _, outs = run(blocks(rows(10), 4))
    assert [index for index, _, _ in counted(outs)] == list(range(10))


@settings(max_examples=60, deadline=None)
@given(prefix=st.integers(1, 40), cuts=st.lists(st.integers(1, 13), min_size=1, max_size=6))
def test_any_prefix_fed_again_changes_nothing(prefix, cuts):
    some = rows(40)
    once, _ = run(blocks(some, 8))
    again, outs = run(blocks(some[:prefix], cuts), once)
    assert counted(outs) == []
    assert pack(again) == pack(once)


@settings(max_examples=60, deadline=None)
@given(cuts=st.lists(st.integers(1, 50), min_size=1, max_size=6))
def test_cutting_blocks_otherwise_counts_the_same(cuts):
    some = [*rows(50), Row("e3", 50, 5000.0), Row("z", 51, 5001.0)]
    whole, outs = run(blocks(some, 64))
    cut, cut_outs = run(blocks(some, cuts))
    assert counted(outs) == counted(cut_outs)
    assert pack(whole) == pack(cut)


def test_a_redelivered_row_at_a_new_offset_of_scores_keeps_its_own_position():
    first = blocks(rows(8), 8)[0]
    state, _ = run([first])
    _, outs = run([block(rows(12)[4:])], state)
    assert [id for _, id, _ in counted(outs)] == ["e8", "e9", "e10", "e11"]
    assert outs[0].redelivered == 4


def test_a_repeated_id_is_dropped_and_counted():
    state, outs = run(blocks([*rows(3), Row("e1", 3, 999.0)], 2))
    assert [id for _, id, _ in counted(outs)] == ["e0", "e1", "e2"]
    assert (state.duplicates, state.count) == (1, 3)


def test_an_id_repeated_after_1024_others_is_a_new_exchange():
    some = [*rows(RECENT_IDS + 1), Row("e0", RECENT_IDS + 1, 1e6), Row("e2", RECENT_IDS + 2, 1e6)]
    state, outs = run(blocks(some, 128))
    assert [id for _, id, _ in counted(outs)][-1] == "e0"
    assert state.duplicates == 1


def test_each_source_partition_has_its_own_fence():
    state, _ = run([block([Row("a", 7, 0.0, partition=1)])])
    _, outs = run([block([Row("b", 3, 1.0, partition=2), Row("c", 7, 1.0, partition=1)])], state)
    assert [id for _, id, _ in counted(outs)] == ["b"]


def test_skewed_times_do_not_move_the_clock():
    state, _ = run([block([Row("a", 0, 10.0), Row("b", 1, 1e9, flags=("skew",)), Row("c", 2, 5.0)])])
    assert state.clock is not None
    assert state.clock == pytest.approx(block([Row("a", 0, 10.0)]).ts[0].timestamp())


def test_three_blocks_of_old_positions_with_later_times_are_a_recreated_topic():
    state, _ = run(blocks(rows(20), 20))
    later = [Row(f"n{i}", i, 1e5 + i) for i in range(3)]
    state, outs = run([block([row]) for row in later], state)
    assert [out.blind for out in outs] == [None, None, RECREATED]
    assert counted(outs) == []


def test_an_old_redelivery_is_no_recreated_topic():
    some = rows(20)
    state, _ = run(blocks(some, 20))
    _, outs = run([block([row]) for row in some[:6]], state)
    assert {out.blind for out in outs} == {None}


def dated(day: int) -> Model:
    return Model(requested="gpt-4", system_prompt_sha256=f"{day:064x}")


def test_a_field_with_a_new_value_on_three_days_running_is_volatile_and_reported_once():
    some = [Row(f"e{i}", i, i * 43_200.0, model=dated(i // 2)) for i in range(14)]
    state, outs = run(blocks(some, 3))
    assert state.volatility.fields == ("system_prompt_sha256",)
    reported = [(name, int(out.rows.index[row])) for out in outs for name, row in out.volatile]
    assert reported == [("system_prompt_sha256", 6)]
    after = {who for index, _, who in counted(outs) if index >= 6}
    assert after == {identity_of(dated(0), ["system_prompt_sha256"])}


def test_more_than_twenty_values_are_volatile():
    some = [Row(f"e{i}", i, float(i), model=dated(i)) for i in range(30)]
    state, outs = run(blocks(some, 7))
    assert state.volatility.fields == ("system_prompt_sha256",)
    assert [int(out.rows.index[row]) for out in outs for _, row in out.volatile] == [20]


def test_a_model_update_is_not_volatile():
    some = [Row(f"e{i}", i, i * 3600.0, model=Model(requested="gpt-4", served=f"v{i // 200}")) for i in range(400)]
    state, _ = run(blocks(some, 50))
    assert state.volatility.fields == ()


def test_state_survives_the_store_and_stays_small():
    state, _ = run(blocks(rows(3000), 128))
    assert pack(unpack(IntakeState, pack(state))) == pack(state)
    assert len(pack(state)) < 16_384


def test_step_leaves_its_arguments_alone():
    state, _ = run(blocks(rows(5), 5))
    before = pack(state)
    step(state, block(rows(9)[5:]))
    assert pack(state) == before


def test_a_vector_that_is_not_finite_reaches_no_detector():
    style = np.zeros((2, STYLE_WIDTH), dtype=np.float16)
    style[1, 3] = np.nan
    bad = block(rows(2)).model_copy(update={"style": to_text(style)})
    with pytest.raises(ValueError, match="not finite"):
        step(IntakeState.start(ROUTE), bad)


def test_vectors_and_unscored_signals_reach_the_rows():
    one = block([Row("a", 0, 0.0, signals={"refusal": True}), Row("b", 1, 1.0, signals={"refusal": None})])
    _, outs = run([one])
    assert outs[0].rows.signals["refusal"][0] == 1.0
    assert np.isnan(outs[0].rows.signals["refusal"][1])
    assert outs[0].rows.prompt.dtype == np.float16
    assert np.linalg.norm(outs[0].rows.prompt[0].astype(float)) == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("ahead", [2 * 3600.0, 64 * 365.25 * 86_400])
def test_a_time_that_nobody_believes_decides_nothing(ahead):
    some = [
        Row("a", 0, 10.0),
        Row("b", 1, ahead, flags=("skew",)),
        Row("c", 2, 20.0),
        Row("d", 3, ahead, flags=("skew",)),
    ]
    state, outs = run(blocks(some, [1, 3]))
    first = block(some).ts[0].timestamp()
    assert [ts - first for out in outs for ts in out.rows.ts] == pytest.approx([0.0, 0.0, 10.0, 10.0])
    assert state.clock == pytest.approx(first + 10.0)


def test_a_jump_back_keeps_its_own_time_and_moves_no_clock_back():
    state, outs = run([block([Row("a", 0, 0.0), Row("b", 1, -25 * 365 * 86_400.0), Row("c", 2, 5.0)])])
    assert np.diff(outs[0].rows.ts).tolist() == [-25 * 365 * 86_400.0, 25 * 365 * 86_400.0 + 5.0]
    assert state.clock == outs[0].rows.ts[2]


def test_only_so_many_values_of_a_tag_have_a_name_until_others_are_idle():
    some = [Row(f"e{i}", i, float(i), tags={"locale": f"l{i}"}) for i in range(70)]
    some += [Row(f"e{i}", i, float(i), tags={"locale": "l0"}) for i in range(70, 1_100)]
    some += [Row("new", 1_100, 1_100.0, tags={"locale": "new"})]
    state, names = IntakeState.start(ROUTE), []
    for one in blocks(some, 100):
        state, out = step(state, one, ("tags.locale",))
        names += out.rows.slices["tags.locale"]
    assert names[:70] == [f"l{i}" for i in range(64)] + ["(other)"] * 6
    assert names[-1] == "new"
    assert len(state.values["tags.locale"]) == 64


def test_probabilities_what_publishers_counted_and_whose_it_is_reach_the_rows():
    (one,) = blocks(rows(3), 3)
    column = SignalColumn(
        value=(True, False, None), probability=(0.9, 0.1, None), status=("scored", "scored", "unscored")
    )
    told = one.model_copy(
        update={
            "signals": {"toxicity": column},
            "latency_ms": (310.0, None, 20.0),
            "user": ("ann", None, "ann"),
            "conversation": (None, None, None),
        }
    )
    seen = run([told])[1][0].rows
    assert seen.probabilities("toxicity").tolist()[:2] == [0.9, 0.1]
    assert np.isnan(seen.probabilities("toxicity")[2])
    assert np.isnan(seen.probabilities("refusal")).all()
    assert seen.measures.keys() == {"latency_ms"}
    assert np.isnan(seen.measures["latency_ms"][1])
    first, nobody, again = seen.users().tolist()
    assert (first, nobody) == (again, 0)
    assert first
    assert seen.conversation is None
    assert seen.take(np.array([2, 0])).measures["latency_ms"].tolist() == [20.0, 310.0]


def test_columns_that_no_row_has_are_not_written():
    (one,) = blocks(rows(3), 3)
    assert not {"latency_ms", "input_tokens", "output_tokens"} & json.loads(one.encode()).keys()
    with pytest.raises(ValueError, match="latency_ms has 2 rows"):
        ScoreBlock.model_validate({**dict(one), "latency_ms": (1.0, 2.0)})


@given(st.integers(1, 40), st.integers(1, 16))
@settings(max_examples=20)
def test_the_parts_of_one_record_count_once_wherever_blocks_are_cut_and_whatever_comes_again(parts, cut):
    """A record of traces holds several exchanges at one position."""
    before, after = rows(2), [Row("later", 3, 99.0)]
    spans = [Row(f"span{i}", 2, 10.0) for i in range(parts)]
    some = [*before, *spans, *after]
    numbers = [0, 0, *range(parts), 0]
    state, seen = IntakeState.start(ROUTE), []
    for start in [*range(0, len(some), cut), *range(0, len(some), cut)]:
        one = block(some[start : start + cut]).model_copy(update={"part": tuple(numbers[start : start + cut])})
        state, out = step(state, one)
        state = unpack(IntakeState, pack(state))
        seen += out.rows.ids
    assert seen == [row.id for row in some]
    assert (state.fence, state.parts) == ({"c/t/0": 3}, {})
