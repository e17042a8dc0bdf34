"""How samples travel: those of a batch and a route in one record, within what a broker takes."""

from __future__ import annotations

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.exchange import Exchange
from schemas.identity import Model
from schemas.position import Position
from schemas.sample import MOST_SAMPLES, Sample, SampleBlock
from schemas.topics import SAMPLES
from services.monitor import RoutePolicy
from services.ports import Received
from services.score.blocks import MAX_FREE_CHARACTERS
from services.score.core import ExchangeScorer
from services.score.samples import BLOCK_CHARACTERS, CALL_CHARACTERS, TEXT_CHARACTERS, sample_blocks, text_characters
from tests.record.stories import ROUTES, sample
from tests.support.scoring import SeededEmbedder


def some(n: int, prompt: str = "What is open today?", route: str = ROUTES[0]) -> list[Sample]:
    return [sample(route, i).model_copy(update={"prompt": prompt}) for i in range(n)]


def test_samples_of_a_route_travel_together_in_their_order() -> None:
    mixed = [one for pair in zip(some(3), some(3, route=ROUTES[1]), strict=True) for one in pair]
    assert [(block.route, len(block.samples)) for block in sample_blocks(mixed)] == [(ROUTES[0], 3), (ROUTES[1], 3)]
    assert next(sample_blocks(mixed)).samples == tuple(some(3))
    assert list(sample_blocks([])) == []
    assert [len(block.samples) for block in sample_blocks(some(300))] == [MOST_SAMPLES, MOST_SAMPLES, 44]


def test_a_block_is_cut_where_it_gets_too_long_and_one_sample_alone_never_is() -> None:
    long = "x" * (BLOCK_CHARACTERS // 4)
    assert [len(block.samples) for block in sample_blocks(some(5, long))] == [3, 2]
    assert [len(block.samples) for block in sample_blocks(some(2, "x" * BLOCK_CHARACTERS))] == [1, 1]


@settings(deadline=None, max_examples=30)
@given(st.lists(st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), max_size=30), max_size=9))
def test_a_block_says_what_its_samples_said(prompts: list[str]) -> None:
    samples = [one for prompt in prompts for one in some(1, prompt)]
    blocks = [SampleBlock.decode(block.encode()) for block in sample_blocks(samples)]
    assert [one for block in blocks for one in block.samples] == samples
    for block in blocks:
        assert len(block.encode()) <= 1_000 * len(block.samples) + 6 * sum(map(text_characters, block.samples))


def test_the_longest_sample_is_within_what_the_topic_takes() -> None:
    """One that the broker refuses would end the step again and again."""
    odd = "\x01"  # six bytes of JSON
    who = Model(requested="gpt-4").model_dump()
    said = {"route": "r", "id": odd * 500, "ts": "2026-11-24T18:00:00Z", "model": who}
    names = {"user": odd * (MAX_FREE_CHARACTERS // 2 - 1_000), "conversation": odd * (MAX_FREE_CHARACTERS // 2)}
    prompt = [{"role": ("user", "assistant")[i % 2], "content": odd * TEXT_CHARACTERS} for i in range(3)]
    call = {"name": odd * 150, "arguments": json.dumps({"a": odd * (CALL_CHARACTERS - 100)})}
    answer = {"content": odd * TEXT_CHARACTERS, "tool_calls": [call], "finish_reason": odd * 200}
    exchange = Exchange.model_validate_json(json.dumps({**said, **names, "prompt": prompt, "response": answer}))
    policy = RoutePolicy(keep_text="all")
    place = Position(cluster="c", topic="t", partition=0, offset=1)
    scored = ExchangeScorer(SeededEmbedder(), lambda _: policy).score([Received(exchange, place)])
    assert scored.dead == ()
    [block] = sample_blocks(scored.samples)
    assert len(block.encode()) > 3 * 1024 * 1024, "it is not that long"
    assert len(block.encode()) + 16 * 1024 < SAMPLES.max_message_bytes
