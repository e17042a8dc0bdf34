"""Stored runs, and which of them shows the baseline of a route."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from services.store import evaluation_queue, runs, schedules
from services.store.engine import Database
from services.store.evaluation_queue import DueRun, Moment
from services.store.runs import RunSummary
from services.store.schedules import StoredSchedule
from tests.support.blocks import START

ROUTE = "a/b"
A, B = "a" * 16, "b" * 16
FIRST, PIN, AGAIN = "1" * 16, "2" * 16, "3" * 16


def at(minutes: float) -> timedelta:
    return timedelta(minutes=minutes)


def ran(id: str, moment: Moment, cause: str, minutes: float, identity: str = A, status: str = "complete") -> RunSummary:
    ended = START + at(minutes)
    return RunSummary(id * 16, ROUTE, identity, "core", "f" * 64, moment, cause, status, None, ended)


def put(database: Database, *rows: RunSummary) -> None:
    with database.write() as connection:
        for row in rows:
            runs.add(connection, row, f'"{row.id}"')


def pinned(database: Database, cause: str, minutes: float, identity: str = A) -> None:
    row = DueRun(ROUTE, cause, "pinned", identity, "core", "m at https://x", 0, START)
    with database.write() as connection:
        evaluation_queue.enqueue(connection, [row], START + at(minutes))


def reference(database: Database, minutes: float, route: str = ROUTE, suite: str = "core") -> str | None:
    with database.read() as connection:
        found = runs.reference_run(connection, route, suite, START + at(minutes))
    return found and found[0]


def test_a_run_is_written_once_and_its_kept_answers_go(database: Database) -> None:
    run = ran("a", "pinned", PIN, 5)
    with database.write() as connection:
        runs.keep_answers(connection, run.id, [("x", 0, "old"), ("x", 1, "{}")])
        runs.keep_answers(connection, run.id, [("x", 0, "new")])
        runs.keep_answers(connection, "other", [("x", 0, "its")])
        assert runs.kept_answers(connection, run.id) == ("new", "{}")
        runs.add(connection, run, "first")
        runs.add(connection, replace(run, status="failed"), "second")
        assert runs.kept_answers(connection, run.id) == ()
        assert runs.kept_answers(connection, "other") == ("its",)
        assert runs.payload(connection, run.id) == "first"
        assert runs.payload(connection, "absent") is None
        assert runs.find(connection) == runs.find(connection, ROUTE) == (run,)
        assert runs.find(connection, "other") == ()


def test_before_a_baseline_is_pinned_the_first_sight_shows_it(database: Database) -> None:
    put(database, ran("a", "first_seen", FIRST, 5), ran("b", "change", B, 6, B))
    assert [reference(database, minutes) for minutes in (4.9, 5, 100)] == [None, "a", "a"]
    assert reference(database, 9, suite="other") is None
    assert reference(database, 9, route="other") is None


def test_the_run_of_the_pinned_baseline_shows_it_and_until_then_that_of_the_same_identity(database: Database) -> None:
    put(database, ran("a", "first_seen", FIRST, 5))
    pinned(database, PIN, 10)
    assert reference(database, 11) == "a"
    put(database, ran("b", "pinned", PIN, 15))
    assert [reference(database, minutes) for minutes in (14, 15)] == ["a", "b"]


def test_a_first_sight_of_another_identity_shows_no_pinned_baseline(database: Database) -> None:
    put(database, ran("a", "first_seen", FIRST, 5, B))
    pinned(database, PIN, 10)
    assert reference(database, 9) == "a"
    assert reference(database, 11) is None


def test_an_accepted_baseline_is_shown_by_its_own_run_alone(database: Database) -> None:
    """After a silent update both baselines have one identity: the old runs are not the new model's."""
    put(database, ran("a", "first_seen", FIRST, 5), ran("b", "pinned", PIN, 15))
    pinned(database, PIN, 10)
    pinned(database, AGAIN, 20)
    assert reference(database, 19) == "b"
    assert reference(database, 25) is None
    put(database, ran("c", "pinned", AGAIN, 30))
    assert [reference(database, minutes) for minutes in (29, 31)] == [None, "c"]


def test_runs_that_are_not_complete_show_nothing(database: Database) -> None:
    pinned(database, PIN, 10)
    put(database, ran("a", "pinned", PIN, 11, status="incomplete"), ran("b", "pinned", PIN, 12, status="failed"))
    assert reference(database, 100) is None


def test_a_fire_time_is_taken_once_and_the_last_one_is_known(database: Database) -> None:
    plan = StoredSchedule(ROUTE, "weekly", ("core",), "0 6 * * 1", "UTC", True, "command", START)
    with database.write() as connection:
        assert schedules.add(connection, plan)
        assert not schedules.add(connection, replace(plan, cron="* * * * *"))
        assert schedules.find(connection) == (plan,)
        assert schedules.last_fire(connection, plan) == START
        assert schedules.take_fire_time(connection, plan, START + at(7))
        assert not schedules.take_fire_time(connection, plan, START + at(7), "missed")
        assert schedules.take_fire_time(connection, plan, START + at(6), "missed")
        assert schedules.take_fire_time(connection, replace(plan, name="other"), START + at(9))
        assert schedules.last_fire(connection, plan) == START + at(7)
        assert schedules.last_fire(connection, replace(plan, since=START + at(99))) == START + at(99)
        assert schedules.remove(connection, ROUTE, "weekly")
        assert not schedules.remove(connection, ROUTE, "weekly")


def test_schedules_of_the_file_follow_it_and_those_of_commands_stay(database: Database) -> None:
    by_hand = StoredSchedule(ROUTE, "mine", None, "0 6 * * 1", "UTC", True, "command", START)
    of_file = [replace(by_hand, name=name, origin="file") for name in ("kept", "changed", "gone", "mine")]
    later = [replace(one, since=START + at(1)) for one in of_file]
    later[1] = replace(later[1], cron="5 6 * * 1")
    with database.write() as connection:
        schedules.add(connection, by_hand)
        schedules.sync(connection, of_file)
        schedules.sync(connection, [*later[:2], later[3]])
        assert schedules.find(connection) == (later[1], of_file[0], by_hand)
