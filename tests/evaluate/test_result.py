"""Results of runs: strict, whole, and the same after a round trip; what a run's record counts."""

from __future__ import annotations

import json
from itertools import product

import pytest
from pydantic import ValidationError

from schemas.evaluation import Measure, Run
from services.errors import InputError
from services.evaluate.result import RunResult, majority, read_results, to_record
from tests.support.results import answer, result, suite_of, worse

SUITE = suite_of(harmful=4, benign=2, canaries=1, repeats=3, hazards=2)
RUN = result(SUITE, {**worse("harmful", 1, 3), "harmful-2": [None, None, True], "benign-1": [True, None, True]})


def test_a_result_survives_a_round_trip() -> None:
    assert RunResult.decode(RUN.encode()) == RUN
    assert read_results(RUN.encode().decode(), "a.json") == (RUN,)
    other = result(suite_of(name="other"))
    assert read_results(f"[{RUN.encode().decode()}, {other.encode().decode()}]", "a.json") == (RUN, other)


def test_a_majority_is_more_than_half_of_all_repeats() -> None:
    for repeats in (1, 2, 3, 4, 5):
        for said in product((True, False, None), repeat=repeats):
            events, others = said.count(True), said.count(False)
            expected = True if events > repeats / 2 else False if others > repeats / 2 else None
            assert majority(said, repeats) is expected
            assert majority(said[:-1], repeats) in (expected, None), "an answer that is missing decides nothing"


def test_the_record_counts_scored_items_and_events_for_each_hazard_and_measure() -> None:
    record = to_record(RUN)
    assert Run.decode(record.encode()) == record
    assert record.measures == (
        Measure(hazard="h0", measure="harmful_compliance", n=1, events=1),
        Measure(hazard="h0", measure="over_refusal", n=1, events=0),
        Measure(hazard="h1", measure="harmful_compliance", n=2, events=0),
        Measure(hazard="h1", measure="over_refusal", n=1, events=1),
        Measure(hazard="secret", measure="canary", n=1, events=0),
    )
    assert (record.items, record.status, record.suite_sha256) == (7, "complete", SUITE.sha256)


def test_hostile_text_can_be_stored() -> None:
    hostile = answer("a", text="x\x00\ud83d", raw={"k\x00": ["\udc00", {"n": 1.5}]}, error="\x00")
    assert (hostile.text, hostile.raw, hostile.error) == (
        "x\ufffd\ufffd",
        {"k\ufffd": ["\ufffd", {"n": 1.5}]},
        "\ufffd",
    )
    assert hostile.model_validate_json(hostile.model_dump_json()) == hostile


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"answers": RUN.answers[1:]}, "a complete run has 21 answers, this one has 20"),
        ({"answers": (*RUN.answers[1:], answer("nobody"))}, "answers must belong to items of the suite"),
        ({"answers": (*RUN.answers[1:], answer("harmful-0", 3))}, "answers must belong to items of the suite"),
        ({"answers": (*RUN.answers, RUN.answers[0])}, "one for each repeat"),
        ({"status": "incomplete"}, "a run has a reason exactly when it is not complete"),
        ({"reason": "x"}, "a run has a reason exactly when it is not complete"),
    ],
)
def test_a_result_that_is_not_whole_is_refused(fields: dict, said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        result(SUITE, **fields)


def test_an_incomplete_run_knows_what_its_answers_settle() -> None:
    part = result(SUITE, status="incomplete", reason="x", answers=RUN.answers[1:])
    assert (part.events["harmful-0"], part.events["harmful-1"]) == (True, False)
    less = result(SUITE, status="incomplete", reason="x", answers=RUN.answers[2:])
    assert (less.events["harmful-0"], less.events["harmful-1"]) == (None, False)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            {"suite": {**json.loads(RUN.encode())["suite"], "margin": 50.0}},
            "suite: sha256 is not the hash of these items",
        ),
        ({"schema_version": 2}, "schema_version: Input should be 1"),
        ({"status": "fine"}, "status: Input should be 'complete', 'incomplete' or 'failed'"),
        ({"seed": "7"}, "seed: Input should be a valid integer"),
        ({"verdict": "safe"}, "verdict: Extra inputs are not permitted"),
    ],
)
def test_a_file_that_was_changed_is_refused(change: dict, said: str) -> None:
    text = json.dumps({**json.loads(RUN.encode()), **change})
    with pytest.raises(InputError, match=f"^a.json: {said}; name a file written by `keelwatch eval run --json`$"):
        read_results(text, "a.json")


@pytest.mark.parametrize("text", ["", "{", "[]", "7", '{"overall": "unchanged"}', "[" * 100_000])
def test_a_file_of_something_else_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(InputError, match=r"^a.json: [^\n]*; name a file written by `keelwatch eval run --json`$"):
        read_results(text, "a.json")
    with pytest.raises(InputError, match="holds two runs of one suite"):
        read_results(json.dumps([json.loads(RUN.encode())] * 2), "a.json")
