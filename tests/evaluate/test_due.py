"""What asks for runs of suites, which and when; each is stored once however often it is asked for."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import timedelta

import pytest
from sqlalchemy import update

from schemas.change import Change
from schemas.decision import Decision
from schemas.identity import identity_of
from services.evaluate.triggers import due_runs, target_name
from services.monitor import RoutePolicy, Target
from services.store import evaluation_queue
from services.store.engine import Database
from services.store.evaluation_queue import DueRun, EvaluationRow
from services.store.tables import table
from tests.record.stories import NEW, ROUTES, A, B, change, decision
from tests.support.blocks import START
from tests.support.databases import database, new_url

__all__ = ["database", "new_url"]

ROUTE = ROUTES[0]
TARGET = Target(url="https://api.example.com/v1", model="gpt-4")
DELAYS = (timedelta(0), timedelta(hours=1), timedelta(days=7))
POLICY = RoutePolicy(suites=("core", "own"), target=TARGET, after_change=DELAYS)
KINDS = ["acknowledge", "snooze", "accept_baseline", "false_alarm", "roll_back", "silence", "resolve"]
FIRST = change(ROUTE, 1).model_copy(update={"from_identity": None, "id": "1" * 16})
CAUSES = (
    FIRST,
    change(ROUTE, 2, "pinned"),
    change(ROUTE, 2, "pinned").model_copy(update={"from_identity": None, "id": "2" * 16}),
    change(ROUTE, 3, "observed"),
    change(ROUTE, 3, "suspected"),
    decision(ROUTE, "announce", 4),
)


def asked(cause: Change | Decision, policy: RoutePolicy = POLICY) -> list[tuple[str, str, int]]:
    return [(one.moment, one.suite, one.delay) for one in due_runs(policy, cause)]


def test_a_change_asks_for_every_suite_at_every_delay() -> None:
    for cause, moment in ((CAUSES[3], "change"), (CAUSES[4], "change"), (CAUSES[5], "announced")):
        runs = itertools.product(["core", "own"], [0, 3_600, 7 * 86_400])
        assert asked(cause) == [(moment, suite, delay) for suite, delay in runs]


@pytest.mark.parametrize("cause", CAUSES)
def test_a_run_is_due_its_delay_after_the_cause(cause: Change | Decision) -> None:
    for one in due_runs(POLICY, cause):
        assert one.due == cause.ts + timedelta(seconds=one.delay)
        assert (one.route, one.cause, one.target) == (ROUTE, cause.id, "gpt-4 at https://api.example.com/v1")


def test_the_first_sight_and_a_pinned_baseline_ask_for_one_run_at_once() -> None:
    assert asked(CAUSES[0]) == [("first_seen", "core", 0), ("first_seen", "own", 0)]
    for pinned in CAUSES[1:3]:
        assert asked(pinned) == [("pinned", "core", 0), ("pinned", "own", 0)]


@pytest.mark.parametrize("kind", KINDS)
def test_no_other_decision_asks_for_a_run(kind: str) -> None:
    assert due_runs(POLICY, decision(ROUTE, kind, 4)) == ()


@pytest.mark.parametrize("cause", CAUSES)
def test_a_route_without_a_target_or_a_suite_has_nothing_to_run(cause: Change | Decision) -> None:
    assert asked(cause, RoutePolicy(suites=("core",), after_change=DELAYS)) == []
    assert asked(cause, RoutePolicy(target=TARGET, suites=(), after_change=DELAYS)) == []


@pytest.mark.parametrize("cause", CAUSES)
def test_a_target_without_suites_is_asked_core(cause: Change | Decision) -> None:
    by_default = asked(cause, RoutePolicy(target=TARGET, after_change=DELAYS))
    assert by_default == asked(cause, RoutePolicy(target=TARGET, suites=("core",), after_change=DELAYS)) != []


def test_a_file_that_names_no_delay_means_at_once_and_an_empty_list_means_never() -> None:
    policy = RoutePolicy(suites=("core",), target=TARGET)
    assert asked(CAUSES[4], policy) == [("change", "core", 0)]
    never = RoutePolicy(suites=("core",), target=TARGET, after_change=())
    assert asked(CAUSES[4], never) == []
    assert asked(CAUSES[1], never) == [("pinned", "core", 0)], "there is a run to compare with when people ask for one"


def test_a_run_knows_who_should_answer() -> None:
    assert {one.identity for one in due_runs(POLICY, CAUSES[3])} == {B}
    announced = decision(ROUTE, "announce", 4)
    assert {one.identity for one in due_runs(POLICY, announced)} == {None}
    assert {one.identity for one in due_runs(POLICY, announced.model_copy(update={"model": NEW}))} == {identity_of(NEW)}
    assert {one.identity for one in due_runs(POLICY, FIRST)} == {B} != {A}


def test_what_is_named_twice_runs_once() -> None:
    twice = RoutePolicy(suites=("core", "core"), target=TARGET, after_change=(*DELAYS, *DELAYS))
    assert len(asked(CAUSES[3], twice)) == len(DELAYS)


def test_each_of_cause_suite_target_and_delay_makes_another_run() -> None:
    other = RoutePolicy(suites=POLICY.suites, target=Target(TARGET.url, "gpt-5"), after_change=DELAYS)
    every = [*_all_due(POLICY), *_all_due(other)]
    assert len({one.id for one in every}) == len(every) == 2 * (3 * 2 + 3 * 2 * 3)
    assert target_name(TARGET) != target_name(Target("https://api.example.com/v2", "gpt-4"))


def _all_due(policy: RoutePolicy) -> Iterator[DueRun]:
    for cause in CAUSES:
        yield from due_runs(policy, cause)


def test_scheduling_again_changes_nothing_whatever_became_of_the_run(database: Database) -> None:
    rows = list(_all_due(POLICY))
    with database.write() as connection:
        evaluation_queue.enqueue(connection, rows[:5])
        evaluation_queue.enqueue(connection, [*rows, *rows])
        taken = table(EvaluationRow)
        started = {"state": "running", "owner": "worker-1", "token": 3, "lease_until": START}
        connection.execute(update(taken).where(taken.c.id == rows[0].id).values(**started))
        failed = {"state": "failed", "reason": "the endpoint answered 500"}
        connection.execute(update(taken).where(taken.c.id == rows[1].id).values(**failed))
    before = stored(database)
    with database.write() as connection:
        evaluation_queue.enqueue(connection, rows)
        evaluation_queue.enqueue(connection, [])
    assert stored(database) == before
    found = {one.what.id: (one.state, one.reason) for one in database.query(evaluation_queue.find, ROUTE)}
    assert found[rows[0].id] == ("running", None)
    assert found[rows[1].id] == ("failed", "the endpoint answered 500")
    assert set(found.values()) == {("pending", None), *(found[row.id] for row in rows[:2])}
    assert len(found) == len(rows)
    assert database.query(evaluation_queue.find, "nowhere") == ()


def stored(database: Database) -> list[tuple]:
    rows = table(EvaluationRow)
    with database.read() as connection:
        return [tuple(row) for row in connection.execute(rows.select().order_by(rows.c.id))]


def test_runs_are_listed_in_the_order_in_which_they_are_due(database: Database) -> None:
    rows = list(_all_due(POLICY))
    with database.write() as connection:
        evaluation_queue.enqueue(connection, rows[::-1])
    found = [one.what for one in database.query(evaluation_queue.find)]
    assert found == sorted(rows, key=lambda row: (row.due, row.id))
