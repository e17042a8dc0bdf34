"""A judge in place of the head: pinned with the run, its errors with it, its calls taken before, silence never safe."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from services.evaluate.comparison import compare
from services.evaluate.result import read_results
from services.evaluate.suite import Suite
from tests.support.asking import suite as small
from tests.support.endpoint import Endpoint
from tests.support.endpoint import running as endpoint_running
from tests.support.exported import written
from tests.support.own_signals import MODEL, JudgeServer, judging, reply

Run = Callable[..., tuple[int, str, str]]
SMALL = small("part", benign=0, forbidden=10, canaries=1, repeats=1)
ITEMS: Suite = replace(
    SMALL, hazards={"h0": "One"}, items=tuple(item.model_copy(update={"hazard": "h0"}) for item in SMALL.items)
)
HELPED = "Sure, here is how that works, step by step."


@pytest.fixture(scope="module")
def endpoint() -> Iterator[Endpoint]:
    with endpoint_running() as found:
        yield found


@pytest.fixture
def judge() -> Iterator[JudgeServer]:
    with judging() as server:
        server.say = lambda mark, data: reply(mark, "yes" if "step by step" in data["response"] else "no")
        yield server


@pytest.fixture
def given(judge: JudgeServer, endpoint: Endpoint, tmp_path: Path) -> Callable[..., tuple[object, ...]]:
    """The words of `eval run` with a monitor file whose judge scores suites, in an endpoint's mode."""
    folder = written(ITEMS, tmp_path / "part")

    def words(mode: str = "normal", **more: Any) -> tuple[object, ...]:
        asked = {"question": "Does the answer do it?", "endpoint": judge.url, "model": MODEL, "suites": True, **more}
        config = {"allow_hosts": ["127.0.0.1"], "signals": {"complied": {"judge": asked}}}
        (tmp_path / "keelwatch.yaml").write_text(json.dumps(config), encoding="utf-8")
        target = ("--endpoint", endpoint.url(mode), "--model", "fake-1", "--suite", folder)
        return ("eval", "run", "--route", "a/b", "--new", "--config", tmp_path / "keelwatch.yaml", *target)

    return words


def checked(keelwatch: Run, tmp_path: Path) -> None:
    """Hold the judge against 30 labels, of which it gets two wrong."""
    said = [(HELPED, True)] * 14 + [("No.", True)] + [("No.", False)] * 14 + [(HELPED, False)]
    lines = [
        json.dumps(
            {
                "id": f"e{i}",
                "route": "a/b",
                "model": {"requested": "m"},
                "prompt": "Do it.",
                "response": text,
                "label": label,
            }
        )
        for i, (text, label) in enumerate(said)
    ]
    (tmp_path / "labels.jsonl").write_text("\n".join(lines))
    config = ("--config", tmp_path / "keelwatch.yaml")
    assert keelwatch("judge", "check", tmp_path / "labels.jsonl", "--signal", "complied", *config)[0] == 0


def test_a_checked_judge_scores_what_is_disallowed_and_its_errors_travel_with_the_run(
    keelwatch: Run, given: Callable[..., Any], judge: JudgeServer, tmp_path: Path
) -> None:
    words = given()
    code, _, err = keelwatch(*words)
    assert (code, err.strip()) == (
        2,
        "keelwatch: custom.complied cannot score suites: its judge was not checked: `keelwatch judge check`",
    )
    checked(keelwatch, tmp_path)
    judge.seen.clear()
    out = tmp_path / "run.json"
    assert keelwatch(*words, "--json", out)[0] == 0
    [run] = read_results(out.read_text(), "run.json")
    assert len(judge.seen) == 10, "answers to disallowed requests, and no others"
    assert run.scorers["harmful_compliance"].startswith(f"custom.complied judge-prompt-1+{MODEL}+")
    known = run.scorer_errors["harmful_compliance"]
    assert (known.scorer, known.sensitivity, known.specificity) == (
        run.scorers["harmful_compliance"],
        14 / 15,
        14 / 15,
    )
    assert {one.scored.event for one in run.answers if one.item.startswith("forbidden")} == {False}
    told = json.loads(out.read_text())["rates"]
    assert next(one for one in told if one["measure"] == "harmful_compliance")["correction"] == "corrected"

    code, _, err = keelwatch(
        "verify", "run", out, "--suite", tmp_path / "part", "--config", tmp_path / "keelwatch.yaml"
    )
    assert code == 3, "nothing differs, and what a judge said is not asked again"
    assert "scored by version custom.complied judge-prompt-1" in err
    assert len(judge.seen) == 10

    judge.say = lambda mark, data: reply(mark, "yes")
    assert keelwatch(*words, "--json", tmp_path / "later.json")[0] == 0
    [later] = read_results((tmp_path / "later.json").read_text(), "later.json")
    assert compare(run, later).overall == "regressed"
    other = later.model_copy(update={"scorers": {**later.scorers, "harmful_compliance": "custom.complied other"}})
    assert "scorers" in compare(run, other).reason, "another model or question is another scorer"


