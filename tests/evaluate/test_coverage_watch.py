"""A route's coverage over a real database: measured, measured again when it may be another, and forgotten."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from schemas.base import Record
from schemas.reading import Reading
from services.alert.core import step
from services.alert.state import AlertState
from services.api.resources.coverage import coverage_of
from services.evaluate.coverage import MOST_EXAMPLES, CoverageReport
from services.evaluate.coverage_watch import NEW_EXCHANGES, gap_reading, stored_report
from services.evaluate.profile_sources import route_profile
from services.evaluate.suite import Suite
from services.evaluate.suite_library import load_suite
from services.monitor import RoutePolicy
from services.specs import COVERAGE_GAP
from services.store import coverage, incidents, readings, route_deletion
from services.store.coverage import KEPT_COVERAGES, StoredCoverage
from services.store.engine import Database
from services.store.erasure import Subject
from services.store.retention import RULES, SweepContext
from services.store.tables import DAY_SECONDS, today
from services.wiring.coverage import measure_all
from services.wiring.erasure import erase
from services.wording import coverage as words
from services.wording import profiles
from tests.support.api import NOW, later, recorded
from tests.support.asked_questions import (
    DOSES,
    ERIKA,
    PARCELS,
    QUESTIONS,
    asked_of,
    kept,
    own_suite,
    policy_of,
    scored,
    watch_on,
)
from tests.support.blocks import ROUTE

ITEM = "Where is the parcel with the lamp and the vase"


@pytest.fixture
def own(tmp_path: Path) -> str:
    return own_suite(tmp_path / "own", ITEM)


def stored(database: Database) -> CoverageReport:
    found = database.query(stored_report, ROUTE)
    assert found is not None
    return found


def test_the_share_the_gap_and_its_examples_are_stored_and_told(database: Database, own: str) -> None:
    asked_of(database)
    assert watch_on(database, own).look() == 1
    found = stored(database)
    assert (found.questions, found.exchanges, found.unknown) == (len(QUESTIONS), len(QUESTIONS), None)
    assert found.share == pytest.approx(len(PARCELS) / len(QUESTIONS))
    (gap,) = found.clusters
    assert gap.share == pytest.approx(len(DOSES) / len(QUESTIONS))
    assert (gap.questions, len(gap.examples)) == (len(DOSES), MOST_EXAMPLES)
    assert gap.risky == pytest.approx(6 / len(DOSES))
    assert gap.declined == pytest.approx(3 / len(DOSES))
    assert "dose" in gap.words
    told = database.query(coverage_of, ROUTE, policy_of(own), NOW)
    assert told.sentence.startswith('73% of the questions of 1 hour resemble a suite item; worst gap: "')
    assert told.sentence.endswith('", 27% of the questions, 12% of them declined, 25% risky.')
    assert all(one.prompt in DOSES for one in told.gaps[0].examples)


def test_no_text_stands_in_what_is_stored(database: Database, own: str) -> None:
    asked_of(database)
    watch_on(database, own).look()
    row = database.query(coverage.newest, ROUTE)
    assert row is not None
    assert not any(text in row.payload for text in QUESTIONS)


def test_it_is_measured_again_only_when_it_may_be_another(database: Database, own: str) -> None:
    asked_of(database)
    watch = watch_on(database, own)
    assert [watch.look(), watch.look()] == [1, 0]
    few = len(QUESTIONS) + NEW_EXCHANGES - 1
    recorded(database, *scored(PARCELS * 4, first=len(QUESTIONS))[:1])
    assert watch.look() == 0, "a hundred more are not enough"
    recorded(database, *scored((PARCELS * 4)[:100], first=len(QUESTIONS) + 100))
    assert watch.look() == 1
    assert stored(database).event_index >= few
    later = replace(watch, clock=lambda: NOW + timedelta(hours=25))
    assert [later.look(), later.look()] == [1, 0]


def test_another_suite_or_embedder_is_another_measurement(database: Database, own: str) -> None:
    asked_of(database)
    assert watch_on(database, own).look() == 1
    (Path(own) / "items.jsonl").write_text(
        (Path(own) / "items.jsonl").read_text().replace(ITEM, DOSES[0]), encoding="utf-8"
    )
    assert watch_on(database, own, hour=1).look() == 1
    assert stored(database).share == pytest.approx(len(DOSES) / len(QUESTIONS))
    assert watch_on(database, own, engine="other", hour=2).look() == 1
    found = database.query(coverage_of, ROUTE, policy_of(own), NOW)
    assert (found.known, found.share, found.reason) == (False, None, words.UNKNOWN["other_embedder"])


def test_what_was_measured_of_other_suites_or_long_ago_is_not_known_and_says_when(database: Database, own: str) -> None:
    asked_of(database)
    watch_on(database, own).look()

    def told(hours: float) -> tuple[object, str | None, str]:
        now = NOW + timedelta(hours=hours)
        found = database.query(coverage_of, ROUTE, policy_of(own), now)
        label = database.query(route_profile, ROUTE, policy_of(own), now, {})
        assert label is not None
        [part] = [one.text for one in label.not_tested if one.kind == "coverage"]
        return found.share, found.reason, part

    share = len(PARCELS) / len(QUESTIONS)
    assert told(48) == (pytest.approx(share), None, profiles.not_covered(1 - share))
    assert told(49) == (None, words.too_old(NOW), profiles.NOT_COVERED)
    assert database.query(coverage_of, ROUTE, None, NOW + timedelta(hours=49)).reason == words.too_old(NOW)
    items = Path(own) / "items.jsonl"
    items.write_text(items.read_text(encoding="utf-8").replace(ITEM, DOSES[0]), encoding="utf-8")
    assert told(0) == (None, words.suites_changed(["own"], NOW), profiles.NOT_COVERED)
    items.unlink()
    assert told(0)[1] is None, "what cannot be read here is not held against what the worker read"


def test_what_is_not_known_is_never_a_share(database: Database, own: str) -> None:
    recorded(database, *scored(PARCELS[:10]))
    for policy, reason in ((policy_of(), words.NO_SUITE), (policy_of(own), words.NOT_YET)):
        found = database.query(coverage_of, ROUTE, policy, NOW)
        assert (found.known, found.share, found.gaps, found.reason) == (False, None, [], reason)
    assert watch_on(database).look() == 0
    assert watch_on(database, own).look() == 1
    assert stored(database).unknown == "few_questions"
    assert watch_on(database, own, f"{own}/none", hour=1).look() == 1
    assert stored(database).unknown == "no_suite_read"
    assert database.query(coverage_of, ROUTE, policy_of(own), NOW).reason == words.other_suites(later(1))


def test_without_any_text_the_share_is_known_and_the_gap_has_no_example(database: Database, own: str) -> None:
    recorded(database, *scored(QUESTIONS))
    watch_on(database, own).look()
    found = database.query(coverage_of, ROUTE, policy_of(own), NOW)
    assert found.share == pytest.approx(len(PARCELS) / len(QUESTIONS))
    assert (found.gaps[0].words, found.gaps[0].examples) == ([], [])


def test_texts_of_the_ring_are_shown_until_they_are_gone(database: Database, own: str) -> None:
    asked_of(database, PARCELS)
    recorded(database, *scored(DOSES, first=len(PARCELS)))
    recorded(database, *(kept(len(PARCELS) + i, text, why="ring") for i, text in enumerate(DOSES)))
    watch_on(database, own).look()
    assert all(one.prompt for one in database.query(coverage_of, ROUTE, policy_of(own), NOW).gaps[0].examples)
    rule = next(one for one in RULES if one.name == "samples")
    later = SweepContext(datetime.now(UTC) + timedelta(days=400))  # rows are kept by the day on which they came
    assert rule.sweep is not None
    database.transact(lambda connection: rule.sweep(connection, later, 10_000))  # type: ignore[misc]
    assert [one.prompt for one in database.query(coverage_of, ROUTE, policy_of(own), NOW).gaps[0].examples] == [
        None
    ] * 5


def test_a_route_without_a_target_is_not_measured_and_a_deleted_one_keeps_nothing(database: Database, own: str) -> None:
    asked_of(database)
    assert watch_on(database).look() == 0
    watch_on(database, own).look()
    database.transact(lambda connection: route_deletion.delete_route(connection, ROUTE))
    assert database.query(coverage.newest, ROUTE) is None


def test_few_measurements_are_kept_and_old_ones_go(database: Database) -> None:
    def write(connection) -> None:
        for i in range(KEPT_COVERAGES + 3):
            coverage.put(connection, ROUTE, StoredCoverage(f"{i:016x}", NOW + timedelta(hours=i), i, "{}"))

    database.transact(write)
    assert database.query(coverage.newest, ROUTE).event_index == KEPT_COVERAGES + 2
    rule = next(one for one in RULES if one.name == "coverage")
    assert rule.sweep is not None
    soon = SweepContext(NOW.fromtimestamp((today() + 1) * DAY_SECONDS, NOW.tzinfo))
    late = SweepContext(soon.now + timedelta(days=coverage.KEPT_COVERAGE_DAYS + 1))
    assert database.transact(lambda connection: rule.sweep(connection, soon, 100)) == 0
    assert database.transact(lambda connection: rule.sweep(connection, late, 100)) == KEPT_COVERAGES


def test_what_is_measured_of_a_user_goes_with_the_user(database: Database, own: str) -> None:
    users = [None] * len(PARCELS) + [ERIKA] * 3 + [None] * (len(DOSES) - 3)
    asked_of(database, users=users)
    watch = watch_on(database, own)
    watch.look()
    report = erase(database, lambda _: policy_of(own), Subject("user", (ERIKA,)), NOW)
    assert report.rows["coverage"] == 1
    assert database.query(coverage.newest, ROUTE) is None
    assert watch.look() == 1
    assert stored(database).questions == len(QUESTIONS) - 3


def test_what_was_read_before_an_erasure_is_not_written_after_it(database: Database, own: str) -> None:
    asked_of(database, users=[ERIKA] * 3 + [None] * (len(QUESTIONS) - 3))
    watch = watch_on(database, own)
    embedder = watch.embedder()

    def erased_meanwhile(texts):
        erase(database, lambda _: policy_of(own), Subject("user", (ERIKA,)), NOW)
        return embedder.embed(texts)

    slow = replace(watch, embedder=lambda: replace(embedder, embed=erased_meanwhile))
    assert slow.look() == 0
    assert database.query(coverage.newest, ROUTE) is None
    assert watch.look() == 1


def test_the_reading_of_a_gap_informs_fires_nothing_and_holds_no_word_of_a_question(
    database: Database, own: str
) -> None:
    asked_of(database)
    sent: list[Record] = []

    async def publish(records: Sequence[Record]) -> None:
        assert database.query(coverage.newest, ROUTE) is None, "it is kept once the broker has the reading"
        sent.extend(records)

    assert asyncio.run(measure_all(watch_on(database, own), publish)) == 1
    (told,) = sent
    assert isinstance(told, Reading)
    assert (told.detector, told.status, told.evidence.n) == (COVERAGE_GAP, "quiet", len(QUESTIONS))
    assert told.effect is not None
    assert told.effect.after == pytest.approx(100 * len(DOSES) / len(QUESTIONS))
    assert "dose" not in told.encode().decode()
    assert step(AlertState(route=ROUTE), [told], NOW)[1] == ()
    recorded(database, told, told)
    [kept_reading] = database.query(readings.latest, ROUTE)
    assert kept_reading == told
    assert database.query(incidents.find, ROUTE) == ()


def test_a_route_that_cannot_be_measured_keeps_no_other_from_it(
    database: Database, own: str, caplog: pytest.LogCaptureFixture
) -> None:
    asked_of(database)
    recorded(database, *(one.model_copy(update={"route": "a/broken"}) for one in scored(QUESTIONS)))
    sent: list[Record] = []

    async def publish(records: Sequence[Record]) -> None:
        sent.extend(records)

    def load(name: str) -> Suite:
        if name == "broken":
            raise RuntimeError("not foreseen")
        return load_suite(name)

    def policy(route: str) -> RoutePolicy:
        return policy_of("broken" if route == "a/broken" else own)

    watch = replace(watch_on(database, own), policy=policy, suites=load)
    assert watch.routes() == ("a/broken", ROUTE)
    assert asyncio.run(measure_all(watch, publish)) == 1
    assert [one.route for one in sent if isinstance(one, Reading)] == [ROUTE]
    assert stored(database).share is not None
    assert "a/broken" in caplog.text


def test_the_reading_of_what_is_not_known_is_no_share(database: Database, own: str) -> None:
    recorded(database, *scored(PARCELS[:10]))
    report = watch_on(database, own).measure(ROUTE)
    assert report is not None
    told = gap_reading(report)
    assert (told.status, told.effect) == ("learning", None)
    assert step(AlertState(route=ROUTE), [told], NOW)[1] == ()
    assert told.id == gap_reading(report).id
