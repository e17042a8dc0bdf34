"""What a signal says of each tool alone, from the scorer to blocks and lines: bounded, masked, and never a cut."""

from __future__ import annotations

import json

import pytest

from schemas.score import LONGEST_PART, MAX_ROWS, MOST_PARTS, ScoreBlock
from services.score.blocks import MAX_FREE_CHARACTERS, blocks_of, free_characters, rows_of
from services.score.core import ExchangeScorer
from services.score.score_lines import block_lines, parse_line
from services.signals import SIGNALS
from services.signals.protocol import Measurement
from tests.support.agent_calls import openai
from tests.support.scoring import DEFAULT, Says, SeededEmbedder, received, scorer

TOLD = Says(
    "told",
    lambda text: (
        Measurement(True, parts={text.response: True, "search": False}) if text.response else Measurement(False)
    ),
)


def test_rows_of_other_parts_stand_in_one_block_and_fold_back() -> None:
    batch = [received(n, response=f"tool{n}" if n % 3 else "") for n in range(40)]
    (block,) = scorer(TOLD).score(batch).blocks
    parts = block.signals["told"].parts
    assert len(block.id) == len(parts) == 40
    assert (parts[0], parts[1]) == ({}, {"tool1": True, "search": False})
    assert tuple(blocks_of(rows_of(block))) == (block,)
    lines = [json.dumps(line) for line in block_lines(block, vectors=True)]
    assert tuple(blocks_of(parse_line(line) for line in lines)) == (block,)
    assert ScoreBlock.decode(block.encode()) == block


def test_a_block_without_parts_is_written_as_before() -> None:
    (block,) = scorer(Says("told", lambda _: Measurement(True))).score([received()]).blocks
    assert json.loads(block.encode())["signals"]["told"] == {
        "value": [True],
        "probability": [None],
        "status": ["scored"],
    }
    (line,) = block_lines(block, vectors=False)
    assert set(line["signals"]["told"]) == {"value", "probability", "status", "reason", "version"}


def test_a_name_that_holds_a_personal_value_or_a_key_is_masked() -> None:
    key = "ghp_" + "x7Kd0QvR3mTz8LpW1nYc5BgJ9hSf2EaU6oXi"
    call = {"content": None, "tool_calls": (openai("mail_erika.mustermann@web.de"), openai(key[:50]))}
    scores = ExchangeScorer(SeededEmbedder(), lambda route: DEFAULT, signals=SIGNALS)
    (block,) = scores.score([received(response=call)]).blocks
    names = [name for column in block.signals.values() for row in column.parts for name in row]
    assert names
    assert "mustermann" not in block.encode().decode()
    assert key[:40] not in block.encode().decode()
    assert all(len(name) <= LONGEST_PART for name in names)


@pytest.mark.parametrize(
    "said",
    [
        Measurement(None, reason="x", parts={"a": True}),
        Measurement(True, parts={"x" * 65: True}),
        Measurement(True, parts={"": True}),
        Measurement(True, parts={f"t{n}": True for n in range(MOST_PARTS + 1)}),
    ],
)
def test_parts_that_no_block_can_hold_are_a_dead_letter_that_names_the_signal(said: Measurement) -> None:
    found = scorer(Says("told", lambda _: said)).score([received()])
    assert found.blocks == ()
    assert "signal told" in found.dead[0].reason


def test_many_long_names_cut_blocks_before_they_get_too_large() -> None:
    calls = tuple(openai(f"tool-{n:02d}-" + "\N{GRINNING FACE}" * 70) for n in range(MOST_PARTS))
    batch = [
        received(n, response={"content": None, "tool_calls": calls}, tools=({"name": "a"},)) for n in range(MAX_ROWS)
    ]
    blocks = ExchangeScorer(SeededEmbedder(), lambda route: DEFAULT, signals=SIGNALS).score(batch).blocks
    assert sum(len(block.id) for block in blocks) == MAX_ROWS
    assert max(sum(map(free_characters, rows_of(block))) for block in blocks) <= MAX_FREE_CHARACTERS
    assert max(len(block.encode()) for block in blocks) < 4 * 1024 * 1024
