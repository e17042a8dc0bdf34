"""Who is told what: a post, a broadcast with a mention, an update in place, or nothing."""

from __future__ import annotations

import pytest

from services.incident.fold import fold
from services.wording.incidents import one_line
from tests.support.records import ROUTE, alert, at, change, comparison, decision, family_alert

POST, LOUD_POST = ("post", False), ("post", True)
UPDATE, BROADCAST = ("update", False), ("broadcast", True)
MODEL = family_alert("model_shift", index=600)
RATE = alert(index=720)
SILENCE = decision("silence", 1, expires=at(90))


def told(*facts, now=None):
    return [(said.kind, said.mention) for said in fold(ROUTE, facts, now).notifications]


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        pytest.param([MODEL], [POST], id="info is posted once, without mention"),
        pytest.param([MODEL, family_alert("user_shift", index=700)], [POST, UPDATE], id="more info updates in place"),
        pytest.param([RATE], [LOUD_POST], id="opening at warning mentions"),
        pytest.param([MODEL, RATE], [POST, BROADCAST], id="rise to warning posts anew"),
        pytest.param(
            [MODEL, RATE, family_alert("events", index=730)], [POST, BROADCAST, BROADCAST], id="each rise does"
        ),
        pytest.param([RATE, family_alert("blind", index=730)], [LOUD_POST, UPDATE], id="as severe: an update"),
        pytest.param([RATE, alert("resolved", 800)], [LOUD_POST, UPDATE], id="its end is an update"),
        pytest.param(
            [RATE, alert("resolved", 800), alert(index=900)],
            [LOUD_POST, UPDATE, BROADCAST],
            id="reopened at warning is told aloud",
        ),
        pytest.param(
            [MODEL, family_alert("model_shift", "resolved", 700), family_alert("model_shift", index=800)],
            [POST, UPDATE, UPDATE],
            id="reopened at info is not",
        ),
        pytest.param(
            [RATE, decision("acknowledge"), change(index=1300), comparison(hours=23)],
            [LOUD_POST] + 3 * [UPDATE],
            id="all else updates",
        ),
        pytest.param([SILENCE, RATE], [LOUD_POST], id="a silence is applied where people are told, not here"),
        pytest.param([change(), comparison(hours=10)], [], id="no incident, nothing told"),
    ],
)
def test_notification(facts, expected):
    assert told(*facts) == expected


def test_a_notification_says_which_alert_it_tells_of():
    facts = [RATE, decision("acknowledge"), alert("resolved", 1300)]
    said = [(one.fingerprint, one.fired) for one in fold(ROUTE, facts).notifications]
    assert said == [(RATE.fingerprint, "warning"), (None, None), (RATE.fingerprint, None)]


def test_what_a_silence_of_before_covered_is_known_by_that():
    of_before = alert(index=720, silenced=True)
    assert [one.silenced for one in fold(ROUTE, [MODEL, of_before]).notifications] == [False, True]


def test_timers_update_in_place_and_are_told_with_their_time():
    said = fold(ROUTE, [RATE, decision("snooze", 20, expires=at(30))], at(99)).notifications[-1]
    assert (said.kind, said.mention, said.ts) == ("update", False, at(30))


def test_ids_are_one_a_telling_and_the_same_again():
    facts = [MODEL, RATE, decision("acknowledge"), family_alert("events", index=1300), alert("resolved", 1400)]
    first, second = fold(ROUTE, facts), fold(ROUTE, reversed(facts))
    ids = [said.id for said in first.notifications]
    assert len(set(ids)) == len(ids) == 5
    assert first.notifications == second.notifications


def test_a_later_fact_does_not_rename_what_was_told():
    facts = [MODEL, RATE, decision("acknowledge")]
    before = {said.id for said in fold(ROUTE, facts).notifications}
    after = {
        said.id for said in fold(ROUTE, [*facts, change(index=650), family_alert("events", index=1300)]).notifications
    }
    assert before < after


def test_what_is_told_says_what_moved_and_who():
    state = fold(ROUTE, [RATE])
    assert state.notifications[0].text == one_line(state.incidents[0])
