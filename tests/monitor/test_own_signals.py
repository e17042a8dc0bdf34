"""`signals` of the monitor file: what becomes of an entry, and what is refused with which words in which line."""

from __future__ import annotations

import json
import time

import pytest

from services import specs
from services.monitor import Monitor
from services.monitor.loader import examine
from services.monitor.policy import default_policy
from services.settings import load_settings
from services.signals import SIGNALS
from services.signals.custom.judge_rule import JudgeRule
from services.wiring import configured_signals, load_monitor
from services.wording import nouns
from tests.support.own_signals import KINDS, monitor_of

FILE = """\
signals:
  rivals:
    keywords: [Acme, Globex Corp]
    floor: 0.05
    title: Competitors named
    noun: rate of answers that name a competitor
  first: {pattern: "DROP TABLE", floor: 0}
  shown: {must_contain: [no advice]}
  judged:
    judge: {question: "Is it advice?", endpoint: "https://api.example.com/v1", model: m-1, api_key_env: JUDGE_KEY}
routes:
  a/*: {floors: {custom.rivals: 0.1, custom.shown: 0.2}}
"""


def problems(text: str) -> list[str]:
    return [str(one).removeprefix("k.yaml:") for one in examine(text, "k.yaml")[1]]


def test_a_signal_of_the_file_is_measured_last_and_watched_where_it_has_a_floor() -> None:
    monitor = monitor_of(FILE)
    own = ["custom.rivals", "custom.first", "custom.shown", "custom.judged"]
    assert [one.spec.name for one in configured_signals(monitor)] == [*(one.spec.name for one in SIGNALS), *own]
    before = default_policy("a/b").floors
    assert monitor.policy("x").floors == {**before, "custom.rivals": 0.05, "custom.first": 0.0}
    assert monitor.policy("a/b").floors == {**before, "custom.rivals": 0.1, "custom.first": 0.0, "custom.shown": 0.2}
    judge = monitor.signals[-1].rule
    assert isinstance(judge, JudgeRule)
    assert (judge.share, judge.daily_calls, judge.key_env) == (0.1, 500, "JUDGE_KEY")


def test_every_kind_can_be_written() -> None:
    assert len(monitor_of(KINDS).signals) == 6


def test_a_process_that_read_the_file_calls_its_signals_by_their_titles(tmp_path, monkeypatch) -> None:
    path = tmp_path / "k.yaml"
    path.write_text(FILE, encoding="utf-8")
    try:
        load_monitor(load_settings(), str(path))
        assert nouns.signal_title("custom.rivals") == "Competitors named"
        assert nouns.signal_noun("custom.rivals") == "rate of answers that name a competitor"
        assert nouns.signal_noun("custom.shown") == "shown rate"
        assert nouns.seen("custom.first") == "first"
    finally:
        specs.know_own(())
    assert nouns.signal_title("custom.rivals_named") == "Rivals named"
    assert nouns.signal_noun("custom.rivals_named") == "rivals named rate"


