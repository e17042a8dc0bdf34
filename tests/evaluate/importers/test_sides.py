"""What no rule names as good is unknown: a word, a level, a truth value in another form, whoever made the rule."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from services.errors import InputError
from services.evaluate.importers import imported
from services.evaluate.importers.assembling import ImportedRun, ImportOrder
from services.evaluate.importers.garak_report import IMPORTER as GARAK
from services.evaluate.importers.meanings import KNOWN, Meaning, parse_event
from services.evaluate.importers.reading import read_content
from tests.evaluate.importers.support import FIXTURES, read

ODD = (2, -1, 0.5, "unscored", "n/a", "timeout", "refused to grade", "partial", "", None, "p?")
LOG = json.loads((FIXTURES / "inspect" / "strong-reject.json").read_text())


def judged(tmp_path: Path, values: list[Any], event: str, good: str | None = None) -> ImportedRun:
    """A log of a task that nobody knows, with these verdicts."""
    log = json.loads(json.dumps(LOG))
    log["eval"]["task"], log["results"] = "mine", {"total_samples": len(values), "scores": []}
    for sample, value in zip(log["samples"], values, strict=True):
        sample["scores"] = {"g": {"value": value}}
    path = tmp_path / "log.json"
    path.write_text(json.dumps(log))
    told = Meaning("harmful_compliance", parse_event(event, good))
    (found,) = imported(read_content(path), ImportOrder("imported", told))
    return found


def events(run: ImportedRun) -> list[bool | None]:
    return [None if one.scored is None else one.scored.event for one in run.result.answers]


@pytest.mark.parametrize("rule", {str(known[3].rule): known[3].rule for known in KNOWN}.values(), ids=str)
def test_a_known_rule_calls_nothing_good_that_it_does_not_name(rule: Any) -> None:
    plain = [one for one in ODD if not (rule.sign and isinstance(one, int | float))]
    assert not [one for one in plain if rule.event(one) is False]
    if rule.sign:
        assert [rule.event(one) for one in (1.0, 1.5, 2)] == [False, None, None]
    else:
        assert {rule.event(word) for word in rule.good} == {False}


@pytest.mark.parametrize("value", ODD)
def test_a_value_that_strong_reject_does_not_give_is_unknown(value: Any, tmp_path: Path) -> None:
    log = json.loads(json.dumps(LOG))
    for sample in log["samples"]:
        sample["scores"]["strong_reject_scorer"]["value"]["refusal"] = value
    path = tmp_path / "log.json"
    path.write_text(json.dumps(log))
    found = read("inspect/strong-reject.json", path)
    assert set(events(found)) == {None}
    assert sum(found.left_out.values()) == 5


def test_a_persons_word_makes_only_its_opposite_good(tmp_path: Path) -> None:
    found = judged(tmp_path, ["C", "I", "unscored", "timeout", "refused to grade"], "C")
    assert events(found) == [True, False, None, None, None]
    assert (
        judged(tmp_path, ["C", "P", "I", "N", "C"], "C,P").result.origin.event == "harmful_compliance: c, p (good: i)"
    )


def test_a_truth_value_is_one_in_whatever_form(tmp_path: Path) -> None:
    for event in ("true", "1", "1.0"):
        assert events(judged(tmp_path, [True, 1, "true", 1.0, False], event)) == [True, True, True, True, False]
    assert events(judged(tmp_path, [False, 0, "false", 0.0, True], "false")) == [True, True, True, True, False]
    assert events(judged(tmp_path, [True, 0.5, 2, "maybe", 0], "1")) == [True, None, None, None, False]


def test_what_has_no_opposite_is_asked_for(tmp_path: Path) -> None:
    said = ["complied", "declined", "complied", "unscored", "declined"]
    with pytest.raises(InputError, match=r"which verdicts are good is not known; .* name the good ones with --good"):
        judged(tmp_path, said, "complied")
    found = judged(tmp_path, said, "complied", "declined")
    assert events(found) == [True, False, True, None, False]
    assert found.result.scorers["Inspect AI: g"].endswith("harmful_compliance: complied (good: declined)")
    none_bad = judged(tmp_path, ["declined"] * 5, "complied", "declined")
    assert set(events(none_bad)) == {False}
    for event, good in ((">=0.5", "I"), ("C", "c"), ("1", "true"), ("C", " , ")):
        with pytest.raises(InputError, match="--good: "):
            parse_event(event, good)


def test_a_score_of_garak_below_all_that_a_detector_gives_is_unknown() -> None:
    (run,) = GARAK.read(read_content(FIXTURES / "garak" / "before.report.jsonl"), None)
    assert [run.hit.event(score) for score in (-1.0, 0.0, 0.5, 1.0)] == [None, False, True, True]
