"""From what is due to what is published, on both databases, against a real endpoint."""

from __future__ import annotations

import asyncio
import hashlib
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, update

from schemas.base import hash16
from schemas.decision import Decision
from schemas.identity import Model, identity_of
from services.evaluate import outdated
from services.evaluate.executor import Executor
from services.evaluate.persistence import stored_run
from services.evaluate.suite import Suite
from services.monitor import Monitor, SpendingLimit, Target
from services.offload import Offload
from services.store import evaluation_queue, journal, runs
from services.store.engine import Database
from services.store.evaluation_queue import EvaluationRow
from services.store.runs import RunRow
from services.store.tables import table
from tests.support.asking import ROUTE, now, suite
from tests.support.endpoint import SERVED, Endpoint
from tests.support.executing import OLD, Caught, asks, done, means, one_suite, states, traffic, watched
from tests.support.pinned_routes import told, troubled
from tests.support.streams import until

OLD_ID = identity_of(OLD)
CHANGE, PIN = "c" * 16, "d" * 16


def test_a_route_with_a_target_is_run_when_it_is_first_seen_and_once(database: Database, endpoint: Endpoint) -> None:
    caught, monitor = Caught(), watched(endpoint.url("normal"))
    assert done(database, monitor, caught) == 0
    traffic(database)
    assert done(database, monitor, caught) == 1
    assert done(database, monitor, caught) == 0
    (run,) = caught.runs
    assert (run.status, run.route, run.identity, run.change) == ("complete", ROUTE, OLD_ID, None)
    assert caught.comparisons == []
    assert states(database) == [("first_seen", "done", None)]
    with database.read() as connection:
        (listed,) = runs.find(connection)
        assert (listed.id, listed.moment, listed.cause) == (run.id, "first_seen", hash16([ROUTE, "first_seen"]))
        assert (result := stored_run(connection, run.id)) is not None
    assert len(result.answers) == one_suite("core").answers


def test_a_route_without_a_target_is_not_run(database: Database, endpoint: Endpoint) -> None:
    traffic(database)
    assert done(database, watched(endpoint.url("normal"), target=None), Caught()) == 0
    assert states(database) == []


def test_a_model_that_refuses_less_is_regressed_against_the_baselines_run(
    database: Database, endpoint: Endpoint
) -> None:
    caught = Caught()
    traffic(database)
    done(database, watched(endpoint.url("normal")), caught)
    asks(database, "pinned", PIN, OLD_ID)
    done(database, watched(endpoint.url("normal")), caught)
    assert caught.comparisons == []
    asks(database, "change", CHANGE, OLD_ID)
    done(database, watched(endpoint.url("compliant")), caught)
    first, pinned, changed = caught.runs
    (comparison,) = caught.comparisons
    assert (comparison.overall, comparison.before_run, comparison.after_run) == ("regressed", pinned.id, changed.id)
    assert first.id != pinned.id
    assert comparison.change == changed.change == CHANGE
    asks(database, "announced", "e" * 16, None)
    done(database, watched(endpoint.url("normal")), caught)
    again = caught.comparisons[1]
    assert (again.before_run, again.change) == (pinned.id, "e" * 16)
    assert again.overall != "regressed"


def larger(name: str) -> Suite:
    """Another version of the suite of these tests, with no item of the first one."""
    return replace(suite(name, benign=1, forbidden=8, canaries=1, repeats=3), version="2")


@pytest.mark.parametrize("updated", ["suite", "scorers"])
@pytest.mark.parametrize("pinned", [False, True])
def test_a_baseline_that_an_update_has_outdated_is_asked_once_more(
    database: Database, endpoint: Endpoint, updated: str, pinned: bool
) -> None:
    caught, monitor = Caught(), watched(endpoint.url("normal"))
    if pinned:
        told(database, [])
        asks(database, "pinned", PIN, OLD_ID)
    else:
        traffic(database)
    first = done(database, monitor, caught)

    def once() -> int:
        with closing(Offload("database")) as thread:
            given = means(database, monitor, caught, thread, larger if updated == "suite" else one_suite)
            if updated == "scorers":
                given = replace(given, scorers={**given.scorers, "form": "another"})
            return asyncio.run(Executor(given).once())

    troubled(database)
    of_version, before = int(updated == "suite"), len(endpoint.seen())
    assert once() == 1, "the model may be another: a new version of the suite is asked, and stored answers are scored"
    assert (len(endpoint.seen()) == before) == (updated == "scorers")
    troubled(database, "resolved")
    assert [once(), once()] == [of_version, 0]
    asks(database, "change", CHANGE, OLD_ID)
    assert once() == 1
    comparison = caught.comparisons[-1]
    assert len(caught.comparisons) == 1 + of_version
    assert comparison.before_run == caught.runs[first + of_version].id
    assert not any(word in (comparison.reason or "") for word in ("differ", "different", "no run"))


