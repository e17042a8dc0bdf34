"""`keelwatch verify run`: exit code 0, 1, 2 or 3, and what is named, of files and of stored runs."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from services.evaluate.comparison import compare, comparison_object, comparison_record
from services.evaluate.persistence import store_run
from services.evaluate.result import RunResult, to_record
from services.evaluate.run_seal import exported_run
from services.evaluate.suite_library import load_suite
from services.store import runs
from services.store.engine import Database, open_database
from tests.support.api import recorded
from tests.support.databases import database, new_url
from tests.support.endpoint import Endpoint, running
from tests.support.exported import EXACT, asked_run, part_of, written
from tests.support.results import result, suite_of

__all__ = ["database", "new_url"]
SUITE = part_of("core", 3, EXACT)
GOOD = asked_run(SUITE, {"format_violation": "no form at all, as it seems"}, "good")
WORSE = asked_run(SUITE, {item.id: " ".join(item.leaks) for item in SUITE.items if item.measure == "canary"}, "worse")
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return written(SUITE, tmp_path / "part")


def put(path: Path, run: RunResult | list[RunResult]) -> Path:
    told = [exported_run(one) for one in (run if isinstance(run, list) else [run])]
    path.write_text(json.dumps(told if isinstance(run, list) else told[0]), encoding="utf-8")
    return path


def change(path: Path, edit: Callable[[Any], object]) -> None:
    document = json.loads(path.read_text(encoding="utf-8"))
    edit(document)
    path.write_text(json.dumps(document), encoding="utf-8")


def test_a_file_that_is_as_its_answers_say_exits_0_and_an_edit_1(keelwatch: Run, folder: Path, tmp_path: Path) -> None:
    good = put(tmp_path / "good.json", GOOD)
    code, out, err = keelwatch("verify", "run", good, "--suite", folder)
    assert (code, err) == (0, "")
    assert out.endswith("all equal\n")
    change(good, lambda document: document["answers"][0].update(text="[bold]other"))
    code, out, _ = keelwatch("verify", "run", good, "--suite", folder, "--json", tmp_path / "out.json")
    assert code == 1
    assert f'item {GOOD.answers[0].item}: text: stored "[bold]other", recomputed ' in out
    [told] = json.loads((tmp_path / "out.json").read_text())
    assert (told["outcome"], told["run"]) == ("differs", GOOD.id)
    assert {one["item"] for one in told["differences"]} >= {GOOD.answers[0].item}


def test_what_cannot_be_computed_here_exits_3_and_says_why(keelwatch: Run, tmp_path: Path) -> None:
    good = put(tmp_path / "good.json", GOOD)
    code, out, err = keelwatch("verify", "run", good)
    assert code == 3
    assert "suite part 1 is not here; name its folder with --suite" in err
    assert "all equal" not in out
    other = put(tmp_path / "other.json", [result(suite_of()), GOOD])
    assert keelwatch("verify", "run", other)[0] == 3


def test_a_comparison_is_computed_again_from_its_two_runs(keelwatch: Run, folder: Path, tmp_path: Path) -> None:
    before, after = put(tmp_path / "before.json", GOOD), put(tmp_path / "after.json", WORSE)
    told = tmp_path / "told.json"
    assert keelwatch("eval", "compare", before, after, "--json", told)[0] == 0
    given = ("--before", before, "--after", after, "--suite", folder)
    code, out, _ = keelwatch("verify", "run", told, *given)
    assert (code, out.count("all equal")) == (0, 3)
    change(told, lambda document: document["suites"][0].update(overall="unchanged"))
    code, out, _ = keelwatch("verify", "run", told, *given)
    assert code == 1
    assert 'suites.0.overall: stored "unchanged", recomputed "regressed"' in out
    code, _, err = keelwatch("verify", "run", told)
    assert (code, "--before and --after" in err) == (2, True)
    other = put(tmp_path / "other.json", [GOOD, replace_suite(GOOD)])
    code, _, err = keelwatch("verify", "run", tmp_path / "two.json", *given)
    assert code == 2
    two = tmp_path / "two.json"
    two.write_text(json.dumps(comparison_object([(name, compare(GOOD, WORSE)) for name in ("part", "gone")])))
    code, _, err = keelwatch("verify", "run", two, "--before", other, "--after", other, "--suite", folder)
    assert (code, "holds no run of suite gone" in err) == (2, True)


def test_two_system_prompts_are_compared_when_that_is_said_and_only_then(
    keelwatch: Run, folder: Path, tmp_path: Path
) -> None:
    prompted = WORSE.model_copy(update={"target": WORSE.target.model_copy(update={"system_prompt_sha256": "e" * 64})})
    before, after, told = put(tmp_path / "b.json", GOOD), put(tmp_path / "a.json", prompted), tmp_path / "told.json"
    code, out, _ = keelwatch("eval", "compare", before, after, "--json", told)
    assert (code, json.loads(told.read_text())["overall"]) == (0, "inconclusive")
    assert "how the target is asked: system prompt" in " ".join(out.split())
    assert keelwatch("eval", "compare", before, after, "--across-system-prompts", "--json", told)[0] == 0
    found = json.loads(told.read_text())
    assert (found["overall"], found["across"]) == ("regressed", ["system prompt"])
    given = ("--before", before, "--after", after, "--suite", folder, "--json", tmp_path / "checked.json")
    keelwatch("verify", "run", told, *given)
    assert json.loads((tmp_path / "checked.json").read_text())[-1]["outcome"] == "equal"
    change(told, lambda document: document.update(across=["model"]))
    keelwatch("verify", "run", told, *given)
    assert json.loads((tmp_path / "checked.json").read_text())[-1]["outcome"] == "differs"


def replace_suite(run: RunResult) -> RunResult:
    suite = replace(SUITE, name="second")
    return asked_run(suite, {}, "second", route=run.route)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("absent", None, "No such file"),
        ("folder", "", "Is a directory"),
        ("image", b"\xff\xfe\x00", "not UTF-8"),
        ("half", b'{"kind": "run_res', "not JSON"),
        ("other", b'{"kind": "profile"}', "name a file"),
    ],
)
def test_what_is_no_file_of_a_run_is_named(
    keelwatch: Run, tmp_path: Path, name: str, content: bytes | str | None, said: str
) -> None:
    path = tmp_path / name
    if content == "":
        path.mkdir()
    elif isinstance(content, bytes):
        path.write_bytes(content)
    code, _, err = keelwatch("verify", "run", path)
    assert code == 2
    assert err.startswith(f"keelwatch: {path}: ")
    assert said in err


@pytest.fixture
def url(new_url: Callable[[], str]) -> str:
    """A database with both runs, what was told of them, and their comparison."""
    made = new_url()
    one = open_database(made)
    try:
        stored(one)
    finally:
        one.close()
    return made


def stored(database: Database) -> None:
    told = comparison_record(GOOD, WORSE, compare(GOOD, WORSE), WORSE.ended)
    recorded(database, to_record(GOOD), to_record(WORSE), told)
    with database.write() as connection:
        for run in (GOOD, WORSE):
            store_run(connection, run, "requested", None)


def execute(url: str, statement: str, **values: Any) -> None:
    one = open_database(url)
    with one.write() as connection:
        connection.execute(text(statement), values)
    one.close()


def test_a_stored_run_and_its_comparison_are_computed_again(keelwatch: Run, url: str, folder: Path) -> None:
    given = ("--database", url, "--suite", folder)
    code, out, err = keelwatch("verify", "run", WORSE.id, *given)
    assert (code, out.count("all equal"), err) == (0, 1, "")
    id = comparison_record(GOOD, WORSE, compare(GOOD, WORSE), WORSE.ended).id
    code, out, _ = keelwatch("verify", "run", id, *given)
    assert (code, out.count("all equal")) == (0, 2)
    code, _, err = keelwatch("verify", "run", "0" * 16, *given)
    assert (code, "not in this database" in err) == (2, True)


def test_a_stored_answer_that_was_altered_differs_from_the_audit_log(keelwatch: Run, url: str, folder: Path) -> None:
    """Its text is another one that is scored alike, in the answer and in its raw form: only the log knows."""
    one = open_database(url)
    payload = one.query(runs.payload, WORSE.id)
    one.close()
    assert payload is not None
    execute(url, "UPDATE runs SET payload = :text WHERE id = :id", text=payload.replace("sorry", "sorrx"), id=WORSE.id)
    code, out, _ = keelwatch("verify", "run", WORSE.id, "--database", url, "--suite", folder)
    assert code == 1
    assert 'audit log: stored "changed", recomputed "as written"' in out
    execute(url, "UPDATE runs SET status = 'failed' WHERE id = :id", id=GOOD.id)
    code, out, _ = keelwatch("verify", "run", GOOD.id, "--database", url, "--suite", folder)
    assert (code, 'row: status: stored "failed", recomputed "complete"' in out) == (1, True)


def test_a_file_is_held_against_the_stored_run_of_its_id(
    keelwatch: Run, url: str, folder: Path, tmp_path: Path
) -> None:
    """Who alters an answer and makes the hashes of the file anew is found by the database."""
    answers = [one.model_copy(update={"latency_ms": 1.0}) for one in GOOD.answers]
    forged = put(tmp_path / "forged.json", GOOD.model_copy(update={"answers": tuple(answers)}))
    assert keelwatch("verify", "run", forged, "--suite", folder)[0] == 0
    code, out, _ = keelwatch("verify", "run", forged, "--suite", folder, "--database", url)
    assert code == 1
    assert f"item {GOOD.answers[0].item}: answer 0 as stored: " in out
    whole = put(tmp_path / "good.json", GOOD)
    assert keelwatch("verify", "run", whole, "--suite", folder, "--database", url)[0] == 0


@pytest.fixture(scope="module")
def endpoint() -> Iterator[Endpoint]:
    with running() as started:
        yield started


@pytest.mark.embedding
def test_what_eval_run_writes_is_computed_again_to_the_last_figure(
    keelwatch: Run, endpoint: Endpoint, tmp_path: Path
) -> None:
    out = tmp_path / "run.json"
    asked = ("eval", "run", "--route", "support-bot/prod", "--model", "fake-1", "--suite", "smoke", "--json", out)
    assert keelwatch(*asked, "--endpoint", endpoint.url("compliant"))[0] == 0
    code, said, err = keelwatch("verify", "run", out, "--json", "-")
    [told] = json.loads(said)
    n = len(load_suite("smoke").items)
    assert (code, err, told["outcome"], told["scored"], told["answers"]) == (0, "", "equal", n, n)
    change(out, lambda document: document["rates"][0].update(rate=99.0))
    code, said, _ = keelwatch("verify", "run", out, "--json", "-")
    assert (code, [one["field"] for one in json.loads(said)[0]["differences"]]) == (
        1,
        ["rates: harmful_compliance (all): rate"],
    )
