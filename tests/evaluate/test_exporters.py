"""Runs as other tools read them: nothing that was not measured has passed, and no text breaks the form."""

from __future__ import annotations

import io
import json
import math
import re
import zipfile
from collections import Counter
from typing import Any
from xml.etree import ElementTree

import pytest

from schemas.base import iso
from services.evaluate.comparison import compare
from services.evaluate.exporters import EXPORTERS
from services.evaluate.exporters.inspect_log import InspectLog
from services.evaluate.exporters.junit import JUnitReport, comparison_report
from services.evaluate.exporters.otel_events import LABELS, OtelEvents
from services.evaluate.profile import profile_of
from services.evaluate.result import AskedSuite, RunResult
from services.evaluate.suite import POOLED
from services.evaluation_events import EVENT
from services.wording import exports as words
from tests.support.results import TIME, exported_runs, item, result, suite_of, worse

RUNS = exported_runs()
WHOLE, PART, SOME, NONE = RUNS


def xml(*runs: RunResult) -> ElementTree.Element:
    return ElementTree.fromstring(JUnitReport().export(runs))


def outcomes(suite: ElementTree.Element) -> dict[str, str]:
    """What became of each test case: `passed`, or the name of the element that says otherwise."""
    return {case.attrib["name"]: next((child.tag for child in case), "passed") for case in suite.iter("testcase")}


def log(run: RunResult) -> dict[str, Any]:
    with zipfile.ZipFile(io.BytesIO(InspectLog().export([run]))) as archive:
        return {name: json.loads(archive.read(name)) for name in archive.namelist()}


def records(run: RunResult) -> list[dict[str, Any]]:
    (line,) = OtelEvents().export([run]).decode().splitlines()
    (resource,) = json.loads(line)["resourceLogs"]
    (scope,) = resource["scopeLogs"]
    return [{**one, "attributes": flat(one["attributes"])} for one in scope["logRecords"]]


def flat(attributes: list[dict[str, Any]]) -> dict[str, Any]:
    return {one["key"]: next(iter(one["value"].values())) for one in attributes}


@pytest.mark.parametrize("run", RUNS, ids=["complete", "broken off", "incomplete", "failed"])
def test_only_what_was_scored_and_is_no_event_passes(run: RunResult) -> None:
    (suite,) = xml(run)
    events = run.events
    found = outcomes(suite)
    for name in events:
        assert (found[name] == "passed") == (events[name] is False), name
        assert (found[name] == "failure") == (events[name] is True), name
    assert (words.WHOLE_RUN in found) == (run.status != "complete")
    counts = Counter(found.values())
    assert [int(suite.attrib[name]) for name in ("tests", "failures", "errors", "skipped")] == [
        len(found),
        counts["failure"],
        counts["error"],
        counts["skipped"],
    ]
    assert all(child.attrib["message"] for case in suite.iter("testcase") for child in case)


def test_what_is_unscored_is_skipped_and_what_is_unanswered_an_error() -> None:
    (suite,) = xml(SOME)
    found = outcomes(suite)
    assert (found["harmful-1"], found["benign-1"], found["pair-b"]) == ("skipped", "error", "failure")
    (broken,) = xml(PART)
    assert outcomes(broken)["pair-b"] == "error", "it was never asked, since the run broke off"


def test_no_text_breaks_the_xml_and_all_of_it_is_there() -> None:
    (suite,) = xml(SOME)
    (failed,) = [case for case in suite.iter("testcase") if case.attrib["name"] == "harmful-0"]
    text = failed[0].text or ""
    assert "]]> <b>&\ufffd[31m\ufffd\ufffd ]\u2028\U0001f600" in text
    assert "send([no)" in text
    assert failed[0].attrib["message"].startswith("does it ]]> <b>&")


@pytest.mark.parametrize("at", range(0, 0x500, 0x80))
def test_every_character_that_xml_forbids_is_replaced(at: int) -> None:
    text = "".join(map(chr, [*range(at, at + 0x80), 0xFFFE, 0xFFFF, 0x10FFFF, 0x85]))
    failed = result(suite_of(harmful=0, benign=1, canaries=0), status="failed", reason=text, answers=())
    (suite,) = xml(failed)
    assert len(outcomes(suite)) == 2


def test_several_runs_are_several_test_suites_with_one_sum() -> None:
    root = xml(WHOLE, NONE)
    assert [suite.attrib["name"] for suite in root] == ["made 1", "made 1"]
    assert int(root.attrib["tests"]) == sum(int(suite.attrib["tests"]) for suite in root)
    assert root[0].attrib["timestamp"] == iso(TIME)


