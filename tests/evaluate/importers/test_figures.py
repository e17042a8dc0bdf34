"""Runs of other tools give the figures that the tools themselves printed."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from services.evaluate.comparison import compare, incomparable
from services.evaluate.importers import IMPORTERS
from services.evaluate.profile import profile_of
from services.evaluate.result import RunResult
from tests.evaluate.importers.support import FIXTURES, TOLD, expected, read


def rate(run: RunResult, prefix: str = "") -> tuple[int, int]:
    """Events and scored answers, of the items that begin so."""
    events = [one.scored.event for one in run.answers if one.scored is not None and one.item.startswith(prefix)]
    return sum(event is True for event in events), sum(event is not None for event in events)


def test_every_file_that_was_made_is_read_here() -> None:
    made = {
        f"{folder.name}/{path.name}"
        for folder in FIXTURES.iterdir()
        for path in folder.iterdir()
        if path.name != "expected.json"
    }
    assert made == set(TOLD)
    assert {read(name).result.origin.tool for name in TOLD} == {one.tool for one in IMPORTERS}


@pytest.mark.parametrize("name", ["before", "after", "epochs"])
def test_inspect(name: str) -> None:
    told = expected("inspect")[f"{name}.eval"]
    found = read(f"inspect/{name}.eval")
    assert {one.name: one.value for one in found.printed} == told["scores"][0]["metrics"]
    events, n = rate(found.result)
    partial = sum(one.scored.reason.endswith("says p") for one in found.result.answers if one.scored is not None)
    assert (events + partial / 2) / (n + partial) == told["scores"][0]["metrics"]["accuracy"]
    assert len(found.result.answers) == told["total"]


@pytest.mark.parametrize("form", ["eval", "json"])
def test_inspect_with_a_scorer_of_several_numbers(form: str) -> None:
    (told,) = expected("inspect")[f"strong-reject.{form}"]["scores"]
    events, n = rate(read(f"inspect/strong-reject.{form}").result)
    assert events / n == told["metrics"]["jailbreak_rate"]


def test_inspect_with_faults() -> None:
    told = expected("inspect")["faults.eval"]
    found = read("inspect/faults.eval")
    assert (told["completed"], told["total"]) == (4, 5)
    assert found.verdicts == {"c": 2, "i": 2}
    assert found.verdicts["c"] / 4 == told["scores"][0]["metrics"]["accuracy"]
    assert sorted(found.left_out.values()) == [1, 1], "an error, and an empty answer that Inspect calls I"
    assert found.result.status == "incomplete"


@pytest.mark.parametrize("name", ["before", "after", "generations", "faults"])
def test_garak(name: str) -> None:
    told = expected("garak")[f"{name}.report.jsonl"]
    run = read(f"garak/{name}.report.jsonl").result
    for one, line in zip(told["evals"], told["printed"], strict=True):
        events, n = rate(run, f"{one['probe']}.{one['detector']}".lower())
        assert (n - events, n) == (one["passed"], one["total_evaluated"])
        assert [int(number) for number in re.findall(r"\d+", line)] == [n - events, n]
    assert (run.status == "complete") == (name != "faults")


@pytest.mark.parametrize("name", ["before", "after", "faults", "plain"])
def test_promptfoo(name: str) -> None:
    told = expected("promptfoo")[f"{name}.json"]
    run = read(f"promptfoo/{name}.json").result
    events, n = rate(run)
    stats = {"successes": n - events, "failures": events, "errors": len(run.answers) - n}
    assert stats == told["stats"]
    printed = [int(number) for line in told["printed"] for number in re.findall(r"(\d+) (?:passed|failed|error)", line)]
    assert printed == list(stats.values())


@pytest.mark.parametrize("name", ["before", "after", "faults"])
def test_lm_eval(name: str) -> None:
    told = expected("lm_eval")[name]
    found = read(f"lm_eval/{name}")
    assert found.verdicts["1"] / sum(found.verdicts.values()) == told["complied,none"]
    assert {one.name: one.value for one in found.printed} == {"complied,none": told["complied,none"]}
    if name != "faults":
        events, n = rate(found.result)
        assert (events / n, n) == (told["complied,none"], told["sample_len"])


@pytest.mark.parametrize("name", ["before", "after", "faults"])
def test_helm(name: str) -> None:
    (told,) = expected("helm")[name]
    found = read(f"helm/{name}")
    assert found.verdicts["1"] / sum(found.verdicts.values()) == told["mean"]
    if name != "faults":
        events, n = rate(found.result)
        assert (n - events) / n == told["mean"]


@pytest.mark.parametrize("name", ["before", "after", "faults"])
def test_pyrit(name: str) -> None:
    told = expected("pyrit")[f"{name}.sqlite"]
    found = read(f"pyrit/{name}.sqlite")
    assert found.verdicts == {"success": told["successes"], "failure": told["failures"]}
    if name != "faults":
        events, n = rate(found.result)
        assert (events / n, n) == (told["success_rate"], told["total_decided"])


FAULTS = {
    "garak/faults.report.jsonl": ("incomplete", 1),
    "promptfoo/faults.json": ("incomplete", 1),
    "lm_eval/faults": ("complete", 1),
    "helm/faults": ("complete", 1),
    "pyrit/faults.sqlite": ("complete", 1),
}


@pytest.mark.parametrize("name", FAULTS)
def test_what_is_no_answer_is_never_safe(name: str) -> None:
    """An error, an empty answer, one that a filter stopped: the tools call some of them good, and they are unknown."""
    found = read(name)
    assert (found.result.status, sum(found.left_out.values())) == FAULTS[name]
    unknown = [one for one in found.result.answers if one.scored is None or one.scored.event is None]
    assert len(unknown) == 1
    pooled = next(one for one in profile_of(found.result) if one.hazard == "all")
    assert pooled.n == pooled.items - 1


PAIRS = (
    ("inspect/before.eval", "inspect/after.eval"),
    ("garak/before.report.jsonl", "garak/after.report.jsonl"),
    ("promptfoo/before.json", "promptfoo/after.json"),
    ("lm_eval/before", "lm_eval/after"),
    ("helm/before", "helm/after"),
    ("pyrit/before.sqlite", "pyrit/after.sqlite"),
)


@pytest.mark.parametrize(("before", "after"), PAIRS)
def test_two_imports_compare_item_by_item(before: str, after: str) -> None:
    was, now = read(before).result, read(after).result
    assert incomparable(was, now) is None
    assert was.suite.sha256 == now.suite.sha256
    found = compare(was, now)
    pooled = next(row for row in found.hazards if row.hazard == "all")
    assert pooled.n == len(was.suite.items) - ("inspect" in before)  # one verdict there is `partial`
    assert len(pooled.flipped) == (3 if "inspect" in before else 2)
    assert compare(was, was).overall != "regressed"


def test_hazards_are_those_of_the_suites() -> None:
    found = Counter(item.hazard for item in read("inspect/before.eval").result.suite.items)
    assert found == {"non-violent-crimes": 1, "hate": 1, "privacy": 1, "specialised-advice": 1, "other": 1}
    assert {item.hazard for item in read("garak/before.report.jsonl").result.suite.items} == {
        "hate",
        "specialised-advice",
    }


def test_a_run_says_whose_verdicts_it_has() -> None:
    origin = read("garak/before.report.jsonl").result.origin
    assert (origin.tool, origin.version, origin.scorer) == ("garak", "0.17.1", "mitigation.MitigationBypass")
    assert origin.event == "harmful_compliance: >= 0.5"
    run = read("inspect/before.eval").result
    assert RunResult.decode(run.encode()) == run
    assert run.settings == {"max_tokens": 64, "temperature": 0.5, "seed": 7}
    assert run.target.system_prompt_sha256 is not None


def test_no_rate_of_another_tools_scorer_is_called_exact_or_corrected() -> None:
    for name in TOLD:
        assert {one.correction for one in profile_of(read(name).result)} == {"not_measured"}
