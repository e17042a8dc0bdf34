"""`route coverage` and `suite add --from-coverage`: from a gap to a suite that asks it, as a person goes."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from services.evaluate.coverage import CoverageReport
from services.evaluate.coverage_watch import stored_report
from services.evaluate.suite_library import load_suite
from services.store import coverage
from services.store.coverage import StoredCoverage
from services.store.engine import Database, open_database
from services.wording import coverage as coverage_words
from services.wording import suites as words
from tests.support.asked_questions import DOSES, PARCELS, QUESTIONS, asked_of, own_suite, policy_of, watch_on
from tests.support.blocks import ROUTE

ITEM = "Where is the parcel with the lamp and the vase"
ADD = ("suite", "add", "own", "--from-coverage", ROUTE, "--hazard", "health", "--side", "disallowed")


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return Path(own_suite(Path("own"), ITEM))


@pytest.fixture
def url(tmp_path: Path, own: Path) -> str:
    """A database with a route whose doses no suite asks, measured."""
    made = f"sqlite:///{tmp_path}/kept.db"
    base = open_database(made)
    asked_of(base)
    replace(watch_on(base, str(own)), clock=lambda: datetime.now(UTC)).look()  # the commands go by this clock
    base.close()
    return made


@pytest.fixture
def config(tmp_path: Path, own: Path) -> Path:
    target = policy_of(str(own)).target
    assert target is not None
    path = tmp_path / "monitor.yaml"
    path.write_text(
        f"routes:\n  {ROUTE}:\n    suites: [{own}]\n    target:\n      url: {target.url}\n      model: m\n"
        "allow_hosts: [127.0.0.1]\n",
        encoding="utf-8",
    )
    return path


def test_what_was_measured_long_ago_is_not_told_as_if_it_were_of_now(keelwatch, own: Path, url: str) -> None:
    base = open_database(url)
    base.transact(lambda connection: coverage.drop(connection, ROUTE))
    ago = datetime.now(UTC) - timedelta(days=3)
    replace(watch_on(base, str(own)), clock=lambda: ago).look()
    base.close()
    code, out, _ = keelwatch("route", "coverage", ROUTE, "--database", url)
    assert (code, out.strip()) == (0, coverage_words.unknown(coverage_words.too_old(ago)))
    before = (own / "items.jsonl").read_bytes()
    code, _, err = keelwatch(*ADD, "--database", url)
    assert (code, coverage_words.too_old(ago) in err) == (2, True)
    assert (own / "items.jsonl").read_bytes() == before


def test_a_gap_of_other_suites_or_of_another_embedder_is_refused_and_one_of_other_items_is_said(
    keelwatch, own: Path, url: str, config: Path
) -> None:
    base = open_database(url)
    report = base.query(stored_report, ROUTE)
    assert report is not None
    assert report.space is not None
    for changed, why in (
        ({"asked": ("core",)}, coverage_words.other_suites(report.measured)),
        ({"space": "another/int8"}, coverage_words.other_embedder(report.measured)),
    ):
        _kept(base, report.model_copy(update=changed))
        code, _, err = keelwatch(*ADD, "--database", url, "--config", config)
        assert (code, f"--from-coverage {ROUTE}: {why}" in err) == (2, True), err
    _kept(base, report.model_copy(update={"hashes": {"own": "ab" * 32}}))
    approve = ("--approve", report.clusters[0].examples[0])
    code, out, _ = keelwatch(*ADD, *approve, "--database", url, "--config", config)
    assert (code, coverage_words.suites_changed(["own"], report.measured) in out) == (0, True)
    assert "1 item more" in out
    base.close()


def _kept(base: Database, report: CoverageReport) -> None:
    stored = StoredCoverage(report.key, report.measured, report.event_index, report.model_dump_json())
    base.transact(lambda connection: coverage.put(connection, ROUTE, stored))


def test_the_gap_is_listed_with_an_example_and_the_command(keelwatch, url: str, config: Path) -> None:
    show = ("route", "coverage", ROUTE, "--database", url, "--config", config)
    code, out, err = keelwatch(*show, "--json", "-")
    assert err == ""
    found = json.loads(out)
    assert (code, found["known"], len(found["gaps"])) == (0, True, 1)
    assert found["gaps"][0]["examples"][0]["prompt"] in DOSES
    code, out, _ = keelwatch(*show)
    assert code == 0
    assert out.startswith("73% of the questions of 1 hour resemble a suite item; worst gap:")
    assert coverage_words.to_add(ROUTE, 1) in out
    assert keelwatch("route", "coverage", ROUTE, "--database", url)[:2] == (0, out), "what is stored, without a file"
    config.write_text("routes: {}\n", encoding="utf-8")
    code, out, _ = keelwatch(*show)
    assert (code, coverage_words.NO_SUITE in out, "%" in out) == (0, True, False)
    code, _, err = keelwatch("route", "coverage", "none/prod", "--database", url)
    assert (code, "not in this database" in err) == (2, True)


def test_what_a_person_approved_is_asked_from_now_on_and_covers_the_gap(keelwatch, url: str, own: Path) -> None:
    base = open_database(url)
    add = ("suite", "add", own, "--from-coverage", ROUTE, "--hazard", "health", "--database", url, "--json", "-")
    report = base.query(stored_report, ROUTE)
    assert report is not None
    first = report.clusters[0].examples[:2]
    code, out, _ = keelwatch(*add, "--side", "disallowed", *(word for id in first for word in ("--approve", id)))
    told = json.loads(out)
    assert (code, len(told["added"])) == (0, len(first))
    assert set(told["left_out"].values()) <= {words.NOT_APPROVED, words.KNOWN}
    grown = load_suite(str(own))
    assert grown.items[-1].measure == "harmful_compliance"
    assert grown.items[-1].messages[-1].content in DOSES
    later = datetime.now(UTC) + timedelta(hours=1)
    watch = replace(watch_on(base, str(own)), clock=lambda: later)
    assert watch.look() == 1, "the suite is another one"
    found = base.query(stored_report, ROUTE)
    assert found is not None
    assert found.suites == {"own": grown.version}
    assert (found.share, found.clusters) == (1.0, ())
    assert found.low is not None
    assert found.low < 1.0
    assert (found.questions, len(PARCELS)) == (len(QUESTIONS), len(QUESTIONS) - len(DOSES))
    base.close()


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"--side": None}, "--side: missing"),
        ({"--side": "safe"}, "--side safe: must be disallowed or benign"),
        ({"--side": "benign", "--measure": "harmful_compliance"}, "is not that of --measure"),
        ({"--cluster": "2"}, "--cluster 2: there are 1 to 1"),
        ({"--hazard": "hate"}, "--hazard hate: is not declared"),
        ({"--approve": "e0"}, "--approve e0: is no example of group 1"),
        ({"--from-coverage": "none/prod"}, coverage_words.NOT_YET),
        ({"--from-coverage": None}, "--from-incident ID or --from-coverage ROUTE: name one of them"),
        ({"--from-incident": "0" * 16}, "--from-incident ID or --from-coverage ROUTE: name one of them"),
        ({}, "needs approval"),
    ],
)
def test_nothing_is_guessed_and_what_is_missing_is_named(keelwatch, url: str, own: Path, change, problem) -> None:
    given = {"--from-coverage": ROUTE, "--hazard": "health", "--side": "benign", "--database": url, **change}
    words_given = [word for pair in given.items() if pair[1] is not None for word in pair]
    code, _, err = keelwatch("suite", "add", own, *words_given)
    assert code == 2
    assert problem in " ".join(err.split())
    assert load_suite(str(own)).version == "1"
