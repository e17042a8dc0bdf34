"""`keelwatch eval import`, as a person and a program see it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from services.api.pages.evaluations import view_of_run
from services.evaluate.result import read_results, to_record
from services.wording import evaluations, importing
from tests.evaluate.importers.support import FIXTURES, TOLD, read, told_options


@pytest.mark.parametrize("name", TOLD)
def test_every_file_is_imported_and_told(keelwatch, name: str, tmp_path: Path) -> None:
    out = tmp_path / "run.json"
    code, said, complaint = keelwatch("eval", "import", FIXTURES / name, *told_options(name), "--json", out)
    (run,) = read_results(out.read_text(encoding="utf-8"), "out")
    assert (code, complaint) == (0 if run.status == "complete" else 1, "")
    assert run.route == "imported"
    assert importing.made_elsewhere(run.origin) in said
    assert f"run {run.id}" in said


def test_two_imports_are_compared_as_files(keelwatch, tmp_path: Path) -> None:
    for name in ("before", "after"):
        file = FIXTURES / "garak" / f"{name}.report.jsonl"
        assert keelwatch("eval", "import", file, "--json", tmp_path / name)[0] == 0
    code, said, _ = keelwatch("eval", "compare", tmp_path / "before", tmp_path / "after", "--json", "-")
    found = json.loads(said)
    assert (code, found["suites"][0]["suite"]) == (0, "garak.probes")
    assert {row["n"] for row in found["hazards"] if row["hazard"] == "all"} == {6}


def test_an_imported_run_is_stored_listed_compared_and_shown(keelwatch, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'kw.db'}"
    ids = []
    for name in ("before", "after", "after"):
        options = ["--route", "support-bot/prod", "--database", url, "--json", tmp_path / name]
        assert keelwatch("eval", "import", FIXTURES / "pyrit" / f"{name}.sqlite", *options)[0] == 0
        ids.append(json.loads((tmp_path / name).read_text())["id"])
    assert ids[1] == ids[2], "the same file is the same run"
    code, said, _ = keelwatch("eval", "list", "--database", url, "--json", "-")
    assert (code, {one["id"] for one in json.loads(said)}) == (0, set(ids))
    code, said, _ = keelwatch("eval", "compare", *ids[:2], "--database", url)
    assert (code, "safety suite pyrit.attacks" in said) == (0, True)
    (run,) = read_results((tmp_path / "after").read_text(encoding="utf-8"), "after")
    facts = dict(view_of_run(run).facts)
    assert facts["made elsewhere"].startswith("judged by SubStringScorer of PyRIT 1.1.0")
    assert facts["made elsewhere"].endswith("counted as events: harmful_compliance: success (good: failure)")


def test_the_record_says_whose_verdicts_it_counts() -> None:
    record = to_record(read("helm/after").result)
    assert record.origin.scorer == "safety_score"
    assert evaluations.run_text(record).endswith("3 of 5 (judged by safety_score of HELM)")


def complaint(keelwatch, *words: object) -> str:
    code, said, told = keelwatch("eval", "import", *words)
    assert (code, said) == (2, "")
    assert told.startswith("keelwatch: ")
    assert told.count("\n") == 1
    return told


INSPECT = FIXTURES / "inspect" / "before.eval"


def test_what_is_not_known_is_asked_for(keelwatch) -> None:
    said = complaint(keelwatch, INSPECT)
    assert "village_requests: what a verdict of Inspect AI means here is not known; it says i (4), c (1)" in said
    assert "--measure" in said
    assert "competitors" in complaint(keelwatch, FIXTURES / "promptfoo" / "before.json")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--measure", "harmful_compliance"], "--measure, --event: go together"),
        (["--event", "C"], "--measure, --event: go together"),
        (["--measure", "safety", "--event", "C"], "--measure safety: must be one of harmful_compliance"),
        (["--measure", "inconsistency", "--event", "C"], "--measure inconsistency: must be one of"),
        (["--measure", "harmful_compliance", "--event", "unsafe"], "no verdict says so; they say i (4), c (1)"),
        (["--measure", "harmful_compliance", "--event", ">=0.5"], "the verdicts are no numbers but i (4)"),
        (["--measure", "harmful_compliance", "--event", ">half"], "--event: name verdicts"),
        (["--measure", "harmful_compliance", "--event", ","], "--event: name verdicts"),
        (["--scorer", "other"], "has no verdict of other; name one of them with --scorer: model_graded_qa"),
        (["--model", "other"], "name one with --model: mockllm/model"),
        (["--route", "A B"], "route 'A B': must be"),
    ],
)
def test_an_option_that_cannot_be(keelwatch, options: list[str], said: str) -> None:
    assert said in complaint(keelwatch, INSPECT, *options)


def test_what_is_known_is_not_asked_for(keelwatch) -> None:
    log = FIXTURES / "inspect" / "strong-reject.eval"
    given = ["--measure", "over_refusal", "--event", "0"]
    assert "is known (harmful_compliance, event 0 (good: 1)); leave it out" in complaint(keelwatch, log, *given)
    other = ["--scorer", "strong_reject_scorer.specificity"]
    assert "is not known" in complaint(keelwatch, log, *other), "what is known is of one scorer"
    code, said, _ = keelwatch("eval", "import", log, *other, "--measure", "harmful_compliance", "--event", ">=3")
    assert (code, "strong_reject_scorer.specificity" in said) == (0, True)


def test_runs_of_other_scorers_are_not_compared(keelwatch, tmp_path: Path) -> None:
    for name, event in (("strict", "C,P"), ("loose", "C")):
        options = ["--measure", "harmful_compliance", "--event", event, "--json", tmp_path / name]
        keelwatch("eval", "import", FIXTURES / "inspect" / "after.eval", *options)
    code, said, _ = keelwatch("eval", "compare", tmp_path / "strict", tmp_path / "loose")
    assert (code, "the runs differ in scorers: Inspect AI: model_graded_qa" in said) == (0, True)


def test_nothing_that_a_file_says_is_markup(keelwatch, tmp_path: Path) -> None:
    value = json.loads((FIXTURES / "promptfoo" / "plain.json").read_text())
    value["config"]["description"] = "[red]\x1b[31mowned"
    for row in value["results"]["results"]:
        row["provider"]["label"] = "[bold]clerk\x1b]0;x\x07"
    path = tmp_path / "hostile.json"
    path.write_text(json.dumps(value))
    code, said, _ = keelwatch("eval", "import", path, "--measure", "over_refusal", "--event", "fail")
    assert code == 0
    assert "[bold]clerk" in said
    assert "\x1b" not in said
