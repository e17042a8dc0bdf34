"""Score lines: what is unfolded folds back, and a bad line names its field."""

from __future__ import annotations

import base64
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.monitor import RoutePolicy
from services.score.blocks import blocks_of
from services.score.score_lines import LINE_FIELDS, block_lines, parse_line
from services.signals.protocol import Measurement
from tests.support.scoring import Says, received, scorer

MIXED = (
    Says("flag", lambda text: Measurement(len(text.response) % 2 == 0, 0.25)),
    Says("level", lambda text: Measurement(len(text.response) / 7)),
    Says("shy", lambda text: Measurement(None)),
)
TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8)
EXCHANGES = st.lists(
    st.fixed_dictionaries(
        {
            "route": st.sampled_from(["a", "b/c"]),
            "topic": st.sampled_from(["t", "u"]),
            "response": st.one_of(TEXT, st.just({}), st.just({"tool_calls": ({},)})),
            "model": st.fixed_dictionaries(
                {"requested": TEXT}, optional={"fingerprint": TEXT.filter(bool), "served": TEXT}
            ),
            "user": st.none() | TEXT,
            "conversation": st.none() | TEXT,
            "tags": st.dictionaries(TEXT, TEXT, max_size=2),
            "flags": st.sampled_from([(), ("skew",), ("sanitized", "truncated")]),
        }
    ),
    max_size=12,
)


def scored(exchanges):
    batch = [received(n, **fields) for n, fields in enumerate(exchanges)]
    return scorer(*MIXED, policy=RoutePolicy(embed_share=0.5)).score(batch).blocks


def lines_of(blocks):
    return [json.dumps(line) for block in blocks for line in block_lines(block, vectors=True)]


@given(exchanges=EXCHANGES)
def test_blocks_unfold_and_fold_back(exchanges):
    blocks = scored(exchanges)
    assert tuple(blocks_of(parse_line(line) for line in lines_of(blocks))) == blocks


@given(exchanges=EXCHANGES, size=st.integers(1, 5))
def test_lines_fold_and_unfold_back_whatever_blocks_they_came_in(exchanges, size):
    whole = lines_of(scored(exchanges))
    parts = [lines_of(blocks_of(map(parse_line, whole[i : i + size]))) for i in range(0, len(whole), size)]
    assert [line for lines in parts for line in lines] == whole


def test_lines_of_one_route_fold_into_blocks_of_at_most_128():
    lines = lines_of(scored([{}] * 300))
    assert [len(block.id) for block in blocks_of(map(parse_line, lines))] == [128, 128, 44]


def test_a_line_has_the_form_of_the_contract():
    (block,) = scored([{"response": "ab", "user": "u1", "tags": {"locale": "de"}}])
    (line,) = block_lines(block, vectors=False)
    assert tuple(line) == LINE_FIELDS
    assert line["ts"] == "2026-01-01T00:00:00Z"
    assert line["signals"]["flag"] == {
        "value": True,
        "probability": 0.25,
        "status": "scored",
        "reason": None,
        "version": "1",
    }
    (full,) = block_lines(block, vectors=True)
    assert full["source"] == ["c", "t", 0, 0]
    assert np.frombuffer(base64.b64decode(full["prompt_vec"]), "<f2").shape == (384,)
    assert np.frombuffer(base64.b64decode(full["style"]), "<f2").shape == (30,)


def test_a_line_without_an_answer_says_why_nothing_is_scored():
    (block,) = scored([{"response": {"error": "timeout"}}])
    (line,) = block_lines(block, vectors=False)
    assert {said["reason"] for said in line["signals"].values()} == {"no_response"}
    assert {said["status"] for said in line["signals"].values()} == {"unscored"}


def changed(**fields):
    line = json.loads(lines_of(scored([{"response": "ab"}]))[0])
    for path, value in fields.items():
        *way, last = path.split("__")
        place = line
        for step in way:
            place = place[step]
        if value is ...:
            del place[last]
        else:
            place[last] = value
    return json.dumps(line)


SHORT = base64.b64encode(bytes(766)).decode()
TWO = base64.b64encode(bytes(2 * 768)).decode()
INFINITE = base64.b64encode(np.full(384, np.inf, "<f2").tobytes()).decode()


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("not json", "line: Invalid JSON"),
        ("[1]", "line: "),
        (changed(route=...), "route: Field required"),
        (changed(route="UPPER"), "route: "),
        (changed(ts=12), "ts: "),
        (changed(kept="yes"), "kept: "),
        (changed(flags=["odd"]), r"flags\.0: "),
        (changed(source=["c", "t", 0, -1]), r"source\.3: "),
        (changed(prompt_vec=...), "prompt_vec: is missing; write the file with `keelwatch score --vectors`"),
        (changed(prompt_vec="***"), "prompt_vec: is not base64"),
        (changed(prompt_vec=SHORT), "prompt_vec: holds 766 bytes"),
        (changed(response_vec=TWO), "response_vec: holds 2 rows"),
        (changed(response_vec=""), "response_vec: holds 0 rows"),
        (changed(prompt_vec=INFINITE), "prompt_vec: holds numbers that are not finite"),
        (changed(identity="0" * 16), "identity: is not that of `model`"),
        (changed(signals__flag__status="unscored"), r"signals\.flag\.status: "),
        (changed(signals__flag__version="2"), r"signals\.flag\.version: "),
        (changed(signals__flag__value="true"), r"signals\.flag\.value"),
        (changed(signals__flag__value=...), r"signals\.flag\.value: Field required"),
    ],
)
def test_a_bad_line_names_its_field(line, says):
    with pytest.raises(ValueError, match=says) as caught:
        parse_line(line)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300


def test_fields_of_later_versions_are_ignored():
    assert parse_line(changed(a_new_field=1)) is not None