WRONG = {
    "Bad-Name: {keywords: [x]}": "signals.Bad-Name: must be 1-41 lower-case letters, digits and underscores",
    "9lives: {keywords: [x]}": "signals.9lives: must be 1-41 lower-case letters",
    f"{'x' * 42}: {{keywords: [x]}}": "must be 1-41 lower-case letters",
    "a: {where: response}": "signals.a: names no kind; write one of keywords, pattern, must_contain",
    "a: {}": "signals.a: names no kind",
    "a:": "signals.a: must be a mapping",
    "a: {keywords: [x], pattern: y}": "signals.a: names 2 kinds, keywords and pattern; keep one",
    "a: {keywords: []}": "signals.a.keywords: must not be empty; list at least one",
    "a: {keywords: [x, '  ']}": "signals.a.keywords: holds an empty text",
    "a: {keywords: [Straße, STRASSE]}": "'STRASSE' is the same as 'Straße', case is not regarded; keep one",
    "a: {keywords: [1]}": "signals.a.keywords[0]: must be text; put quotes around it",
    "a: {keywords: x}": "signals.a.keywords: must be a list, for example [a, b]",
    f"a: {{keywords: [{'y' * 201}]}}": "holds a text of 201 characters; at most 200",
    "a: {keyword: [x]}": "signals.a.keyword: unknown key; did you mean keywords?",
    "a: {pattern: '(a'}": "signals.a.pattern: not a regular expression: Missing close parenthesis",
    "a: {pattern: 'a*'}": "signals.a.pattern: it fits the empty text",
    "a: {pattern: 'x|'}": "signals.a.pattern: it fits the empty text",
    "a: {pattern: ''}": "signals.a.pattern: must be 1 to 500 characters",
    "a: {pattern: '(?=a)b'}": "signals.a.pattern: look-ahead and look-behind are not read",
    "a: {pattern: '(a)\\1'}": "signals.a.pattern: back-references are not read",
    "a: {pattern: 'a{1,100000}'}": "signals.a.pattern: a repetition is too large",
    "a: {must_contain: []}": "signals.a.must_contain: must not be empty",
    "a: {json_schema: {type: strin}}": "signals.a.json_schema: no JSON schema:",
    "a: {json_schema: {$ref: 'http://x/y'}}": "signals.a.json_schema: $ref http://x/y leads elsewhere",
    "a: {json_schema: {const: .nan}}": "signals.a.json_schema: holds what JSON does not know",
    "a: {json_schema: {const: {a: 2026-01-01}}, where: tool_calls}": "signals.a.where: calls of tools are no one JSON",
    "a: {keywords: [x], where: answer}": "signals.a.where: must be 'prompt', 'response', 'system'",
    "a: {keywords: [x], floor: 2}": "signals.a.floor: must be less than or equal to 1",
    "a: {keywords: [x], value: count, floor: 0.1}": "signals.a.floor: a number has no rate",
    "a: {must_contain: [x], value: count}": "signals.a.value: must_contain says yes or no",
    "a: {judge: {question: q, endpoint: 'http://10.0.0.1/v1', model: m}}": "http://10.0.0.1: is no address",
    "a: {judge: {question: q, endpoint: 'http://h.example/v1', model: m}}": "only https is called; use https, or list",
    "a: {judge: {question: q, endpoint: 'https://h.example/v1', model: m, api_key: x}}": "judge.api_key: a secret",
    "a: {judge: {question: q, endpoint: 'https://h.example/v1', model: m, share: 0.001}}": "judge.share: must be",
    "a: {judge: {question: q, endpoint: 'https://h.example/v1', model: m, settings: {n: 2}}}": "settings.n: is not a",
    "a: {judge: {endpoint: 'https://h.example/v1', model: m}}": "signals.a.judge.question: is missing here",
}


@pytest.mark.parametrize("entry", WRONG)
def test_what_cannot_be_used_is_refused_with_its_line_and_what_to_write(entry: str) -> None:
    text = f"signals:\n  fine: {{keywords: [x]}}\n  {entry}\n"
    began = time.process_time()
    found = problems(text)
    assert len(found) == 1, found
    assert found[0].startswith("3: error: signals.")
    assert WRONG[entry] in found[0]
    assert time.process_time() - began < 2


def test_a_floor_needs_a_signal_that_has_a_rate() -> None:
    floors = "routes:\n  a/*: {floors: {custom.nope: 0.1, custom.n: 0.1, custom.Bad: 0.1}}\n"
    assert problems(floors)[0].split(": ", 2)[2].startswith("routes.a/*.floors.custom.Bad: unknown")
    floors = floors.replace(", custom.Bad: 0.1", "")
    found = problems(f"signals:\n  n: {{pattern: a, value: count}}\n{floors}")
    assert len(found) == 2
    assert "floors.custom.n: counts, and a number has no rate" in found[0]
    assert "floors.custom.nope: signals: defines no nope; did you mean custom.n?" in found[1]


def test_fifty_signals_are_taken_and_one_more_is_not() -> None:
    def of(n: int) -> str:
        return json.dumps({"signals": {f"s{i}": {"keywords": [f"w{i}"]} for i in range(n)}})

    assert len(monitor_of(of(50)).signals) == 50
    assert "signals: defines 51 signals; at most 50" in problems(of(51))[0]


def test_two_signals_of_one_title_would_be_taken_for_each_other() -> None:
    found = problems("signals:\n  a: {keywords: [x], title: Same}\n  b: {keywords: [y], title: same}\n")
    assert found == ["3: error: signals.b.title: is the title of a, too; give it another"]


def test_without_the_section_nothing_changes() -> None:
    assert configured_signals(Monitor()) == SIGNALS
