"""What of a conversation and of tool calls may leave the process: nothing that a masking signal would find in it."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas.exchange import Exchange
from schemas.identity import Model
from schemas.position import Position
from schemas.sample import Sample
from services.monitor import RoutePolicy
from services.ports import Received
from services.score.core import ExchangeScorer
from services.score.samples import MESSAGE_BYTES, TOO_LONG
from tests.support.scoring import SeededEmbedder

SECRET = "AKIA" + "Q7XPL3MZ5WTR2KVB"
MAIL = "jane.roe@acme-mail.org"
CARD = 4539578763621486


def sample(prompt: Any, response: Any = "noted") -> Sample:
    """The sample of one exchange, by the signals of the product."""
    who = Model(requested="gpt-4")
    said = {"route": "r", "id": "e1", "ts": "2026-11-24T18:00:00Z", "model": who.model_dump()}
    exchange = Exchange.model_validate_json(json.dumps({**said, "prompt": prompt, "response": response}))
    place = Position(cluster="c", topic="t", partition=0, offset=1)
    policy = RoutePolicy(keep_text="all")
    (made,) = ExchangeScorer(SeededEmbedder(), lambda _: policy).score([Received(exchange, place)]).samples
    return made


def turns(*texts: str) -> list[dict[str, str]]:
    """A conversation, the user first."""
    return [{"role": ("user", "assistant")[i % 2], "content": text} for i, text in enumerate(texts)]


def test_a_prompt_alone_has_no_conversation() -> None:
    assert sample("Where is my parcel?").messages == ()
    assert sample([{"role": "system", "content": "Be kind."}, *turns("Hello")]).messages == ()


def test_the_conversation_is_kept_in_order_masked_and_without_system_text() -> None:
    said = sample([{"role": "system", "content": "Be kind."}, *turns(f"I am {MAIL}", f"Hello {MAIL}", "My parcel?")])
    assert [(one.role, one.text) for one in said.messages] == [
        ("user", "I am <email>"),
        ("assistant", "Hello <email>"),
        ("user", "My parcel?"),
    ]
    assert said.prompt == "My parcel?"


def test_what_the_prompt_states_is_masked_where_the_conversation_repeats_it() -> None:
    said = sample(turns("hi", "Your patient id is 4471 0392, right?", "yes, my patient id is 4471 0392"))
    assert b"4471 0392" not in said.encode()


def test_what_the_system_text_names_is_masked_in_the_conversation() -> None:
    system = {"role": "system", "content": "The access code is HARBOR-7719-KX."}
    said = sample([system, *turns("hi", "It is HARBOR-7719-KX.", "thanks")])
    assert b"HARBOR-7719-KX" not in said.encode()


def test_arguments_of_tool_calls_are_masked_within_their_form() -> None:
    told = {"to": MAIL, "card": CARD, "n": 3, "more": [True, None, {MAIL: f"key {SECRET}"}]}
    call = {"function": {"name": "send", "arguments": json.dumps(told)}}
    (made,) = sample("send it", {"tool_calls": [call], "finish_reason": "tool_calls"}).tool_calls
    shown = json.loads(made.arguments)
    assert (made.name, shown["to"], shown["n"], shown["more"][:2]) == ("send", "<email>", 3, [True, None])
    assert all(text not in made.arguments for text in (MAIL, SECRET, str(CARD)))
    assert sample("x", {"content": "y", "finish_reason": "stop"}).finish_reason == "stop"


def test_the_newest_32_kib_are_kept_and_no_value_is_cut_into() -> None:
    long = ["x " * 9_000, *(f"turn {i} " * 900 for i in range(8)), f"{'y ' * 40_000}{SECRET}"]
    said = sample(turns(*long, "and now?"))
    assert sum(len(one.text.encode()) + len(one.role) for one in said.messages) <= MESSAGE_BYTES
    assert said.messages[-1].text == "and now?"
    edge = sample(turns("a", "z" * (2 * MESSAGE_BYTES - 10) + SECRET, "b"))
    assert b"AKIA" not in edge.encode()


def test_arguments_that_are_too_long_or_too_deep_leave_the_name() -> None:
    call = {"function": {"name": "send", "arguments": json.dumps({"text": "x" * 40_000})}}
    (made,) = sample("send it", {"tool_calls": [call]}).tool_calls
    assert (made.name, made.arguments) == ("send", TOO_LONG)
    deep: Any = "end"
    for _ in range(40):
        deep = [deep]
    assert TOO_LONG in sample("x", {"tool_calls": [{"name": "f", "input": deep}]}).tool_calls[0].arguments
    odd = '{"a": "\\ud800", "b": 1e999, "c": ' + "9" * 400 + "}"
    (made,) = sample("x", {"tool_calls": [{"name": "f", "arguments": odd}]}).tool_calls
    assert "\N{REPLACEMENT CHARACTER}" in made.arguments


VALUES = st.recursive(
    st.sampled_from([MAIL, SECRET, f"see {MAIL}", "plain", 7, 2.5, True, None]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["to", MAIL, SECRET]), inner),
    max_leaves=8,
)


@settings(max_examples=60, suppress_health_check=list(HealthCheck), deadline=None)
@given(VALUES, st.lists(st.sampled_from([f"I am {MAIL}.", f"use {SECRET} now", "hello"]), max_size=6))
def test_no_value_leaves_wherever_it_stands(arguments: Any, texts: list[str]) -> None:
    made = sample(turns(*texts, "end"), {"content": "ok", "tool_calls": [{"name": "f", "arguments": arguments}]})
    assert MAIL.encode() not in made.encode()
    assert SECRET.encode() not in made.encode()