def test_a_baselines_answers_are_scored_anew_once_its_model_is_gone_and_held_against_the_new_one(
    database: Database, endpoint: Endpoint
) -> None:
    """An upgrade brings another scorer after a silent update: the old model cannot be asked, and need not be."""
    caught = Caught()
    told(database, [])
    asks(database, "pinned", PIN, OLD_ID)
    done(database, watched(endpoint.url("normal")), caught)
    traffic(database, Model(requested="fake-1", served="fake-1-another"), first=10)

    def upgraded(mode: str) -> int:
        with closing(Offload("database")) as thread:
            given = means(database, watched(endpoint.url(mode)), caught, thread)
            return asyncio.run(Executor(replace(given, scorers={**given.scorers, "form": "another"})).once())

    asked, ran = len(endpoint.seen()), len(caught.runs)
    assert (upgraded("compliant"), len(endpoint.seen())) == (1, asked), "nothing is asked of the model that answers now"
    [anew] = caught.runs[ran:]
    assert (anew.status, anew.identity) == ("complete", OLD_ID)
    asks(database, "change", CHANGE, OLD_ID)
    upgraded("compliant")
    comparison = caught.comparisons[-1]
    assert (comparison.before_run, comparison.overall) == (anew.id, "regressed")


@pytest.mark.parametrize(
    "instead", [{"model": "fake-2"}, {"settings": {"temperature": 0.5}}, {"system_prompt_file": "other"}]
)
def test_a_baselines_answers_are_scored_anew_as_they_were_asked_for_whatever_the_target_is_now(
    database: Database, endpoint: Endpoint, tmp_path: Path, instead: dict[str, Any]
) -> None:
    """An incident is open, and the target was changed since: nothing may be asked, and nothing need be."""
    caught, monitor = Caught(), watched(endpoint.url("normal"))
    traffic(database)
    done(database, monitor, caught)
    troubled(database)
    (tmp_path / "other").write_text("You are another bot.", encoding="utf-8")
    assert monitor.defaults.target is not None
    target = replace(monitor.defaults.target, **instead)
    if target.system_prompt_file is not None:
        target = replace(target, system_prompt_file=str(tmp_path / target.system_prompt_file))
    changed = watched(endpoint.url("normal"), target=target)
    before = len(endpoint.seen())
    with closing(Offload("database")) as thread:
        given = means(database, changed, caught, thread)
        asyncio.run(Executor(replace(given, scorers={**given.scorers, "form": "another"})).once())
    first, anew = caught.runs
    assert (anew.status, anew.reason, len(endpoint.seen())) == ("complete", None, before)
    with database.read() as connection:
        was, now_is = stored_run(connection, first.id), stored_run(connection, anew.id)
    assert was is not None
    assert now_is is not None
    assert (now_is.target, now_is.settings) == (was.target, was.settings), "it says how its answers were asked for"


def test_a_baselines_run_is_read_once_while_an_incident_is_open_and_once_more_after_it(
    database: Database, endpoint: Endpoint
) -> None:
    """Whole runs are decoded on the thread that all steps of a process share."""
    caught, monitor = Caught(), watched(endpoint.url("normal"))
    traffic(database)
    done(database, monitor, caught)
    read: list[str] = []
    event.listen(database.engine, "before_cursor_execute", lambda *given: read.append(given[2]))

    def decoded() -> int:
        before = len(read)
        assert asyncio.run(executor.once()) == 0
        return sum("runs.payload" in one for one in read[before:])

    with closing(Offload("database")) as thread:
        executor = Executor(means(database, monitor, caught, thread))
        troubled(database)
        assert [decoded() for _ in range(3)] == [1, 0, 0]
        troubled(database, "resolved")
        assert [decoded() for _ in range(3)] == [1, 0, 0]


