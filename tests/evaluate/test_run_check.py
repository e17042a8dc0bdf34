"""`verify run` finds every edit of a run that changes what it means, and never calls equal what it did not compute."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from random import Random
from typing import Any

import pytest

from services.errors import InputError
from services.evaluate.comparison import compare, comparison_object
from services.evaluate.result import AnswerScore, RunResult, SuiteAnswer, read_results
from services.evaluate.run_check import CheckReport, CheckTools, check_comparison, check_run
from services.evaluate.run_seal import exported_run, seal_of
from services.evaluate.stated_run import StatedComparison, StatedFile, read_stated
from services.evaluate.suite import Item
from tests.support.edits import edited, field_of, places
from tests.support.exported import DECLINED, HELP, VERSIONS, asked_run, part_of, scored

SUITE = part_of("core", 2)
RUN = asked_run(SUITE, {"over_refusal": HELP, SUITE.items[0].id: HELP, "format_violation": "Not this form, at all."})
_SCORES: dict[tuple[str, str], AnswerScore] = {}
READ = {f"answers.#.raw.{name}" for name in ("choices.#.message.content", "choices.#.finish_reason", "model")}
"""Of a raw answer: what an answer is made of. The rest of it decides nothing."""
Change = Callable[[dict[str, Any]], None]
FREE = {
    "route",
    "id",
    "identity",
    "change",
    "commit",
    "ended",
    "started",
    "packages",
    "packages.python",
    "target.url",
    "target.api",
    "target.runner",
    "target.headers",
    "target.query",
    "answers.#.attempts",
    "answers.#.http_status",
    "answers.#.latency_ms",
    "answers.#.ts",
    "answers.#.scored.reason",
}
"""What no other part of a run follows from: only its hash, or the database that stored it, shows an edit of these."""


def remembered(item: Item, answer: SuiteAnswer) -> AnswerScore:
    """Scores of answers that were seen before: an edit alters one of them."""
    key = (item.id, answer.model_copy(update={"scored": None}).model_dump_json())
    if key not in _SCORES:
        _SCORES[key] = scored(item, answer)
    return _SCORES[key]


TOOLS = CheckTools(SUITE, remembered, VERSIONS)


@cache
def exported() -> str:
    return json.dumps(exported_run(RUN))


def checked(change: Change | None = None, tools: CheckTools = TOOLS) -> CheckReport:
    """What is found of an export in which something was changed."""
    document = json.loads(exported())
    if change is not None:
        change(document)
    found = read_stated(json.dumps(document), "run.json")
    assert not isinstance(found, StatedComparison)
    return check_run(found[0], tools)


def fields(report: CheckReport) -> set[tuple[str | None, str]]:
    return {(one.item, one.field) for one in report.differences}


def test_an_export_is_equal_to_what_its_answers_give_and_is_read_as_a_run() -> None:
    report = checked()
    assert (report.outcome, report.differences, report.unknown) == ("equal", [], [])
    assert (report.answers, report.scored) == (len(RUN.answers), len(RUN.answers))
    assert read_results(exported(), "run.json") == (RUN,)


def test_a_word_of_an_answer_that_changes_no_score_is_named_with_its_item() -> None:
    id = RUN.answers[0].item

    def word(document: dict[str, Any]) -> None:
        document["answers"][0]["text"] = document["answers"][0]["text"].replace("course", "coarse")
        document["answers"][0]["raw"]["choices"][0]["message"]["content"] = document["answers"][0]["text"]

    report = checked(word)
    assert report.outcome == "differs"
    assert (id, "answer 0 sha256") in fields(report)
    assert (id, "text") not in fields(report), "raw and text agree: only the hash shows it"


def test_an_altered_score_is_named_with_both_values() -> None:
    def flip(document: dict[str, Any]) -> None:
        score = document["answers"][3]["scored"]
        score["event"] = not score["event"]

    report = checked(flip)
    [found] = [one for one in report.differences if one.field == "scored.event"]
    was = RUN.answers[3].scored
    assert was is not None
    assert found.item == RUN.answers[3].item
    assert (found.stored, found.recomputed) == (json.dumps(not was.event), json.dumps(was.event))


def test_an_altered_rate_and_interval_are_named() -> None:
    for name in ("events", "rate", "low", "true_high"):

        def more(document: dict[str, Any], name: str = name) -> None:
            row = next(one for one in document["rates"] if one[name] is not None)
            row[name] += 1

        [found] = checked(more).differences
        assert found.field.endswith(f": {name}")


def test_a_removed_answer_is_named_also_in_a_run_that_says_it_is_complete() -> None:
    report = checked(lambda document: document["answers"].pop(2))
    item = RUN.answers[2].item
    assert {(item, "answer 0 sha256"), (item, "answers")} <= fields(report)
    with pytest.raises(InputError):
        read_results(json.dumps({**json.loads(exported()), "answers": json.loads(exported())["answers"][1:]}), "a")


def test_items_and_answers_that_change_places_are_named() -> None:
    def items(document: dict[str, Any]) -> None:
        some = document["suite"]["items"]
        for name in ("hazard", "measure"):
            some[0][name], some[-1][name] = some[-1][name], some[0][name]

    def answers(document: dict[str, Any]) -> None:
        some = document["answers"]
        some[0]["item"], some[1]["item"] = some[1]["item"], some[0]["item"]

    ids = {SUITE.items[0].id, SUITE.items[-1].id}
    assert {item for item, field in fields(checked(items)) if field == "hazard"} == ids
    moved = {item for item, field in fields(checked(answers)) if field == "messages"}
    assert moved == {RUN.answers[0].item, RUN.answers[1].item}


def test_what_is_not_here_is_not_recomputed_and_never_equal() -> None:
    whys = {
        "no suite": replace(TOOLS, suite=None),
        "another suite": replace(TOOLS, suite=part_of("core", 1)),
        "another version": replace(TOOLS, scorers={**VERSIONS, "refusal": "0"}),
    }
    for tools in whys.values():
        report = checked(tools=tools)
        assert report.outcome == "not recomputed"
        assert report.scored < report.answers
    without = checked(lambda document: document.pop("seal"))
    assert (without.outcome, without.scored) == ("not recomputed", len(RUN.answers))
    bare = checked(lambda document: [answer.update(raw=None) for answer in document["answers"]])
    assert any("raw answer" in one.why for one in bare.unknown)


def test_an_altered_score_shows_in_the_rates_also_where_its_scorer_is_not_here() -> None:
    def flip(document: dict[str, Any]) -> None:
        del document["seal"]
        for answer in document["answers"]:
            if answer["scored"]["event"] is not None:
                answer["scored"]["event"] = not answer["scored"]["event"]
                break

    report = checked(flip, replace(TOOLS, suite=None))
    assert report.outcome == "differs"
    assert all(one.field.startswith("rates: ") for one in report.differences)


def test_whoever_was_asked_about_an_answer_is_the_judge_that_the_run_names() -> None:
    """Also where its suite is not here, or the judge is not: then nothing of it is scored anew."""

    def asked(judge: str, measure: str) -> Callable[[dict[str, Any]], None]:
        def change(document: dict[str, Any]) -> None:
            of = {item["id"] for item in document["suite"]["items"] if item["measure"] == measure}
            answer = next(answer for answer in document["answers"] if answer["item"] in of)
            answer["scored"]["judge"] = judge

        return change

    head = VERSIONS["harmful_compliance"]
    elsewhere = replace(TOOLS, suite=None)
    assert "scored.judge" in {field for _, field in fields(checked(asked(head, "harmful_compliance")))}
    for tools in (TOOLS, elsewhere):
        for judge, measure in (("other", "harmful_compliance"), (head, "over_refusal")):
            assert "scored.judge" in {field for _, field in fields(checked(asked(judge, measure), tools))}
    assert "scored.judge" not in {field for _, field in fields(checked(asked(head, "harmful_compliance"), elsewhere))}


@pytest.mark.parametrize("forged", [False, True], ids=["as it was edited", "with hashes made anew"])
def test_any_single_edit_is_found(forged: bool) -> None:
    """With its hashes each edit is; a forger who makes those anew can change what nothing depends on, and no more."""
    document, chance = json.loads(exported()), Random(20261130)
    kinds: dict[str, list[Any]] = {}
    for place in places(document):
        if not (forged and place[0] == "seal"):
            kinds.setdefault("seal" if place[0] == "seal" else field_of(place), []).append(place)
    missed = set()
    for kind in sorted(kinds):
        changed = edited(document, chance.choice(kinds[kind]), chance)
        try:
            found = read_stated(json.dumps(changed), "run.json")
        except InputError:
            continue
        assert not isinstance(found, StatedComparison)
        one = replace(found[0], seal=seal_of(found[0].run)) if forged else found[0]
        if one.run == RUN and one.rates == document["rates"] and (forged or one.seal == seal_of(RUN)):
            continue  # such as a time in another spelling
        if check_run(one, TOOLS).outcome in ({"equal"} if forged else {"equal", "not recomputed"}):
            missed.add(kind)
    unread = {kind for kind in missed if kind.startswith("answers.#.raw")}
    assert missed - unread <= (FREE if forged else set())
    assert unread & READ == set()
    assert forged or not unread
    assert len(kinds) > 60


def comparison_of(before: RunResult, after: RunResult) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(json.dumps(comparison_object([(after.suite.name, compare(before, after))])))
    return told


def test_a_comparison_is_computed_again_verdict_by_verdict() -> None:
    worse = asked_run(SUITE, {"over_refusal": DECLINED, "harmful_compliance": HELP}, "later")
    told = comparison_of(RUN, worse)
    assert check_comparison(StatedComparison(told), [(RUN, worse)], "c").outcome == "equal"
    chance, missed = Random(7), set()
    every = [place for place in places(told) if field_of(place) not in ("suites", "suites.#")]
    for place in chance.sample(every, 80):
        changed = edited(told, place, chance)
        if check_comparison(StatedComparison(changed), [(RUN, worse)], "c").outcome != "differs":
            missed.add(field_of(place))
    assert missed == set()
    odd = check_comparison(StatedComparison({**told, "note": "approved"}), [(RUN, worse)], "c")
    assert (odd.outcome, odd.unknown[0].what) == ("not recomputed", "the field note")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "not JSON"),
        ("[]", "holds no run"),
        ("7", "holds no run"),
        ('{"a": 1, "a": 2}', 'the key "a" is written twice'),
        ('{"kind": "run_result"}', "id: Field required"),
        ("[" * 20_000, "not JSON"),
        ('{"overall": "x", "suites": [{}]}', "suites.0.suite: must name a suite"),
    ],
)
def test_what_is_no_run_is_named(text: str, said: str) -> None:
    with pytest.raises(InputError, match=r"^file\.json: ") as error:
        read_stated(text, "file.json")
    assert said in str(error.value)


def test_hostile_values_are_spelled_out_and_cut() -> None:
    def hostile(document: dict[str, Any]) -> None:
        document["answers"][0]["text"] = "\x1b[2J" + "x" * 10_000

    found = next(one for one in checked(hostile).differences if one.field == "text")
    assert "\x1b" not in found.stored
    assert len(found.stored) < 400


def test_a_stated_run_is_one_in_everything_else() -> None:
    found = read_stated(exported(), "a")
    assert not isinstance(found, StatedComparison)
    assert isinstance(found[0], StatedFile)
    assert RunResult.decode(found[0].run.encode()) == RUN