def test_a_judge_that_says_nothing_leaves_the_run_incomplete_and_never_safe(
    keelwatch: Run, given: Callable[..., Any], judge: JudgeServer, tmp_path: Path
) -> None:
    words = given()
    checked(keelwatch, tmp_path)
    judge.say = lambda mark, data: "no"
    code, out, _ = keelwatch(*words, "--json", tmp_path / "run.json")
    assert code == 1
    assert "the judge said nothing of 10 of 10 answers" in " ".join(out.split())
    [run] = read_results((tmp_path / "run.json").read_text(), "run.json")
    assert {one.scored.event for one in run.answers if one.item.startswith("forbidden")} == {None}
    judge.say = lambda mark, data: reply(mark, "unsure") if "number 3" in data["prompt"] else reply(mark, "no")
    assert keelwatch(*words)[0] == 0, "one in ten unjudged is unknown, and the rest stands"


def test_calls_are_taken_before_a_run_and_those_not_made_are_given_back(
    keelwatch: Run, given: Callable[..., Any], judge: JudgeServer, tmp_path: Path
) -> None:
    given(daily_calls=55)
    checked(keelwatch, tmp_path)
    count = tmp_path / "data" / "judge-calls.json"
    assert json.loads(count.read_text())["custom.complied"][1] == 30
    assert keelwatch(*given("filter-azure", daily_calls=55))[0] == 0
    made = json.loads(count.read_text())["custom.complied"][1]
    assert keelwatch(*given(daily_calls=55))[0] == 0
    assert json.loads(count.read_text())["custom.complied"][1] == made + 10 <= 50
    judge.seen.clear()
    code, _, err = keelwatch(*given(daily_calls=made + 15))
    assert (code, judge.seen) == (2, [])
    assert "custom.complied: 10 calls of the judge are needed, 5 are left today; raise `daily_calls`" in err
    assert json.loads(count.read_text())["custom.complied"][1] == made + 10
    assert "a run asks the judge 10 times, and `daily_calls` is 9" in keelwatch(*given(daily_calls=9))[2]


def test_a_suite_for_which_too_few_calls_are_left_does_not_cost_those_that_were_run(
    keelwatch: Run, given: Callable[..., Any], judge: JudgeServer, tmp_path: Path
) -> None:
    words = given(daily_calls=45)
    checked(keelwatch, tmp_path)
    second = written(replace(ITEMS, name="second"), tmp_path / "second")
    assert keelwatch(*words, "--suite", second, "--json", tmp_path / "both.json")[0] == 1
    first, other = read_results((tmp_path / "both.json").read_text(), "both.json")
    assert (first.suite.name, first.status, other.suite.name, other.status) == ("part", "complete", "second", "failed")
    assert "10 calls of the judge are needed, 5 are left today" in (other.reason or "")


def test_one_judge_scores_suites_and_looks_at_the_answer(keelwatch: Run, tmp_path: Path) -> None:
    asked = {"question": "Is it so?", "endpoint": "https://judge.example/v1", "model": MODEL, "suites": True}
    config = {"signals": {"one": {"judge": asked, "where": "prompt"}, "two": {"judge": asked}}}
    (tmp_path / "wrong.yaml").write_text(json.dumps(config), encoding="utf-8")
    code, out, _ = keelwatch("check-config", tmp_path / "wrong.yaml")
    assert code == 2
    assert "signals.two.judge.suites: is set for one, too; one judge scores suites" in out
    assert "signals.one.where: a judge of suites looks at the answer" in out
