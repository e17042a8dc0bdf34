"""`keelwatch suite` and `keelwatch eval compare`, as a person and a program see them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from services.evaluate.result import RunResult
from services.wording import nouns, runs
from services.wording.evaluations import seen
from tests.support.results import result, suite_of, worse

CORE = suite_of(repeats=3)
GOOD, BAD = result(CORE), result(CORE, {**worse("harmful", 9, 3), **worse("canary", 1, 3)})
KEYS = {"hazard", "measure", "n", "before", "after", "delta", "low", "high", "p_adjusted", "mde", "verdict", "flipped"}


@pytest.fixture
def files(tmp_path):
    """Write runs to files."""

    def write(**runs: RunResult | list[RunResult]) -> list[Path]:
        for name, run in runs.items():
            listed = [json.loads(one.encode()) for one in (run if isinstance(run, list) else [run])]
            (tmp_path / name).write_text(json.dumps(listed if isinstance(run, list) else listed[0]))
        return [tmp_path / name for name in runs]

    return write


def test_compare_writes_the_object_of_the_contract(keelwatch, files, tmp_path) -> None:
    good, bad = files(good=GOOD, bad=BAD)
    code, _, _ = keelwatch("eval", "compare", good, bad, "--json", tmp_path / "out.json")
    found = json.loads((tmp_path / "out.json").read_text())
    assert (code, found["overall"]) == (0, "regressed")
    assert found["reason"].startswith("made: ")
    assert runs.leaks_now(["canary-0"]) in found["reason"]
    assert all(set(row) == KEYS for row in found["hazards"])
    pooled = {row["measure"]: row for row in found["hazards"] if row["hazard"] == "all"}
    assert list(pooled) == ["harmful_compliance", "over_refusal", "canary"]
    assert pooled["canary"]["flipped"] == ["canary-0"]
    assert [row["verdict"] for row in pooled.values()] == ["regressed", "unchanged", "regressed"]


@pytest.mark.parametrize(("order", "overall"), [("ab", "regressed"), ("ba", "improved"), ("aa", "unchanged")])
def test_people_get_a_table_and_one_word(keelwatch, files, order: str, overall: str) -> None:
    by_name = dict(zip("ab", files(good=GOOD, bad=BAD), strict=True))
    code, said, _ = keelwatch("eval", "compare", *(by_name[name] for name in order))
    assert code == 0
    assert said.endswith(f"overall: {overall}\n")
    assert nouns.measure("harmful_compliance") in said
    assert nouns.measure("canary") in said


def test_several_suites_are_compared_each_with_its_own(keelwatch, files) -> None:
    other = result(suite_of(name="other"))
    before, after, less = files(before=[GOOD, other], after=[other, BAD], less=[GOOD])
    code, said, _ = keelwatch("eval", "compare", before, after, "--json", "-")
    found = json.loads(said)
    assert (code, found["overall"]) == (0, "regressed")
    assert {one["suite"]: one["overall"] for one in found["suites"]} == {"other": "unchanged", "made": "regressed"}
    assert found["hazards"] == [row for one in found["suites"] for row in one["hazards"]]
    code, said, _ = keelwatch("eval", "compare", less, after, "--json", "-")
    assert {one["suite"]: one["overall"] for one in json.loads(said)["suites"]}["other"] == "inconclusive"
    code, _, complaint = keelwatch("eval", "compare", before, less)
    assert (code, complaint) == (2, "keelwatch: suite other is in the first RUN and not in the second; run it again\n")


def test_a_run_that_failed_is_shown_with_its_reason(keelwatch, files) -> None:
    failed = result(CORE, status="failed", reason="[bold]the endpoint answered 500", answers=())
    good, bad = files(good=GOOD, bad=failed)
    code, said, _ = keelwatch("eval", "compare", good, bad)
    assert code == 0
    assert "inconclusive" in said
    assert "[bold]the endpoint" in said


def test_a_run_that_is_not_there_is_named(keelwatch, files, tmp_path) -> None:
    (good,) = files(good=GOOD)
    code, _, complaint = keelwatch("eval", "compare", good, tmp_path / "absent")
    assert code == 2
    assert complaint.startswith(f"keelwatch: {tmp_path / 'absent'}: No such file or directory; name a file")
    (tmp_path / "image").write_bytes(b"\xff\xfe")
    assert keelwatch("eval", "compare", tmp_path / "image", good)[0] == 2


def test_suites_are_listed(keelwatch) -> None:
    code, said, _ = keelwatch("suite", "list", "--json", "-")
    core, wide, smoke = json.loads(said)
    assert (code, smoke["name"], smoke["items"], smoke["answers"]) == (0, "smoke", 49, 49)
    assert smoke["measures"] == {"canary": 9, "harmful_compliance": 20, "over_refusal": 20}
    assert (core["name"], core["items"] >= 240, core["answers"]) == ("core", True, core["items"])
    assert (wide["name"], wide["items"] >= 1_000) == ("core-wide", True)
    code, said, _ = keelwatch("suite", "list")
    assert (code, "core" in said) == (0, True)


def test_lint_says_what_a_suite_can_tell(keelwatch) -> None:
    code, said, _ = keelwatch("suite", "lint", "smoke")
    assert code == 0
    assert seen("over_refusal", 20, 0.42) in said
    assert said.endswith("49 answers a run\n")


def test_lint_names_every_mistake_and_exits_2(keelwatch, tmp_path) -> None:
    (tmp_path / "suite.yaml").write_text('name: own\nversion: "1"\ntitle: Own\nhazards: {fraud: Fraud}\n')
    (tmp_path / "items.jsonl").write_text('{"id": "a"}\n{"id": "b", "hazard": "[red]"}\n')
    code, said, _ = keelwatch("suite", "lint", tmp_path)
    assert code == 2
    assert f"{tmp_path}/items.jsonl:1: error: hazard: is missing" in said
    assert "items.jsonl:2: error: measure: is missing" in said
    code, said, _ = keelwatch("suite", "lint", tmp_path, "--json", "-")
    found = json.loads(said)
    assert (code, found["usable"], found["suite"]) == (2, False, None)
    assert len(found["problems"]) == 6
    assert keelwatch("suite", "lint", "nowhere")[0] == 2


@pytest.mark.parametrize(
    ("order", "fail_on", "code"),
    [
        ("ab", "regressed", 1),
        ("ab", "inconclusive", 0),
        ("aa", "regressed,inconclusive", 0),
        ("ba", "unchanged, improved", 1),
        ("af", "inconclusive,regressed", 1),
        ("af", "regressed", 0),
    ],
)
def test_compare_is_a_gate_by_the_outcomes_that_fail_it(keelwatch, files, order, fail_on, code) -> None:
    failed = result(CORE, status="failed", reason="the endpoint answered 500", answers=())
    by_name = dict(zip("abf", files(good=GOOD, bad=BAD, failed=failed), strict=True))
    compared = ("eval", "compare", *(by_name[name] for name in order), "--fail-on", fail_on)
    found, said, _ = keelwatch(*compared)
    assert (found, "overall: " in said) == (code, True)


def test_one_suite_of_several_is_enough_to_fail_the_gate(keelwatch, files) -> None:
    other = result(suite_of(name="other"))
    before, after = files(before=[GOOD], after=[other, GOOD])
    assert keelwatch("eval", "compare", before, after, "--fail-on", "inconclusive")[0] == 1
    assert keelwatch("eval", "compare", before, after, "--fail-on", "regressed")[0] == 0


@pytest.mark.parametrize("fail_on", ["worse", "regressed,", "", "Regressed", "[red]"])
def test_an_outcome_that_there_is_none_of_is_refused_before_anything_is_read(keelwatch, fail_on: str) -> None:
    code, said, complaint = keelwatch("eval", "compare", "absent", "absent", "--fail-on", fail_on)
    assert (code, said) == (2, "")
    assert complaint.startswith("keelwatch: --fail-on: ")
    assert "regressed, improved, unchanged, inconclusive" in " ".join(complaint.split())


def test_a_summary_is_added_to_a_file_as_markdown(keelwatch, files, tmp_path) -> None:
    good, bad = files(good=GOOD, bad=BAD)
    summary = tmp_path / "summary.md"
    summary.write_text("before\n")
    assert keelwatch("eval", "compare", good, bad, "--summary", summary, "--fail-on", "regressed")[0] == 1
    told = summary.read_text()
    assert told.startswith("before\n### Safety suites: regressed\n")
    assert "| made | regressed | " in told
    code, _, complaint = keelwatch("eval", "compare", good, bad, "--summary", tmp_path)
    assert (code, f"--summary {tmp_path}: Is a directory" in complaint) == (2, True)
