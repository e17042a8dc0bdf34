"""The same model that moves on several routes is one provider event, told once on each of its routes."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from schemas.change import Change, Pinning
from schemas.identity import Model, identity_of
from services.evaluate.triggers import due_runs
from services.incident.provider_event import facts_of
from services.monitor import RoutePolicy
from services.record.provider_watch import ProviderWatch, event_of, read_events
from services.record.recorder import Recorder
from services.store import incidents, routes
from services.store.engine import open_database
from tests.support.records import alert, at, family_alert

GPT = Model(requested="gpt-4", served="gpt-4-0613")
CLAUDE = Model(requested="claude-3-opus")


@pytest.fixture
def database(tmp_path):
    made = open_database(f"sqlite:///{tmp_path / 'kw.db'}")
    yield made
    made.close()


def pinned(route: str, model: Model) -> Change:
    who = identity_of(model)
    return Change(
        id=identity_of(Model(requested=f"pin-{route}")),
        kind="pinned",
        route=route,
        to_identity=who,
        model=model,
        baseline=who,
        pinning=Pinning(n=300, streams=3, arl=1e5),
        ts=at(0),
        event_index=300,
        reason="pinned",
    )


def moved(route: str, model: Model, hours: float, index: int = 1000):
    return alert("firing", index, route=route, identities=(identity_of(model),), hours=hours)


def record(database, *facts, models=(GPT, CLAUDE)):
    with database.write() as connection:
        for fact in facts:
            routes.ensure(connection, fact.route)
            routes.add_identities(connection, fact.route, {identity_of(one): one for one in models})
    Recorder(database, lambda route: RoutePolicy()).apply(list(facts))


def watched(database):
    """What the watch publishes when it looks once, recorded as the stream would."""
    told = []

    async def publish(records):
        told.extend(records)

    asyncio.run(ProviderWatch(database).once(publish))
    if told:
        Recorder(database, lambda route: RoutePolicy()).apply(told)
    return told


def test_one_event_is_told_once_on_each_of_its_routes(database):
    pins = [pinned(f"bot/{name}", GPT) for name in "abcde"] + [pinned("chat/x", CLAUDE)]
    record(database, *pins, *(moved(f"bot/{name}", GPT, 20 + place) for place, name in enumerate("abcd")))
    told = watched(database)
    assert [(fact.route, fact.kind) for fact in told] == [(f"bot/{name}", "provider") for name in "abcd"]
    (words,) = {fact.reason for fact in told}
    assert words.startswith("4 of 5 routes on gpt-4-0613 moved since ")
    assert words.endswith("; claude routes did not")
    assert watched(database) == []
    for name in "abcd":
        (incident,) = database.query(incidents.find, f"bot/{name}")
        assert [entry.text for entry in incident.timeline if entry.text == words] == [words]
        assert incident.timeline[-1].text == words
        event = database.query(event_of, incident)
        assert {one.route for one in event.incidents} == {f"bot/{one}" for one in "abcd"}
    with database.read() as connection:
        waiting = connection.exec_driver_sql("select count(*) from outbox where kind = 'update'").scalar_one()
    assert waiting == 4


def test_an_event_that_grows_is_told_anew(database):
    record(database, *(pinned(f"bot/{name}", GPT) for name in "abc"))
    record(database, moved("bot/a", GPT, 20), moved("bot/b", GPT, 21))
    assert {fact.reason[:6] for fact in watched(database)} == {"2 of 3"}
    record(database, moved("bot/c", GPT, 22))
    assert {fact.reason[:6] for fact in watched(database)} == {"3 of 3"}
    assert watched(database) == []


@pytest.mark.parametrize(
    "facts",
    [
        pytest.param([moved("bot/a", GPT, 20)], id="one route is no event"),
        pytest.param([moved("bot/a", GPT, 20), moved("bot/b", CLAUDE, 20)], id="two models are none"),
        pytest.param([moved("bot/a", GPT, 20), moved("bot/b", GPT, 27)], id="more than hours apart is none"),
        pytest.param(
            [
                family_alert("user_shift", route=f"bot/{name}", identities=(identity_of(GPT),), hours=20)
                for name in "ab"
            ],
            id="users that changed are none",
        ),
    ],
)
def test_what_is_no_event(database, facts):
    record(database, pinned("bot/a", GPT), pinned("bot/b", GPT), *facts)
    assert database.query(read_events) == ()


def test_the_order_of_incidents_changes_nothing(database, tmp_path):
    facts = [moved(f"bot/{name}", GPT, 20 + place) for place, name in enumerate("abc")]
    record(database, *facts)
    other = open_database(f"sqlite:///{tmp_path / 'other.db'}")
    for fact in reversed(facts):
        record(other, fact)
    (one,), (two,) = database.query(read_events), other.query(read_events)
    assert facts_of(one) == facts_of(two)
    other.close()


def test_it_asks_for_no_suite(database):
    record(database, moved("bot/a", GPT, 20), moved("bot/b", GPT, 20.5))
    (fact, _) = watched(database)
    assert due_runs(RoutePolicy(suites=("core",)), fact) == ()
    assert fact.ts - at(20.5) == timedelta(seconds=1)
