"""A run that did not finish is made again within its delay: bounded, later each time, and visible."""

from __future__ import annotations

import asyncio
from contextlib import closing
from dataclasses import replace
from datetime import timedelta

from schemas.identity import identity_of
from services.evaluate.executor import Executor
from services.evaluate.retries import BACKOFF, MOST_ATTEMPTS, ask_again, retry_of
from services.evaluate.schedule import cause_of
from services.monitor import Monitor, SpendingLimit, Target
from services.offload import Offload
from services.store import evaluation_queue, schedules
from services.store.engine import Database
from services.store.evaluation_queue import DueRun, QueuedRun
from services.store.schedules import StoredSchedule
from tests.support.asking import ROUTE, now
from tests.support.counted_judge import CountedJudge
from tests.support.endpoint import Endpoint
from tests.support.executing import OLD, Caught, asks, means, traffic, watched
from tests.support.results import result, suite_of

OLD_ID = identity_of(OLD)
CHANGE = "c" * 16


def once(
    database: Database,
    monitor: Monitor,
    caught: Caught,
    after: timedelta = timedelta(0),
    judge: CountedJudge | None = None,
) -> int:
    with closing(Offload("database")) as thread:
        tools = replace(means(database, monitor, caught, thread, judge=judge), clock=lambda: now() + after)
        return asyncio.run(Executor(tools).once())


def queued(database: Database) -> list[QueuedRun]:
    return [one for one in database.query(evaluation_queue.find) if one.what.moment == "change"]


def test_it_is_tried_twice_more_each_later_and_then_given_up(database: Database, endpoint: Endpoint) -> None:
    caught, monitor = Caught(), watched(endpoint.url("rejects"))
    traffic(database)
    asks(database, "first_seen", "d" * 16, OLD_ID)
    asks(database, "change", CHANGE, OLD_ID)
    once(database, monitor, caught)
    first, second = queued(database)
    assert (first.state, second.state, second.what.attempt) == ("done", "pending", 2)
    assert "attempt 2 of 3: the one before did not finish (" in (second.reason or "")
    assert once(database, monitor, caught) == 0, "not before its time"
    once(database, monitor, caught, BACKOFF[0] + timedelta(minutes=1))
    assert [one.what.attempt for one in queued(database)] == [None, 2, 3]
    once(database, monitor, caught, sum(BACKOFF, timedelta(minutes=5)))
    assert [(one.what.attempt, one.state) for one in queued(database)] == [(None, "done"), (2, "done"), (3, "done")]
    assert len({one.what.id for one in queued(database)}) == 3


def test_an_attempt_that_comes_to_its_end_is_the_last_and_its_comparison_counts(
    database: Database, endpoint: Endpoint
) -> None:
    caught = Caught()
    traffic(database)
    once(database, watched(endpoint.url("normal")), caught)
    asks(database, "change", CHANGE, OLD_ID)
    once(database, watched(endpoint.url("rejects")), caught)
    once(database, watched(endpoint.url("compliant")), caught, BACKOFF[0] + timedelta(minutes=1))
    assert [one.overall for one in caught.comparisons] == ["inconclusive", "regressed"]
    assert {one.change for one in caught.comparisons} == {CHANGE}
    assert [(one.what.attempt, one.state) for one in queued(database)] == [(None, "done"), (2, "done")]


def test_where_only_the_judge_said_nothing_its_answers_are_scored_again_and_the_target_is_not_asked(
    database: Database, endpoint: Endpoint
) -> None:
    key = f"silent-{database.engine.dialect.name}"
    judge, caught, monitor = CountedJudge(lambda _: None), Caught(), watched(endpoint.url("normal", key))
    traffic(database)
    asks(database, "first_seen", "d" * 16, OLD_ID)
    once(database, monitor, caught)
    asks(database, "change", CHANGE, OLD_ID)
    once(database, monitor, caught, judge=judge)
    asked, judged = len(endpoint.seen(key)), judge.asked
    assert "the judge said nothing of 8 of 8 answers" in (queued(database)[1].reason or "")
    judge.says = lambda _: False
    once(database, monitor, caught, BACKOFF[0] + timedelta(minutes=1), judge)
    assert [(one.what.attempt, one.state, one.reason) for one in queued(database)][1:] == [(2, "done", None)]
    assert (len(endpoint.seen(key)), judge.asked) == (asked, 2 * judged)