def test_a_comparison_fails_for_what_regressed_and_passes_nothing_that_is_open() -> None:
    suite = suite_of(harmful=40, benign=40, canaries=2, hazards=2)
    before = result(suite)
    after = result(suite, worse("harmful", 30))
    root = ElementTree.fromstring(comparison_report([(before, after)]))
    found = {
        (case.attrib["classname"], case.attrib["name"]): next((child.tag for child in case), "passed")
        for case in root.iter("testcase")
    }
    compared = compare(before, after)
    wanted = {"regressed": "failure", "inconclusive": "skipped", "improved": "passed", "unchanged": "passed"}
    assert found == {
        (f"made.{row.measure}", words.ALL_HAZARDS if row.hazard == POOLED else row.hazard): wanted[row.verdict]
        for row in compared.hazards
    }
    assert "failure" in found.values()
    other = ElementTree.fromstring(comparison_report([(None, after)]))
    assert outcomes(other) == {words.COMPARABLE: "error"}, "runs that cannot be compared are no success"


@pytest.mark.parametrize("run", RUNS, ids=["complete", "broken off", "incomplete", "failed"])
def test_an_inspect_log_holds_every_answer_its_score_and_the_rates(run: RunResult) -> None:
    members = log(run)
    header = members["header.json"]
    samples = {name: one for name, one in members.items() if name.startswith("samples/")}
    assert set(samples) == {f"samples/{one.item}_epoch_{one.repeat + 1}.json" for one in run.answers}
    assert [one["id"] for one in members["summaries.json"]] == [one["id"] for one in samples.values()]
    assert (header["version"], header["status"] == "success") == (2, run.status == "complete")
    assert (header["error"] or {}).get("message") == run.reason
    assert members["_journal/start.json"]["eval"] == header["eval"]
    events = run.events
    for one in samples.values():
        (score,) = one["scores"].values()
        event = events[one["metadata"]["item"]]
        assert (None if math.isnan(score["value"]) else bool(score["value"])) == event
        assert score["explanation"]
        assert len(one["messages"]) == len(one["input"]) + (one["error"] is None)
    metrics = {one["name"]: one["metrics"] for one in header["results"]["scores"]}
    for rate in profile_of(run):
        name = words.RATE if rate.hazard == POOLED else words.rate_of(rate.hazard)
        value = metrics[rate.measure][name]["value"]
        assert math.isnan(value) if rate.rate is None else 100 * value == pytest.approx(rate.rate)


def test_what_an_endpoint_did_not_say_of_tokens_is_not_guessed() -> None:
    said, unsaid = log(SOME), log(WHOLE)
    assert said["samples/harmful-0_epoch_1.json"]["output"]["usage"]["total_tokens"] == 10
    assert unsaid["samples/harmful-0_epoch_1.json"]["output"]["usage"] is None
    assert unsaid["header.json"]["stats"]["model_usage"] == {}


def test_an_id_names_no_file_outside_of_the_log() -> None:
    suite = suite_of(harmful=2, benign=0, canaries=0)
    asked = AskedSuite.of(suite)
    first, second = asked.items
    led = asked.of_items(
        (first.model_copy(update={"id": "../../etc/x"}), second.model_copy(update={"id": "..__etc_x"}))
    )
    whole = result(suite)
    answers = [one.model_copy(update={"item": kept.id}) for one, kept in zip(whole.answers, led.items, strict=True)]
    run = result(suite, suite=led, answers=tuple(answers))
    members = log(run)
    assert all(re.fullmatch(r"(_journal/|samples/)?[\w-][\w.-]*", name) for name in members)
    assert sum(name.startswith("samples/") for name in members) == 2
    assert {one["metadata"]["item"] for name, one in members.items() if name.startswith("samples/")} == {
        "../../etc/x",
        "..__etc_x",
    }


def test_an_event_says_what_the_conventions_of_generative_ai_name() -> None:
    found = records(SOME)
    assert len(found) == len(SOME.answers)
    assert {one["eventName"] for one in found} == {EVENT}
    by_item = {one["attributes"]["keelwatch.item"]: one["attributes"] for one in found}
    event, unknown, lost = by_item["harmful-0"], by_item["harmful-1"], by_item["benign-1"]
    assert event["gen_ai.evaluation.name"] == "harmful_compliance"
    assert (event["gen_ai.evaluation.score.value"], event["gen_ai.evaluation.score.label"]) == (1.0, LABELS[True])
    assert event["gen_ai.evaluation.explanation"].startswith("does it")
    assert event["gen_ai.response.id"] == "chat-harmful-0"
    assert unknown["gen_ai.evaluation.score.label"] == LABELS[None]
    assert "gen_ai.evaluation.score.value" not in unknown
    assert (lost["error.type"], "gen_ai.evaluation.score.value" in lost) == ("502", False)
    assert by_item["pair-b"]["gen_ai.evaluation.score.value"] == 1.0
    assert all("Question" not in json.dumps(one) for one in found), "what was asked is not in it"
    assert int(found[0]["timeUnixNano"]) == int(TIME.timestamp()) * 10**9


@pytest.mark.parametrize("exporter", EXPORTERS, ids=lambda one: one.name)
def test_the_same_runs_are_the_same_bytes(exporter: Any) -> None:
    for run in RUNS:
        assert exporter.export([run]) == exporter.export([RunResult.decode(run.encode())])


def test_exporters_have_names_of_their_own() -> None:
    assert len({one.name for one in EXPORTERS}) == len({one.ending for one in EXPORTERS}) == len(EXPORTERS)
    assert item("x", "over_refusal").id == "x"
