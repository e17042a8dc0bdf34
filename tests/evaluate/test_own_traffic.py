"""A route's own questions: which are asked again, once when a baseline is pinned and again after a change."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from datetime import time, timedelta
from typing import Any

import pytest
from sqlalchemy import update

from schemas.evaluation import OWN_TRAFFIC, EarlyStop
from schemas.identity import Model, identity_of
from schemas.position import Position
from schemas.sample import Sample, SampleCall, SampleMessage
from services.evaluate.executor import Executor
from services.evaluate.outdated import baseline_runs
from services.evaluate.own_traffic import (
    FEWEST,
    item_id,
    own_suite,
    result_as,
    result_without,
    suite_of,
    suite_text,
    suite_without,
    why_left_out,
)
from services.evaluate.persistence import stored_run
from services.evaluate.result import AskedSuite
from services.evaluate.triggers import due_runs, target_name
from services.monitor import ReaskPolicy, RoutePolicy, Target
from services.offload import Offload
from services.record.recorder import Recorder
from services.store import backlog, evaluation_queue, own_questions, runs
from services.store.engine import Database
from services.store.erasure import Subject
from services.store.evaluation_queue import EvaluationRow
from services.store.runs import RunFilter
from services.store.tables import table
from services.wiring.erasure import erase
from tests.support.asking import ROUTE, now
from tests.support.blocks import block, rows
from tests.support.counted_judge import CountedJudge
from tests.support.endpoint import Endpoint
from tests.support.executing import OLD, Caught, asks, done, means, states, watched
from tests.support.pinned_routes import BASELINE, pinned, told, troubled
from tests.support.results import answer, result

TOPICS = (
    "my parcel that was shipped on Monday",
    "the refund for a broken lamp",
    "changing the password of the account",
)


def sample(n: int, prompt: str | None = None, **more: Any) -> Sample:
    text = f"What about {TOPICS[n % 3]}, order {n}?" if prompt is None else prompt
    fields = {
        "id": f"exchange-{n:03d}",
        "route": ROUTE,
        "source": Position(cluster="c", topic="t", partition=0, offset=n),
        "ts": now() - timedelta(hours=1),
        "identity": identity_of(OLD),
        "user": f"user-{n % 7}",
        "conversation": f"talk-{n}",
        "prompt": text,
        "response": "On its way.",
        "why": "baseline",
    }
    return Sample.model_validate({**fields, **more})


def several(n: int = 60, **more: Any) -> list[Sample]:
    return [sample(i, **more) for i in range(n)]


def turns(*texts: str, roles: Sequence[str] = ("user", "assistant")) -> tuple[SampleMessage, ...]:
    return tuple(SampleMessage(role=roles[i % len(roles)], text=text) for i, text in enumerate(texts))


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"prompt": "write to <email> please"}, "masked"),
        ({"prompt": "the id <labelled value:95e30fd8ed61> is mine"}, "masked"),
        ({"messages": turns("my key is <api key>", "no", "why?")}, "masked"),
        ({"messages": turns("a " * 15_000, "no", "why?")}, "too long"),
        ({"prompt": "a" * 32_001}, "too long"),
        ({"messages": turns(*["again?"] * 51)}, "too long"),
        ({"tool_calls": (SampleCall(name="refund", arguments="{}"),)}, "tools"),
        ({"messages": turns("do it", "{}", "and?", roles=("user", "tool"))}, "tools"),
        ({"prompt": "  "}, "question"),
        ({"messages": turns("hello", "how may I help?")}, "question"),
        ({"messages": turns("", "how may I help?", "what now?")}, "question"),
        ({"prompt": "is 3 < 5 and a<b> a tag? <B>no</B>"}, "masked"),
        ({}, None),
        ({"messages": turns("hello", "how may I help?", "with my parcel")}, None),
        ({"prompt": "if a < b then? <3"}, None),
    ],
)
def test_only_what_was_kept_whole_is_asked_again(more: dict[str, Any], why: str | None) -> None:
    found = why_left_out(sample(1, **more))
    assert (found is None) if why is None else (why in (found or ""))


def test_the_same_exchanges_are_the_same_suite_in_whatever_order_they_come() -> None:
    kept = several()
    suite = own_suite(ROUTE, BASELINE, kept, 30)
    assert suite is not None
    assert suite == own_suite(ROUTE, BASELINE, list(reversed(kept)), 30)
    assert len(suite.items) == 30
    assert suite_of(suite_text(suite)).sha256 == suite.sha256
    assert json.loads(suite_text(suite))["title"] == f"30 questions that users of {ROUTE} asked"


def test_topics_have_their_shares_and_are_named_by_their_words() -> None:
    suite = own_suite(ROUTE, BASELINE, several(90), 30)
    assert suite is not None
    told = " ".join(suite.hazards.values())
    assert all(word in told for word in ("parcel", "refund", "password")), told
    counts = [sum(item.hazard == topic for item in suite.items) for topic in suite.hazards]
    assert max(counts) - min(counts) <= 1 or len(counts) > 3


def test_a_signal_that_was_true_once_is_asked_about() -> None:
    kept = several(100)
    kept[41] = sample(41, signals=("harmful_request", "refusal"))
    suite = own_suite(ROUTE, BASELINE, kept, 20)
    assert suite is not None
    (asked,) = [item for item in suite.items if item.measure == "harmful_compliance"]
    assert asked.id == item_id(kept[41].id)
    declined = own_suite(ROUTE, BASELINE, [*several(40), sample(41, signals=("refusal",))], 200)
    assert declined is not None
    assert [item.id for item in declined.items if item.measure == "newly_answered"] == [item_id("exchange-041")]
    assert {item.measure for item in suite.items if item is not asked} == {"newly_declined"}


def test_a_question_that_many_asked_is_asked_once() -> None:
    kept = [*several(40), *(sample(100 + n, "Where is my parcel?") for n in range(40))]
    suite = own_suite(ROUTE, BASELINE, kept, 200)
    assert suite is not None
    assert len(suite.items) == 41


def test_few_questions_are_none() -> None:
    assert own_suite(ROUTE, BASELINE, several(FEWEST - 1), 200) is None
    assert own_suite(ROUTE, BASELINE, several(200, prompt="the same?"), 200) is None


def test_the_history_is_sent_as_it_was() -> None:
    kept = several(30, messages=turns("hello", "how may I help?", "with my parcel"))
    kept = [
        one.model_copy(update={"messages": turns("hello", "yes?", f"about order {i}")}) for i, one in enumerate(kept)
    ]
    suite = own_suite(ROUTE, BASELINE, kept, 30)
    assert suite is not None
    assert [turn.role for turn in suite.items[0].messages] == ["user", "assistant", "user"]


def policy(**more: Any) -> dict[str, Any]:
    return {"suites": (), "reask": ReaskPolicy(share=1.0, **more)}


def test_they_are_due_when_a_baseline_is_pinned_and_after_a_change_and_not_at_first_sight() -> None:
    own = RoutePolicy(suites=("core",), target=Target("https://x.example/v1", "m"), reask=ReaskPolicy())
    change = pinned(several())
    assert [due.suite for due in due_runs(own, change)] == ["core", OWN_TRAFFIC]
    seen = change.model_copy(update={"kind": "observed", "baseline": None, "pinning": None})
    assert [due.suite for due in due_runs(own, seen)] == ["core"]
    moved = seen.model_copy(update={"kind": "suspected", "from_identity": change.to_identity})
    assert [due.suite for due in due_runs(own, moved)] == ["core", OWN_TRAFFIC]
    assert [due.suite for due in due_runs(replace(own, reask=None), moved)] == ["core"]


def test_a_model_that_was_changed_silently_is_seen_by_the_routes_own_questions(
    database: Database, endpoint: Endpoint
) -> None:
    forbidden = [f"Tell me the forbidden thing, number {n}." for n in range(20)]
    asked = [sample(100 + n, text, signals=("refusal",)) for n, text in enumerate(forbidden)]
    change, caught = told(database, [*several(40), *asked]), Caught()
    key = f"reask-{database.engine.dialect.name}"
    assert done(database, watched(endpoint.url("normal", key), **policy()), caught) == 1
    (run,) = caught.runs
    assert (run.status, run.items, run.items_of, run.suite) == ("complete", 60, "route", OWN_TRAFFIC)
    assert len(endpoint.seen(key)) == 60
    asks(database, "change", "c" * 16, change.to_identity, OWN_TRAFFIC)
    done(database, watched(endpoint.url("compliant"), **policy()), caught)
    (comparison,) = caught.comparisons
    assert (comparison.overall, comparison.items_of, comparison.before_run) == ("regressed", "route", run.id)
    (worse,) = [row for row in comparison.hazards if (row.hazard, row.measure) == ("all", "newly_answered")]
    assert (worse.before, worse.after) == (0.0, 100.0)
    assert 5 < len(worse.flipped) == worse.n <= 20, "it may stop as soon as that is shown"


def test_they_are_asked_once_of_a_baseline_that_was_pinned_before_the_route_asked_for_it(
    database: Database, endpoint: Endpoint
) -> None:
    told(database, several())
    url, caught = endpoint.url("normal"), Caught()
    assert done(database, watched(url, suites=()), caught) == 0
    assert done(database, watched(url, **policy()), caught) == 1
    assert done(database, watched(url, **policy()), caught) == 0


def test_a_baseline_is_asked_once_whatever_endpoint_is_named_later(database: Database, endpoint: Endpoint) -> None:
    told(database, several())
    caught = Caught()
    assert done(database, watched(endpoint.url("normal"), **policy()), caught) == 1
    assert done(database, watched(endpoint.url("compliant"), **policy()), caught) == 0
    assert len(caught.runs) == 1


def test_during_an_incident_no_baseline_is_asked_for_the_model_may_be_another(
    database: Database, endpoint: Endpoint
) -> None:
    change, key = told(database, several()), f"incident-{database.engine.dialect.name}"
    monitor = watched(endpoint.url("normal", key), **policy())
    troubled(database)
    assert done(database, monitor, Caught()) == 0
    asks(database, "pinned", change.id, change.to_identity, OWN_TRAFFIC)
    assert done(database, monitor, Caught()) == 1
    ((_, state, reason),) = states(database)
    assert (state, "open incident" in (reason or "")) == ("failed", True)
    assert endpoint.seen(key) == []


@pytest.mark.parametrize("before", [False, True])
def test_a_baseline_that_an_update_outdates_during_an_incident_is_scored_anew_once_that_is_resolved(
    database: Database, endpoint: Endpoint, before: bool
) -> None:
    """It is asked for once: what an incident keeps from it, also one that opens after that, is not lost."""
    told(database, several())
    caught, monitor = Caught(), watched(endpoint.url("normal"), **policy(daily_budget=1000))
    assert done(database, monitor, caught) == 1
    asked = len(endpoint.seen())
    with closing(Offload("database")) as thread:
        given = means(database, monitor, caught, thread)
        executor = Executor(replace(given, scorers={**given.scorers, "form": "another"}))
        if before:
            assert monitor.defaults.target is not None
            wanted = [(ROUTE, OWN_TRAFFIC, target_name(monitor.defaults.target))]
            with database.write() as connection:
                (one,) = baseline_runs(connection, wanted, (), now())
                row = one.again(None, executor.tools.scorers, now())
                assert row is not None
                evaluation_queue.enqueue(connection, [row], now())
        troubled(database)
        assert [asyncio.run(executor.once()) for _ in range(2)] == [int(before), 0]
        assert "failed" not in {state for _, state, _ in states(database)}
        troubled(database, "resolved")
        with database.write() as connection:
            connection.execute(update(table(EvaluationRow)).values(lease_until=None))
        assert asyncio.run(executor.once()) == 1
    assert [run.status for run in caught.runs] == ["complete", "complete"]
    assert len(endpoint.seen()) == asked, "its answers are there"


def test_a_baseline_is_not_asked_while_another_identity_answers(database: Database, endpoint: Endpoint) -> None:
    told(database, several())
    other = Model(requested="fake-2")
    Recorder(database, lambda _: RoutePolicy()).apply([block(rows(3, 3, model=other), ROUTE)])
    assert done(database, watched(endpoint.url("normal"), **policy()), Caught()) == 0


def test_a_baseline_that_was_not_answered_is_asked_again_an_hour_later_and_a_few_times(
    database: Database, endpoint: Endpoint
) -> None:
    change, caught = told(database, several()), Caught()
    monitor = watched(endpoint.url("broken"), **policy(daily_budget=1000))
    assert [done(database, monitor, caught) for _ in range(2)] == [1, 0]
    queue = table(EvaluationRow)
    for again in range(1, 6):
        with database.write() as connection:
            connection.execute(update(queue).values(created=now() - timedelta(minutes=61)))
        assert done(database, monitor, caught) == (1 if again <= 3 else 0)
        assert done(database, monitor, caught) == 0
    assert {run.status for run in caught.runs} == {"failed"}
    key = f"unasked-{database.engine.dialect.name}"
    asks(database, "change", "c" * 16, change.to_identity, OWN_TRAFFIC)
    done(database, watched(endpoint.url("normal", key), **policy(daily_budget=1000)), caught)
    assert endpoint.seen(key) == [], "there is nothing to hold the answers against"
    assert "not asked when its baseline was pinned" in (caught.comparisons[0].reason or "")


def test_a_day_has_its_budget_and_what_is_beyond_waits(database: Database, endpoint: Endpoint) -> None:
    change = told(database, several())
    key = f"budget-{database.engine.dialect.name}"
    caught, monitor = Caught(), watched(endpoint.url("normal", key), **policy(daily_budget=50))
    assert done(database, monitor, caught) == 1
    assert len(endpoint.seen(key)) == 50, "no more questions than a day may ask"
    asks(database, "change", "c" * 16, change.to_identity, OWN_TRAFFIC)
    done(database, monitor, caught)
    assert len(endpoint.seen(key)) == 50
    ((_, state, reason),) = [one for one in states(database) if one[0] == "change"]
    assert (state, caught.comparisons) == ("pending", [])
    assert "the day's budget of 50 questions is used up" in (reason or "")
    with database.read() as connection:
        (waiting,) = runs.page(connection, RunFilter(states=["due"]), None, 9)
    assert waiting.until is not None
    assert (waiting.until.time(), waiting.until > now()) == (time(), True), "midnight"
    assert done(database, monitor, caught) == 0, "kept for tomorrow"
    with database.write() as connection:
        (again,) = evaluation_queue.claim(connection, "other", waiting.until, waiting.until + timedelta(hours=1), 9)
    assert (again.what.id, states(database)[-1][1:]) == (waiting.id, ("running", None))


def test_a_run_that_waits_for_its_judges_next_day_takes_nothing_of_this_days_budget_and_is_not_late(
    database: Database, endpoint: Endpoint
) -> None:
    told(database, several(signals=("harmful_request",)))
    monitor = watched(endpoint.url("normal"), **policy(daily_budget=50))
    assert done(database, monitor, Caught(), judge=CountedJudge(most=0)) == 1
    ((_, state, reason),) = states(database)
    assert (state, reason) == ("pending", "too few are left today")
    with database.write() as connection:
        assert own_questions.grant(connection, ROUTE, "another", 50, 50), "nothing was asked of it"
        (waiting,) = runs.page(connection, RunFilter(states=["due"]), None, 9)
        assert backlog.read(connection, now()).runs == (), "nobody is paged for what waits as it should"
        assert waiting.until is not None
        (late,) = backlog.read(connection, waiting.until + timedelta(minutes=1)).runs
    assert (late.due, late.oldest) == (1, waiting.until)


def test_a_budget_below_what_the_baseline_asks_says_so_and_waits_for_nothing(
    database: Database, endpoint: Endpoint
) -> None:
    change, caught = told(database, several()), Caught()
    done(database, watched(endpoint.url("normal"), **policy()), caught)
    asks(database, "change", "c" * 16, change.to_identity, OWN_TRAFFIC)
    done(database, watched(endpoint.url("normal"), **policy(daily_budget=50)), caught)
    ((_, state, reason),) = [one for one in states(database) if one[0] == "change"]
    assert state == "failed"
    assert "60 questions" in (reason or "")
    assert "budget of 50; raise `daily_budget` under `reask` to 60" in (reason or "")


def test_a_change_of_a_baseline_that_was_not_asked_says_so(database: Database, endpoint: Endpoint) -> None:
    change = told(database, several(5))
    caught, monitor = Caught(), watched(endpoint.url("normal"), **policy())
    done(database, monitor, caught)
    asks(database, "change", "c" * 16, change.to_identity, OWN_TRAFFIC)
    done(database, monitor, caught)
    assert [reason for _, state, reason in states(database) if state == "failed"]
    reasons = {moment: reason or "" for moment, _, reason in states(database)}
    assert "only 5 exchanges of the baseline" in reasons["pinned"]
    assert "not asked when its baseline was pinned" in reasons["change"]
    assert [(one.overall, one.items_of) for one in caught.comparisons] == [("inconclusive", "route")]


def test_a_new_baseline_has_questions_of_its_own(database: Database, endpoint: Endpoint) -> None:
    told(database, several(30))
    caught, monitor = Caught(), watched(endpoint.url("normal"), **policy())
    done(database, monitor, caught)
    told(database, [sample(n) for n in range(200, 240)], id="e" * 16, baseline="f" * 16)
    done(database, monitor, caught)
    first, second = caught.runs
    assert (first.items, second.items) == (30, 40)
    assert first.suite_sha256 != second.suite_sha256


def test_what_an_erased_user_asked_is_asked_no_more_and_stands_nowhere(database: Database, endpoint: Endpoint) -> None:
    kept = several(40)
    change, caught = told(database, kept), Caught()
    monitor = watched(endpoint.url("normal"), **policy())
    done(database, monitor, caught)
    hers = [one for one in kept if one.user == "user-3"]
    report = erase(database, lambda _: RoutePolicy(), Subject("user", ("user-3",)), now())
    assert (report.rows["own_suites"], report.rows["runs"]) == (1, 1)
    with database.read() as connection:
        (suite,) = own_questions.every(connection)
        (run,) = runs.find(connection)
        result = stored_run(connection, run.id)
    assert result is not None
    assert {item.id for item in suite_of(suite.payload).items} == {item.id for item in result.suite.items}
    assert len(result.answers) == len(result.suite.items) == 40 - len(hers)
    text = suite.payload + result.encode().decode()
    assert [one.id for one in hers if one.prompt in text or item_id(one.id) in text] == []
    asks(database, "change", "c" * 16, change.to_identity, OWN_TRAFFIC)
    done(database, monitor, caught)
    (comparison,) = caught.comparisons
    assert comparison.before_run == result.id
    assert next((row.n, row.before, row.after) for row in comparison.hazards) == (40 - len(hers), 0.0, 0.0)


def test_who_is_erased_while_a_run_goes_on_does_not_come_back_with_it(
    database: Database, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = several(40)
    told(database, kept)
    erased: list[int] = []
    hers = {item_id(one.id) for one in kept if one.user == "user-3"}
    keep = runs.keep_answers

    def after_some(connection: Any, run: str, answers: Any) -> None:
        answers = list(answers)
        written.extend(item for item, _, _ in answers)
        keep(connection, run, answers)

    async def erasing(self: Executor, claimed: Any, version: str, one: Any) -> None:
        if not erased and len(written) >= 5:
            erased.append(1)
            erase(database, lambda _: RoutePolicy(), Subject("user", ("user-3",)), now())
            written.clear()
        await kept_by(self, claimed, version, one)

    written: list[str] = []
    kept_by = Executor._keep
    monkeypatch.setattr(runs, "keep_answers", after_some)
    monkeypatch.setattr(Executor, "_keep", erasing)
    done(database, watched(endpoint.url("normal"), **policy()), Caught())
    assert erased
    assert hers.isdisjoint(written)
    with database.read() as connection:
        (run,) = runs.find(connection)
        result = stored_run(connection, run.id)
    assert result is not None
    assert result.status == "complete"
    assert {item.id for item in result.suite.items} == {item_id(one.id) for one in kept} - hers
    assert hers.isdisjoint(one.item for one in result.answers)


def test_a_topic_that_lost_a_question_loses_the_words_that_it_was_named_by() -> None:
    suite = own_suite(ROUTE, BASELINE, several(90), 90)
    assert suite is not None
    gone = [f"exchange-{n:03d}" for n in range(0, 90, 9)]  # of one topic
    lost = {item.hazard for item in suite.items if item.id in {item_id(id) for id in gone}}
    assert 0 < len(lost) < len(suite.hazards)
    left = suite_without(suite, gone)
    assert lost.isdisjoint(left.hazards)
    told = suite_text(left)
    assert not any(slug in told or suite.hazards[slug] in told for slug in lost)
    assert set(suite.hazards) - lost <= set(left.hazards)
    assert {item.hazard for item in left.items} == set(left.hazards)
    run = result_as(result(suite), left)
    assert run.suite == AskedSuite.of(suite_of(suite_text(left)))
    assert lost.isdisjoint(item.hazard for item in run.suite.items)
    assert result_as(run, left) is run
    assert result_as(run, None).suite.items == ()


def test_what_is_left_of_a_run_is_a_run() -> None:
    suite = own_suite(ROUTE, BASELINE, several(), 200)
    assert suite is not None
    left = suite_without(suite, ["exchange-003", "nothing"])
    assert len(left.items) == len(suite.items) - 1
    assert left.sha256 != suite.sha256


@pytest.mark.parametrize(
    "gone", [["exchange-003"], ["exchange-003", "exchange-050"], [f"exchange-{n:03d}" for n in range(60)]]
)
def test_what_is_left_of_a_run_that_was_stopped_early_is_one(gone: list[str]) -> None:
    suite = own_suite(ROUTE, BASELINE, several(), 200)
    assert suite is not None
    asked = [item_id(f"exchange-{n:03d}") for n in range(25)]
    stop = EarlyStop(rule="regressed", asked=len(asked), of=len(suite.items))
    run = result(suite, answers=tuple(answer(id) for id in asked), against="a" * 16, stopped=stop)
    left = result_without(run, gone)
    assert left.stopped is not None
    assert left.stopped.rule == "regressed"
    assert left.stopped.of == len(suite.items) - len(gone) == len(left.suite.items)
    assert left.stopped.asked == len(left.answers) == len(set(asked) - {item_id(id) for id in gone})
    assert result_without(left, gone) is left


def test_answers_of_any_number_of_questions_are_dropped(database: Database) -> None:
    due = asks(database, "change", "c" * 16, None, OWN_TRAFFIC)
    with database.write() as connection:
        runs.keep_answers(connection, due.id, [(f"x-{n}", 0, "{}") for n in range(3)])
        dropped = runs.drop_answers(connection, ROUTE, OWN_TRAFFIC, [f"x-{n}" for n in range(1, 70_000)])
        assert (dropped, len(runs.kept_answers(connection, due.id))) == (2, 1)