def test_a_run_that_its_budget_ended_is_not_made_again(database: Database, endpoint: Endpoint) -> None:
    traffic(database)
    asks(database, "change", CHANGE, OLD_ID)
    target = Target(endpoint.url("normal"), "fake-1", budget=SpendingLimit(requests=2))
    once(database, watched("", target=target), Caught())
    assert [one.state for one in queued(database)] == ["done"]


def test_a_budget_is_that_of_all_attempts(database: Database, endpoint: Endpoint) -> None:
    key = f"attempts-{database.engine.dialect.name}"
    traffic(database)
    asks(database, "first_seen", "d" * 16, OLD_ID)
    asks(database, "change", CHANGE, OLD_ID)
    target = Target(endpoint.url("rejects", key), "fake-1", budget=SpendingLimit(requests=15))
    once(database, watched("", target=target), Caught())
    spent = len(endpoint.seen(key)) // 2
    target = replace(target, url=endpoint.url("normal", f"{key}-2"))
    caught = Caught()
    once(database, watched("", target=target), caught, BACKOFF[0] + timedelta(minutes=1))
    assert 8 <= spent <= 10
    assert len(endpoint.seen(f"{key}-2")) == 2 * (15 - spent)
    assert all("the budget of 15 requests is spent" in (run.reason or "") for run in caught.runs)
    assert [one.what.attempt for one in queued(database)] == [None, 2], "what its budget ended is not made again"


def due(attempt: int | None = None, **more: object) -> DueRun:
    return replace(DueRun(ROUTE, CHANGE, "change", OLD_ID, "core", "t", 0, now(), attempt), **more)  # type: ignore[arg-type]


def test_an_attempt_comes_before_the_next_delay_or_not_at_all() -> None:
    failed = result(suite_of(), status="failed", reason="the endpoint answered 500", answers=())
    at = now()
    retry = retry_of(due(), failed, at, at + timedelta(hours=1))
    assert retry is not None
    assert (retry.due - at, retry.attempt, retry.cause) == (BACKOFF[0], 2, CHANGE)
    assert retry_of(due(), failed, at, at + BACKOFF[0]) is None
    assert retry_of(due(MOST_ATTEMPTS), failed, at, None) is None
    assert retry_of(due(), result(suite_of()), at, None) is None
    assert retry_of(due(suite="own-traffic"), failed, at, None) is None


def test_a_run_of_a_baseline_is_tried_again_though_another_one_of_its_cause_has_a_higher_number(
    database: Database,
) -> None:
    failed = result(suite_of(), status="failed", reason="the endpoint answered 500", answers=())
    for moment in ("first_seen", "pinned", "requested", "suite"):
        first = due(moment=moment, cause=f"{moment:x<16}")
        made_again = replace(first, delay=123_456_789, due=now() - timedelta(days=1))
        with database.write() as connection:
            evaluation_queue.enqueue(connection, [first, made_again], now())
            ask_again(connection, first, failed, now())
    attempts = [(one.what.moment, one.what.attempt) for one in database.query(evaluation_queue.find)]
    assert {moment for moment, attempt in attempts if attempt == 2} == {"first_seen", "pinned", "requested", "suite"}


def test_the_next_time_of_the_same_cause_is_known(database: Database) -> None:
    hourly = StoredSchedule(ROUTE, "hourly", None, "0 * * * *", "UTC", True, "command", now() - timedelta(days=1))
    rows = [due(), due(delay=3600, due=now() + timedelta(hours=1)), due(delay=600, suite="other")]
    with database.write() as connection:
        evaluation_queue.enqueue(connection, rows, now())
        following = evaluation_queue.following_due(connection, rows[0])
        assert following is not None
        assert abs(following - rows[1].due) < timedelta(seconds=1)
        assert evaluation_queue.following_due(connection, rows[1]) is None
        schedules.add(connection, hourly)
        fire = now().replace(minute=0, second=0, microsecond=0)
        assert schedules.take_fire_time(connection, hourly, fire)
        assert schedules.newest_taken(connection, hourly, 5) == (fire,)
        assert not evaluation_queue.any_open(connection, [cause_of(hourly, fire)])
        assert evaluation_queue.any_open(connection, [CHANGE])