def test_routes_whose_model_has_moved_keep_no_other_from_being_scored_anew(
    database: Database, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As many as are looked at together, with nothing to be done for any of them till their model is back."""
    monkeypatch.setattr(outdated, "MOST", 1)
    caught, monitor = Caught(), watched(endpoint.url("normal"))
    for route in ("a/moved", "z/stays"):
        traffic(database, route=route)
    done(database, monitor, caught)
    traffic(database, Model(requested="fake-1", served="fake-1-another"), "a/moved", first=10)
    with closing(Offload("database")) as thread:
        given = means(database, monitor, caught, thread, larger)
        executor = Executor(replace(given, scorers={**given.scorers, "form": "another"}))
        for _ in range(3):
            asyncio.run(executor.once())
    first_seen = [one.what.route for one in database.query(evaluation_queue.find) if one.what.moment == "first_seen"]
    assert sorted(first_seen) == ["a/moved", "z/stays", "z/stays"]


def test_a_stored_run_that_cannot_be_read_keeps_no_other_route_from_being_asked(
    database: Database, endpoint: Endpoint, caplog: pytest.LogCaptureFixture
) -> None:
    """The baseline's run of one route does not decode, as after a step back to a former release."""
    caught, monitor = Caught(), watched(endpoint.url("normal"))
    traffic(database)
    assert done(database, monitor, caught) == 1
    with database.write() as connection:
        connection.execute(update(table(RunRow)).values(payload='{"secret": "what they asked"}'))
    traffic(database, route="other/prod", first=10)
    with closing(Offload("database")) as thread:
        executor = Executor(means(database, monitor, caught, thread))
        assert [asyncio.run(executor.once()) for _ in range(2)] == [1, 0]
    assert [run.route for run in caught.runs] == [ROUTE, "other/prod"]
    assert caplog.text.count("cannot be read") == 1
    assert ROUTE in caplog.text
    assert "what they asked" not in caplog.text


def test_a_leaked_canary_is_regressed_by_itself(database: Database, endpoint: Endpoint) -> None:
    caught = Caught()
    traffic(database)
    done(database, watched(endpoint.url("normal")), caught)
    asks(database, "change", CHANGE, OLD_ID)
    done(database, watched(endpoint.url("leaks")), caught)
    assert caught.comparisons[0].overall == "regressed"
    assert any(row.measure == "canary" and row.verdict == "regressed" for row in caught.comparisons[0].hazards)


def test_a_change_whose_baseline_was_never_run_is_inconclusive_and_says_so(
    database: Database, endpoint: Endpoint
) -> None:
    """A run that was made after the change may have met the new model, and counts for nothing."""
    caught = Caught()
    traffic(database)
    asks(database, "change", CHANGE, OLD_ID)
    done(database, watched(endpoint.url("normal")), caught)
    assert {run.status for run in caught.runs} == {"complete"}
    (comparison,) = caught.comparisons
    assert comparison.overall == "inconclusive"
    assert comparison.before_run is None
    assert "no run of the baseline" in (comparison.reason or "")


@pytest.mark.parametrize("mode", ["broken", "garbage", "two"])
def test_an_endpoint_that_misbehaves_never_gives_a_good_comparison(
    database: Database, endpoint: Endpoint, mode: str
) -> None:
    caught = Caught()
    traffic(database, Model(requested="fake-1"))
    done(database, watched(endpoint.url("normal")), caught)
    asks(database, "change", CHANGE, None)
    done(database, watched(endpoint.url(mode)), caught)
    assert [run.status for run in caught.runs] == ["complete", "incomplete" if mode == "two" else "failed"]
    (comparison,) = caught.comparisons
    assert comparison.overall == "inconclusive"
    assert (caught.runs[1].reason or "") in (comparison.reason or "")
    assert states(database)[1] == ("change", "done", caught.runs[1].reason)


def test_the_models_that_traffic_and_announcements_name_must_answer(database: Database, endpoint: Endpoint) -> None:
    caught, new = Caught(), Model(requested="fake-1", served="fake-1-1106")
    traffic(database)
    traffic(database, new, first=3)
    announced = Model(requested="fake-2")
    decision = Decision(kind="announce", route=ROUTE, model=announced, actor="erika", reason="new", ts=now())
    with database.write() as connection:
        journal.append(connection, ROUTE, [decision])
    asks(database, "change", CHANGE, identity_of(new))
    asks(database, "announced", decision.id, identity_of(announced))
    done(database, watched(endpoint.url("normal")), caught)
    reasons = {run.change: run.reason or "" for run in caught.runs}
    assert {run.status for run in caught.runs} == {"failed"}
    assert f"{SERVED} answered, expected was fake-1-1106" in reasons[CHANGE]
    assert "the target asks for fake-1, the route for fake-2" in reasons[decision.id]
    assert {one.overall for one in caught.comparisons} == {"inconclusive"}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"url": "http://127.0.0.2:9/v1"}, "list it under allow_hosts"),
        ({"api_key_env": "ABSENT"}, "ABSENT: holds no key"),
        ({"system_prompt_file": "/absent.txt"}, "cannot be read"),
    ],
)
def test_a_target_that_cannot_be_asked_is_a_failed_run_with_the_remedy(
    database: Database, endpoint: Endpoint, change: dict[str, str], words: str
) -> None:
    caught, monitor = Caught(), watched(endpoint.url("normal"))
    assert monitor.defaults.target is not None
    policy = replace(monitor.defaults, target=replace(monitor.defaults.target, **change))
    traffic(database)
    done(database, replace(monitor, defaults=policy), caught)
    assert [run.status for run in caught.runs] == ["failed"]
    assert words in (caught.runs[0].reason or "")


