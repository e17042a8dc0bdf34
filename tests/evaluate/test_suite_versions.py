"""A new version of a suite is a reason to ask its routes, once, and is compared on what both versions ask."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from schemas.identity import identity_of
from services.evaluate import outdated
from services.evaluate.executor import Executor
from services.evaluate.persistence import store_run, stored_run
from services.evaluate.suite import Suite
from services.monitor import Monitor
from services.offload import Offload
from services.store import evaluation_queue, runs
from services.store.engine import Database
from services.wording.runs import VERSION_GONE, shared_only
from services.wording.schedules import cause
from tests.support.asking import ROUTE, now, suite
from tests.support.endpoint import Endpoint
from tests.support.executing import OLD, Caught, asks, done, means, one_suite, states, traffic, watched


def newer(name: str) -> Suite:
    """The next version of the suite of these tests: one request more."""
    return replace(suite(name, benign=1, forbidden=9, canaries=1, repeats=1), version="2")


@pytest.fixture
def ran(database: Database, endpoint: Endpoint) -> tuple[Caught, Monitor]:
    """A route that was asked the first version."""
    caught, monitor = Caught(), watched(endpoint.url("normal"))
    traffic(database)
    assert done(database, monitor, caught) == 1
    assert done(database, monitor, caught) == 0, "the same version asks for nothing"
    return caught, monitor


def test_a_new_version_is_asked_once_in_full_and_held_against_the_run_before_it(
    database: Database, ran: tuple[Caught, Monitor]
) -> None:
    caught, monitor = ran
    assert done(database, monitor, caught, suites=newer) == 1
    assert [done(database, monitor, caught, suites=newer) for _ in range(2)] == [0, 0]
    first, second = caught.runs
    (comparison,) = caught.comparisons
    assert (comparison.before_run, comparison.after_run, comparison.change) == (first.id, second.id, None)
    assert shared_only(one_suite("core").answers, "1", "2") in (comparison.reason or "")
    assert second.items == first.items + 1
    assert [moment for moment, _, _ in states(database)] == ["first_seen", "suite"]
    assert cause("suite") == "new version of the suite"


def test_it_is_held_against_the_last_run_and_not_the_baselines(
    database: Database, endpoint: Endpoint, ran: tuple[Caught, Monitor]
) -> None:
    caught, monitor = ran
    asks(database, "scheduled", "e" * 16, identity_of(OLD))
    done(database, monitor, caught)
    done(database, watched(endpoint.url("compliant")), caught, suites=newer)
    assert (caught.comparisons[-1].before_run, caught.comparisons[-1].overall) == (caught.runs[1].id, "regressed")


def test_replicas_that_look_at_the_same_time_ask_once(database: Database, ran: tuple[Caught, Monitor]) -> None:
    caught, monitor = ran

    async def both() -> list[int]:
        with closing(Offload("one")) as one, closing(Offload("two")) as two:
            given = [means(database, monitor, caught, thread, newer) for thread in (one, two)]
            named = [replace(tools, instance=name) for tools, name in zip(given, "ab", strict=True)]
            return list(await asyncio.gather(*(Executor(tools).once() for tools in named)))

    assert sum(asyncio.run(both())) == 1
    assert len(caught.comparisons) == 1


def test_a_replica_that_still_has_the_former_version_asks_for_nothing(
    database: Database, ran: tuple[Caught, Monitor]
) -> None:
    caught, monitor = ran
    assert done(database, monitor, caught, suites=newer) == 1
    assert done(database, monitor, caught) == 0, "the former version was asked before"
    assert done(database, monitor, caught, suites=lambda name: replace(newer(name), version="3")) == 1
    assert len(caught.runs) == 3


def test_in_an_upgrade_a_process_with_the_other_version_leaves_it_to_those_that_have_it(
    database: Database, ran: tuple[Caught, Monitor]
) -> None:
    caught, monitor = ran
    with database.write() as connection:
        wanted, versions = [(ROUTE, "core", "fake-1 at x")], {"core": newer("core").sha256}
        rows = outdated.new_versions(connection, wanted, versions, now())
        evaluation_queue.enqueue(connection, rows, now())
        assert outdated.new_versions(connection, wanted, versions, now()) == [], "one is under way"
    done(database, monitor, caught)
    assert (len(caught.runs), states(database)[-1][:2]) == (1, ("suite", "pending")), "put off"

    def later(minutes: int) -> Callable[[], datetime]:
        return lambda: now() + timedelta(minutes=minutes)

    def once(minutes: int, suites: Callable[[str], Suite]) -> None:
        with closing(Offload("database")) as thread:
            asyncio.run(
                Executor(replace(means(database, monitor, caught, thread, suites), clock=later(minutes))).once()
            )

    once(6, newer)
    assert (len(caught.runs), states(database)[-1][:2]) == (2, ("suite", "done"))


def test_a_version_that_nobody_has_any_more_ends_with_the_reason(
    database: Database, ran: tuple[Caught, Monitor]
) -> None:
    caught, monitor = ran
    gone = now() - timedelta(hours=2)
    with database.write() as connection:
        rows = outdated.new_versions(connection, [(ROUTE, "core", "x")], {"core": newer("core").sha256}, gone)
        evaluation_queue.enqueue(connection, rows, gone)
    done(database, monitor, caught)
    assert states(database)[0][0] == "suite"
    assert states(database)[0][1:] == ("failed", VERSION_GONE)


def test_a_run_by_hand_is_no_run_of_the_service(database: Database, ran: tuple[Caught, Monitor]) -> None:
    """Somebody who tries a version out does not keep the route from being asked it."""
    caught, monitor = ran
    with database.write() as connection:
        result = stored_run(connection, caught.runs[0].id)
        assert result is not None
        by_hand = result.model_copy(
            update={"id": "f" * 16, "suite": result.suite.model_copy(update={"sha256": "0" * 64})}
        )
        store_run(connection, by_hand, runs.COMMAND, None)
    assert done(database, monitor, caught) == 0
