"""A decision whose words were erased is the decision that it was: what was ended stays ended, and no word is left."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import select

from schemas.decision import Decision
from services.monitor import RoutePolicy
from services.record.recorder import Recorder
from services.store import decisions, journal, silences
from services.store.audit_check import check
from services.store.audit_log import AuditRow
from services.store.decisions import DecisionFilter
from services.store.engine import Database
from services.store.erasure import ERASED, Subject
from services.store.tables import table
from services.wiring.erasure import erase
from tests.support.records import ROUTE, at, decision

USER = "user-4711"
NOW = at(24)
MADE = decision("silence", 2, reason=f"load test of {USER}", expires=at(20 * 24))
OTHER = decision("silence", 3, reason="another one", expires=at(20 * 24))
OVER = decision("end_silence", 5, silence=MADE.id, actor=USER)


def policy(_route: str) -> RoutePolicy:
    return RoutePolicy()


def erased(database: Database) -> None:
    erase(database, policy, Subject("user", (USER,)), NOW)


def test_a_silence_that_was_ended_stays_ended_and_its_words_are_gone(database: Database) -> None:
    Recorder(database, policy).apply([MADE, OTHER, OVER])
    assert [one.id for one in database.query(silences.all_holding, NOW)] == [OTHER.id]
    for _ in range(2):
        erased(database)
        with database.read() as connection:
            assert [one.id for one in silences.all_holding(connection, NOW)] == [OTHER.id]
            found = silences.by_id(connection, silences.ids_of(connection, ROUTE))
            (again,) = [one for one in journal.facts(connection, ROUTE) if one.id == MADE.id]
            within = journal.facts_within(connection, ROUTE, ["decision"], None, None)
            listed = decisions.page(connection, DecisionFilter(id=MADE.id), None, 10)
            entries = connection.execute(select(table(AuditRow)).order_by(table(AuditRow).c.seq)).all()
        assert set(found) == {MADE.id, OTHER.id}
        assert (found[MADE.id].reason, found[MADE.id].ended_by) == (f"load test of {ERASED}", ERASED)
        assert found[MADE.id].until == OVER.ts
        assert {one.id for one in within} == {MADE.id, OTHER.id, OVER.id}
        assert isinstance(again, Decision)
        assert again.reason == f"load test of {ERASED}"
        assert [one.decision.id for one in listed] == [MADE.id]
        of_it = [one for one in entries if one.thing == "silences" and MADE.id in one.subject]
        assert [one.salt is None for one in of_it] == [True] * (len(of_it) - 1) + [False], "no guess can be tested"
        assert database.query(check, None).problems == ()


def test_a_worker_goes_on_after_it(database: Database) -> None:
    recorder = Recorder(database, policy)
    recorder.apply([MADE, OVER])
    erased(database)
    recorder.apply([OTHER, MADE, OVER])
    with database.read() as connection:
        assert set(silences.ids_of(connection, ROUTE)) == {MADE.id, OTHER.id}
        assert [one.id for one in silences.all_holding(connection, NOW)] == [OTHER.id]


def test_a_silence_that_no_decision_makes_is_none(database: Database) -> None:
    recorder = Recorder(database, policy)
    recorder.apply([OTHER])
    (one,) = database.query(silences.all_holding, NOW)
    stray = Decision(**{**dict(MADE), "reason": "of an erasure of before"})
    with database.write() as connection:
        silences.put(connection, ROUTE, [one, *silences.silences_of([stray])])
    recorder.apply([decision("silence", 4, reason="a third one", expires=at(20 * 24))])
    assert len(database.query(silences.all_holding, NOW)) == 2
    assert stray.id not in database.query(silences.ids_of, ROUTE)
    assert database.query(check, None).problems == ()


def test_what_is_still_to_be_published_ends_the_silence_that_it_names(database: Database) -> None:
    with database.write() as connection:
        for one in (MADE, OVER):
            decisions.add(connection, one, NOW)
    erased(database)
    with database.write() as connection:
        sent = decisions.claim(connection, "me", NOW, NOW + timedelta(minutes=1))
        kept = decisions.of_route(connection, ROUTE)
    assert [USER.encode() in one.payload for one in sent] == [False, False]
    made, over = (Decision.decode(one.payload) for one in sent)
    assert over.silence == made.id
    assert [one.id for one in kept] == [made.id, over.id]
    assert silences.silences_of([made, over])[0].until == OVER.ts
    assert database.query(check, None).problems == ()