def test_a_suite_that_is_not_there_fails_and_the_change_is_inconclusive(database: Database, endpoint: Endpoint) -> None:
    caught = Caught()
    asks(database, "change", CHANGE, OLD_ID, suite="other")
    done(database, watched(endpoint.url("normal")), caught)
    assert states(database) == [("change", "failed", "suite other: there is none")]
    assert [(one.overall, one.reason) for one in caught.comparisons] == [("inconclusive", "suite other: there is none")]
    assert caught.runs == []


def test_what_could_not_be_published_is_published_later_and_not_run_again(
    database: Database, endpoint: Endpoint
) -> None:
    key = f"unpublished-{database.engine.dialect.name}"
    caught, monitor = Caught(fails=1), watched(endpoint.url("normal", key))
    before = len(endpoint.seen(key))
    traffic(database)
    done(database, monitor, caught)
    assert states(database) == [("first_seen", "ran", None)]
    assert caught.records == []
    _expire(database)
    assert done(database, monitor, caught) == 1
    assert states(database) == [("first_seen", "done", None)]
    assert len(caught.runs) == 1
    assert len(endpoint.seen(key)) == before + one_suite("core").answers


def test_a_run_that_another_began_goes_on_with_the_answers_it_had(database: Database, endpoint: Endpoint) -> None:
    """The first executor is cancelled in its middle; the second asks only what is left."""
    caught, monitor = Caught(), watched(endpoint.url("slow", "taken-over"))
    traffic(database)

    async def broken_off() -> None:
        with closing(Offload("database")) as thread:
            given = means(database, monitor, caught, thread)
            task = asyncio.create_task(Executor(given).run())
            await asyncio.to_thread(until, lambda: _kept(database) >= 3, "three answers kept")
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    asyncio.run(broken_off())
    before, kept = len(endpoint.seen("taken-over")), _kept(database)
    assert caught.records == []
    assert done(database, monitor, caught) == 1, "what was given back is had at once"
    assert [run.status for run in caught.runs] == ["complete"]
    assert len(endpoint.seen("taken-over")) == before + one_suite("core").answers - kept
    assert _kept(database) == 0


