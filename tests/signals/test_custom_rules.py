"""Signals without code: what each kind hits and what it leaves, whatever the text; what nobody asked is unscored."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.exchange import Exchange, Message, RetrievedDocument
from schemas.identity import Model
from services.score.scored_text import scored_text
from services.signals.custom.definition import CustomDefinition, CustomSignal
from services.signals.custom.json_rule import JsonSchemaRule
from services.signals.custom.rules import KeywordRule, MustContainRule, PatternRule, RuleRefused
from services.signals.protocol import ScoredText
from tests.support.own_signals import own_signals
from tests.support.said import said

OWN = own_signals()


def words(*keywords: str, where: str = "response") -> CustomSignal:
    return CustomSignal(CustomDefinition("w", KeywordRule(keywords), where=where))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("keyword", "text"),
    [
        ("Acme", "Have you tried ACME?"),
        ("acme", "(Acme)"),
        ("Globex Corp", "globex\n  corp is cheaper"),
        ("Straße", "in der HAUPTSTR. und STRASSE"),
        ("straße", "die Strasse dort"),
        ("café", "un cafe\u0301 noir"),
        ("Москва", "в городе \u041c\u041e\u0421\u041a\u0412\u0410, зимой"),
        ("ΟΔΟΣ", "στην οδος αυτή"),
        ("东京", "我住在东京都"),
        ("ラーメン", "美味しいラーメンです"),
        ("삼성", "삼성은 좋다"),
        ("กรุงเทพ", "ฉันอยู่กรุงเทพมหานคร"),
        ("القاهرة", "أسكن في القاهرة."),
        ("दिल्ली", "मैं दिल्ली में हूँ"),
        ("C++", "Write it in C++."),
        ("#1", "We are #1!"),
        ("Acme", "Ac\u200bme and A\u00adcme"),
        ("Acme", "\uff21\uff43\uff4d\uff45"),
        ("☕", "A ☕ please"),
    ],
)
def test_a_keyword_is_found_in_any_script_and_case(keyword: str, text: str) -> None:
    assert words(keyword).measure(said(text)).value is True
    (hit,) = words(keyword).hits(said(text), 1)
    assert hit.text[hit.start : hit.end].strip() != ""


@pytest.mark.parametrize(
    ("keyword", "text"),
    [
        ("Acme", "the acmeology of Acmes"),
        ("tea", "a team of steam"),
        ("cafe", "cafe\u0301"),
        ("кот", "который"),
        ("Acme", "Ac me"),
        ("C++", "vitaminC++"),
        ("Globex Corp", "Globex and Corp"),
        ("दिल", "दिल्ली"),
        ("Acme", ""),
    ],
)
def test_a_part_of_a_word_is_no_keyword(keyword: str, text: str) -> None:
    assert words(keyword).measure(said(text)).value is False


def test_hits_stand_where_the_word_stands() -> None:
    hits = words("straße", "東京").hits(said("ß Straße, STRASSE in 東京"), 10)
    assert [hit.text[hit.start : hit.end] for hit in hits] == ["Straße", "STRASSE", "東京"]


@pytest.mark.parametrize(
    ("pattern", "text", "hits"),
    [
        ("ORD-[0-9]{4,8}", "ORD-12345, ORD-1 and ORD-999999", ["ORD-12345", "ORD-999999"]),
        ("[0-9]+", "12 \u00fcber 345", ["12", "345"]),
        ("(?i)\u00e4rger", "viel \u00c4RGER", ["\u00c4RGER"]),
        ("[\u0430-я]+", "12 привет мир", ["привет", "мир"]),
        (r"\bfoo\b", "foo food foo", ["foo", "foo"]),
        ("x$", "ax", ["x"]),
        ("a.c", "a\U0001f600c", ["a\U0001f600c"]),
    ],
)
def test_a_pattern_finds_its_places(pattern: str, text: str, hits: list[str]) -> None:
    rule = PatternRule(pattern)
    rule.check()
    assert rule.look(text, cut=False, most=100).n == len(hits)
    found = rule.hits(text, 100)
    assert [hit.text[hit.start : hit.end] for hit in found] == hits


def test_a_pattern_regards_case_and_a_count_is_a_number() -> None:
    assert OWN["orders"].measure(said("ord-1234")).value == 0.0
    counted = OWN["orders"].measure(said("ORD-1234 and ORD-5678"))
    assert counted.value == 2.0
    assert isinstance(counted.value, float)
    assert OWN["orders"].spec.number
    assert OWN["orders"].spec.floor is None


def test_texts_that_must_be_there_or_must_not() -> None:
    assert OWN["disclaimer"].measure(said("This is NO financial\nadvice.")).value is False
    missing = OWN["disclaimer"].measure(said("Buy it."))
    assert (missing.value, missing.reason) == (True, "missing: no financial advice")
    assert OWN["slang"].measure(said("LOLcats")).value is True
    assert OWN["slang"].measure(said("l o l")).value is False


@pytest.mark.parametrize(
    ("text", "broken"),
    [
        ('{"a": "xx"}', False),
        ('\n {"a": "x"} \n', False),
        ('Here:\n```json\n{"a": "x"}\n```\nDone.', False),
        ('```\n{"a": "x"}\n```', False),
        ('~~~JSON\n{"a": "x"}\n~~~', False),
        ('```python\nprint(1)\n```\n```json\n{"a": "x"}\n```', False),
        ('{"a": "y"}', True),
        ('{"a": 1}', True),
        ("{}", True),
        ('```json\n{"a": "x"}\n```\n```json\n{"a": "x"}\n```', True),
        ('```json\n{"a": "x"}', True),
        ('Sure! {"a": "x"}', True),
        ('{"a": NaN}', True),
        ('{"a": "x",}', True),
        ("", True),
        ("null", True),
    ],
)
def test_an_answer_that_is_not_the_json_that_was_wanted_counts(text: str, broken: bool) -> None:
    assert OWN["shape"].measure(said(text)).value is broken


def test_what_cannot_be_said_is_unscored_and_never_fine() -> None:
    for deep in ("[" * 100_000, '{"a":' * 80 + "1" + "}" * 80):
        assert OWN["shape"].measure(said(deep)).reason == "nested_too_deep"
    long = "word " * 300_000
    cut = said(f'{{"a": "x", "b": "{long}"}}')
    assert cut.cut
    assert OWN["shape"].measure(cut).value is None
    assert OWN["disclaimer"].measure(cut).value is None
    assert OWN["rivals"].measure(cut).value is False


SCHEMAS = {
    "elsewhere": {"$ref": "http://127.0.0.1:9/x"},
    "a file": {"$ref": "file:///etc/passwd"},
    "itself": {"properties": {"a": {"$ref": "#"}}},
    "a circle": {"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"items": {"$ref": "#/$defs/a"}}}, "$ref": "#/$defs/a"},
    "nowhere": {"$ref": "#/$defs/nope"},
    "another language of schemas": {"$schema": "http://127.0.0.1:9/meta"},
    "a base of its own": {"properties": {"a": {"$id": "http://127.0.0.1:9/x", "$ref": "y"}}},
    "look-ahead": {"pattern": "(?=a)b"},
    "no type": {"type": "strin"},
    "doubling": {
        "$defs": {
            **{f"a{i}": {"allOf": [{"$ref": f"#/$defs/a{i + 1}"}] * 2} for i in range(30)},
            "a30": {"type": "integer"},
        },
        "$ref": "#/$defs/a0",
    },
    "no end": {"maximum": float("inf")},
    "size": {"enum": ["x" * 70_000]},
}


@pytest.mark.parametrize("why", SCHEMAS)
def test_a_schema_that_fetches_circles_or_multiplies_is_refused_at_once(why: str) -> None:
    began = time.process_time()
    with pytest.raises(RuleRefused) as refused:
        JsonSchemaRule.of(SCHEMAS[why]).check()
    assert len(str(refused.value)) < 400
    assert time.process_time() - began < 2


def test_references_within_a_schema_are_read() -> None:
    rule = JsonSchemaRule.of({"$defs": {"a/b": {"type": "integer"}}, "properties": {"x": {"$ref": "#/$defs/a~1b"}}})
    rule.check()
    assert rule.look('{"x": 1}', cut=False, most=1).n == 0
    assert rule.look('{"x": "1"}', cut=False, most=1).n == 1


def exchange(**fields: object) -> ScoredText:
    given = {"route": "a/b", "model": Model(requested="m"), "prompt": "p", "response": "r", **fields}
    return scored_text(Exchange(**given))  # type: ignore[arg-type]


def test_a_signal_looks_where_it_was_told_to() -> None:
    call = {"type": "function", "function": {"name": "send_mail", "arguments": '{"to": "Acme"}'}}
    places = {
        "prompt": exchange(prompt="Acme"),
        "response": exchange(response="Acme"),
        "system": exchange(prompt=(Message(role="system", content="Acme"), Message(role="user", content="p"))),
        "documents": exchange(documents=(RetrievedDocument(content="Acme"),)),
        "tool_calls": exchange(response={"content": None, "tool_calls": (call,)}),
    }
    for where, text in places.items():
        for place, signal in ((place, words("Acme", where=place)) for place in places):
            assert (signal.measure(text).value is True) is (where == place), (where, place)
    said_nothing = {place: words("Acme", where=place).measure(exchange()).reason for place in places}
    assert said_nothing == {
        "prompt": None,
        "response": None,
        "system": "no_system_prompt",
        "documents": "no_documents",
        "tool_calls": "no_tool_calls",
    }


def test_calls_of_tools_of_every_form_are_read() -> None:
    parts = ({"type": "tool_use", "name": "send", "input": {"to": ["Acme"]}},)
    for answer in ({"content": parts}, {"content": None, "function_call": {"name": "Acme", "arguments": "{}"}}):
        assert words("Acme", where="tool_calls").measure(exchange(response=answer)).value is True


def test_the_version_follows_the_rule_and_nothing_else() -> None:
    plain = CustomDefinition("w", KeywordRule(("a",)))
    others = [
        CustomDefinition("w", KeywordRule(("b",))),
        CustomDefinition("w", KeywordRule(("a",)), where="prompt"),
        CustomDefinition("w", KeywordRule(("a",)), value="count"),
        CustomDefinition("w", KeywordRule(("a",), whole=False)),
        CustomDefinition("w", MustContainRule(("a",))),
        CustomDefinition("w", PatternRule("a")),
    ]
    assert len({plain.version, *(one.version for one in others)}) == 1 + len(others)
    named = CustomDefinition("w", KeywordRule(("a",)), floor=0.1, title="T", noun="n")
    assert named.version == plain.version


NASTY = (
    "a " * 300,
    "\u0301" * 500,
    "\ufffd\ufffd",
    "\ud800",
    "\U0001f469\u200d\U0001f469" * 100,
    "\0\x1b[31m\x07",
    "\u202egnirts",
    "```" * 200,
    "ß" * 300,
    "İ" * 300,
    "{" * 300,
    "x" * 5000,
)


@pytest.mark.parametrize("text", NASTY)
def test_no_text_raises(text: str) -> None:
    for signal in OWN.values():
        measured = signal.measure(said(text))
        assert measured.value is not None or measured.reason
        for hit in signal.hits(said(text), 5):
            assert 0 <= hit.start <= hit.end <= len(hit.text)


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=80), st.text(min_size=1, max_size=8))
def test_a_text_that_holds_the_keyword_between_spaces_has_it(text: str, keyword: str) -> None:
    rule = KeywordRule((keyword,))
    try:
        rule.check()
    except RuleRefused:
        return
    if any(char.isspace() for char in keyword.strip()) or keyword != keyword.strip():
        return
    assert rule.look(f"{text} {keyword} {text}", cut=False, most=1).n == 1


def test_a_schema_is_told_as_json() -> None:
    assert json.loads(JsonSchemaRule.of({"required": ("a", "b")}).source) == {"required": ["a", "b"]}