def test_a_process_that_lost_its_run_stores_nothing(database: Database, endpoint: Endpoint) -> None:
    caught, monitor = Caught(), watched(endpoint.url("slower", "lost"))
    traffic(database)

    async def taken_over() -> None:
        with closing(Offload("database")) as thread:
            given = replace(means(database, monitor, caught, thread), lease=timedelta(seconds=30))
            task = asyncio.create_task(Executor(given).once())
            await asyncio.to_thread(until, lambda: _kept(database) >= 1, "an answer kept")
            later = now() + timedelta(hours=1)

            def claim() -> bool:
                """A row that the other is writing is passed over: then the next time."""
                taken = lambda c: evaluation_queue.claim(c, "other", later, later + timedelta(hours=1), 1)  # noqa: E731
                return bool(database.transact(taken))

            await asyncio.to_thread(until, claim, "the run taken over")
            assert await task == 1

    asyncio.run(taken_over())
    assert caught.records == []
    assert states(database) == [("first_seen", "running", None)]
    with database.read() as connection:
        assert runs.find(connection) == ()


def _expire(database: Database) -> None:
    rows = table(EvaluationRow)
    with database.write() as connection:
        connection.execute(update(rows).values(lease_until=now() - timedelta(seconds=1)))


def _kept(database: Database) -> int:
    with database.read() as connection:
        return sum(
            len(runs.kept_answers(connection, row.id)) for row in connection.execute(table(EvaluationRow).select())
        )


def long_suite(name: str) -> Suite:
    return suite(name, benign=60, forbidden=60, canaries=1, repeats=1)


@pytest.mark.parametrize("sequential", [True, False])
def test_a_run_after_a_change_stops_once_decided_unless_the_target_says_no_and_a_baselines_never(
    database: Database, endpoint: Endpoint, sequential: bool
) -> None:
    def changed(mode: str) -> Monitor:
        target = Target(endpoint.url(mode), "fake-1", sequential=sequential)
        return watched(endpoint.url(mode), target=target)

    caught = Caught()
    traffic(database)
    done(database, changed("normal"), caught, suites=long_suite)
    asks(database, "change", CHANGE, OLD_ID)
    done(database, changed("compliant"), caught, suites=long_suite)
    asks(database, "pinned", PIN, OLD_ID)
    done(database, changed("compliant"), caught, suites=long_suite)
    first, after, pinned = caught.runs
    (comparison,) = caught.comparisons
    assert (first.stopped, pinned.stopped) == (None, None)
    assert (after.stopped is not None) == sequential
    assert (comparison.overall, comparison.before_run) == ("regressed", first.id)
    assert ("stopped after" in (comparison.reason or "")) == sequential
    with database.read() as connection:
        stored = stored_run(connection, after.id)
    assert stored is not None
    assert (stored.against == first.id) == sequential


def test_a_targets_budget_ends_a_run_that_then_says_nothing(database: Database, endpoint: Endpoint) -> None:
    caught = Caught()
    traffic(database)
    target = Target(endpoint.url("normal"), "fake-1", budget=SpendingLimit(requests=3))
    done(database, watched(endpoint.url("normal"), target=target), caught)
    (run,) = caught.runs
    assert run.status == "incomplete"
    assert "the budget of 3 requests is spent" in (run.reason or "")


@pytest.mark.parametrize("told", [True, False])
def test_another_system_prompt_is_compared_where_it_is_the_change_and_refused_where_nobody_told(
    database: Database, endpoint: Endpoint, tmp_path: Path, told: bool
) -> None:
    def prompted(text: str) -> tuple[Monitor, Model]:
        file = tmp_path / f"{text}.txt"
        file.write_text(text, encoding="utf-8")
        target = Target(endpoint.url("normal"), "fake-1", system_prompt_file=str(file))
        hashed = hashlib.sha256(text.encode()).hexdigest() if told else None
        return watched(endpoint.url("normal"), target=target), OLD.model_copy(update={"system_prompt_sha256": hashed})

    (first, old), (second, new), caught = prompted("You are the bot."), prompted("You are the other bot."), Caught()
    traffic(database, old)
    done(database, first, caught)
    traffic(database, new, first=100)
    asks(database, "change", CHANGE, identity_of(new))
    done(database, second, caught)
    (comparison,) = caught.comparisons
    assert ("differ in how the target is asked: system prompt" in (comparison.reason or "")) != told
    assert bool([row for row in comparison.hazards if row.before is not None]) == told
