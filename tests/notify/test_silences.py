"""Under a silence nobody is told, and at its end of what still stands. The clock is turned; on both databases."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.decision import Silence, silences_of
from services.notify.silencing import plan
from services.store import deliveries, incidents, silences
from services.store.deliveries import JOINED, KEPT, PASSED, PENDING, SENT
from services.store.silences import OutboxEntry
from tests.support.block_kit import texts
from tests.support.notify import MENTION, Clock, bot, outbox, record, sender, turns
from tests.support.records import ROUTE, alert, at, change, decision, family_alert

HOUR = 3600.0
MODEL, RATE = family_alert("model_shift", index=600), alert(index=720)
LEAK = family_alert("events", index=730)


def silence(clock, hours=4.0, **fields):
    return decision("silence", ts=clock(), expires=clock() + timedelta(hours=hours), **fields)


def ended(clock, **fields):
    return decision("end_silence", ts=clock(), reason="done early", actor="ines", **fields)


def told(slack):
    """What was posted: in the thread or not, with whom."""
    posted = slack.accepted("chat.postMessage")
    return [(bool(body.get("thread_ts")), MENTION in texts(body["blocks"])) for body in posted]


def test_what_fires_under_a_silence_is_told_at_its_end_once(database, slack) -> None:
    clock = Clock()
    one = sender(database, clock, bot(slack))
    record(database, silence(clock), RATE, LEAK)
    turns(one, clock, 3)
    assert slack.calls() == []
    assert {row.state for row in outbox(database)} == {KEPT, PASSED}  # of nothing told, a decision tells nothing
    clock.move(4 * HOUR - 10)
    turns(one, clock)
    assert slack.calls() == []
    clock.move(10)
    turns(one, clock, 2, seconds=30)
    assert told(slack) == [(False, True)]
    (post,) = slack.accepted()
    assert "leaked credential" in " ".join(texts(post["blocks"]))
    clock.move(48 * HOUR)
    turns(one, clock, 3)
    assert len(slack.calls()) == 1


def test_what_came_and_went_is_told_to_nobody_and_listed(database, slack) -> None:
    clock = Clock()
    one = sender(database, clock, bot(slack))
    made = silence(clock)
    record(database, made, RATE)
    turns(one, clock)
    record(database, alert("resolved", 900))
    turns(one, clock)
    clock.move(5 * HOUR)
    turns(one, clock, 2)
    assert slack.calls() == []
    with database.read() as connection:
        ((kept,),) = silences.kept_by(connection, [made.id]).values()
    assert (kept.state, kept.ts) == ("passed", RATE.ts)
    assert "refusal rate" in kept.text


def test_an_alert_that_was_told_before_and_ends_under_a_silence_edits_its_message_alone(database, slack) -> None:
    clock = Clock()
    one = sender(database, clock, bot(slack))
    record(database, RATE)
    turns(one, clock)
    record(database, silence(clock))
    turns(one, clock)
    before = len(slack.calls())
    record(database, alert("resolved", 900))
    turns(one, clock, 2)
    assert [call["method"] for call in slack.calls()[before:]] == ["chat.update"]
    clock.move(5 * HOUR)
    turns(one, clock, 2)
    assert len(slack.calls()) == before + 1


def test_a_rise_under_a_silence_is_broadcast_at_its_end(database, slack) -> None:
    clock = Clock()
    one = sender(database, clock, bot(slack))
    record(database, MODEL)
    turns(one, clock)
    assert told(slack) == [(False, False)]
    record(database, silence(clock), RATE, LEAK)
    turns(one, clock)
    quiet = len(told(slack))
    clock.move(4 * HOUR)
    turns(one, clock, 2)
    assert told(slack)[quiet:] == [(True, True)]


@pytest.mark.parametrize("how", ["one", "route", "fingerprint"])
def test_somebody_may_end_it_early(database, slack, how) -> None:
    clock = Clock()
    one = sender(database, clock, bot(slack))
    made = silence(clock, fingerprint=RATE.fingerprint)
    record(database, made, RATE)
    turns(one, clock)
    clock.move(60)
    named = {"one": {"silence": made.id}, "route": {}, "fingerprint": {"fingerprint": RATE.fingerprint}}[how]
    record(database, ended(clock, **named))
    turns(one, clock, 2)
    assert told(slack) == [(False, True)]


def test_it_may_be_shortened_and_not_prolonged_by_its_end(database, slack) -> None:
    clock = Clock()
    one = sender(database, clock, bot(slack))
    made = silence(clock, hours=4)
    record(database, made, RATE)
    turns(one, clock)
    for hours in (9, 1):
        record(database, ended(clock, silence=made.id, expires=made.ts + timedelta(hours=hours)))
    clock.move(HOUR - 30)
    turns(one, clock)
    assert slack.calls() == []
    clock.move(31)
    turns(one, clock)
    assert told(slack) == [(False, True)]
    (found,) = silences_of([made, ended(clock, silence=made.id, expires=made.ts + timedelta(hours=1))])
    assert (found.until, found.ended_by) == (made.ts + timedelta(hours=1), "ines")


def test_of_two_that_overlap_the_later_end_counts(database, slack) -> None:
    clock = Clock()
    one = sender(database, clock, bot(slack))
    record(database, silence(clock, 2), silence(clock, 6, reason="the other one"), RATE)
    turns(one, clock)
    clock.move(3 * HOUR)
    turns(one, clock)
    assert slack.calls() == []
    clock.move(3 * HOUR)
    turns(one, clock)
    assert told(slack) == [(False, True)]


def test_a_silence_of_one_alert_does_not_soften_the_others(database, slack) -> None:
    """A leak is kept back; a rate that moved is told as loud as if there had been no leak, the leak at the end."""
    clock = Clock()
    one = sender(database, clock, bot(slack))
    record(database, silence(clock, fingerprint=LEAK.fingerprint), LEAK, alert(index=800))
    turns(one, clock)
    assert told(slack) == [(False, True), (True, False)]  # and in the thread, that somebody silenced a part of it
    clock.move(4 * HOUR)
    turns(one, clock, 2)
    assert told(slack)[2:] == [(True, True)]


def test_what_fires_on_is_told_also_where_its_incident_closed_by_itself_under_the_silence(database, slack) -> None:
    clock = Clock()
    one = sender(database, clock, bot(slack))
    made = silence(clock, hours=72)
    record(database, made, MODEL)
    turns(one, clock)
    record(database, change(index=3000))
    assert [found.state for found in database.query(incidents.find, ROUTE)] == ["resolved"]
    turns(one, clock)
    assert {row.state for row in outbox(database)} == {KEPT, PASSED}
    clock.move(72 * HOUR)
    turns(one, clock, 2)
    assert told(slack) == [(False, False)]


def test_what_is_over_or_was_decided_by_people_is_not_told_at_the_end(database, slack) -> None:
    for last in (family_alert("model_shift", "resolved", 3000), decision("resolve", 33)):
        clock, before = Clock(), len(slack.calls())
        one = sender(database, clock, bot(slack))
        record(database, silence(clock, hours=72), MODEL)
        turns(one, clock)
        record(database, last)
        clock.move(73 * HOUR)
        turns(one, clock, 2)
        assert len(slack.calls()) == before


def test_nobody_hears_what_people_do_to_an_incident_of_which_nobody_heard(database, slack) -> None:
    clock = Clock()
    one = sender(database, clock, bot(slack))
    record(database, silence(clock), RATE)
    turns(one, clock)
    record(database, decision("acknowledge", 20))
    turns(one, clock, 2)
    assert slack.calls() == []
    record(database, decision("resolve", 21))
    clock.move(5 * HOUR)
    turns(one, clock, 2)
    assert slack.calls() == []


def test_the_end_is_noticed_when_nobody_was_there_as_it_passed(database, slack) -> None:
    clock = Clock()
    record(database, silence(clock), RATE)
    turns(sender(database, clock, bot(slack)), clock)
    clock.move(40 * HOUR)
    turns(sender(database, clock, bot(slack), name="another"), clock, 2)
    assert told(slack) == [(False, True)]


def test_a_receiver_in_trouble_hears_nothing_once_there_is_a_silence(database, slack) -> None:
    clock = Clock()
    one = sender(database, clock, bot(slack))
    slack.script("error", "error", "error")
    record(database, RATE)
    turns(one, clock)
    record(database, silence(clock))
    clock.move(60)
    turns(one, clock, 3, seconds=60)
    assert slack.accepted() == []
    clock.move(4 * HOUR)
    turns(one, clock, 3, seconds=40)
    assert told(slack) == [(False, True)]


def test_history_that_arrives_under_a_silence_is_kept_too(database, slack) -> None:
    """It holds by the clock on the wall: an alert of a week ago that is found now is not told now."""
    clock = Clock()
    one = sender(database, clock, bot(slack))
    record(database, silence(clock))
    record(database, RATE)
    assert RATE.ts < clock() - timedelta(days=5)
    turns(one, clock)
    assert slack.calls() == []


def test_an_alert_that_was_silenced_by_an_earlier_version_is_told_if_it_stands(database, slack) -> None:
    clock = Clock()
    one = sender(database, clock, bot(slack))
    over = alert(index=300, signal="pii_leak", silenced=True)
    record(database, over, alert("resolved", 400, signal="pii_leak", silenced=True))
    record(database, decision("silence", 1, expires=at(20)), alert(index=9000, silenced=True))
    turns(one, clock, 2)
    assert told(slack) == [(False, True)]
    (post,) = slack.accepted()
    assert "refusal" in " ".join(texts(post["blocks"]))


def test_a_message_says_that_its_alerts_are_silenced_and_offers_the_end(database, slack) -> None:
    clock = Clock()
    one = sender(database, clock, bot(slack))
    record(database, RATE)
    turns(one, clock)
    record(database, silence(clock, incident=_incident(database), reason="load test"))
    turns(one, clock)
    said = " ".join(texts(slack.accepted()[-2]["blocks"]))
    assert "until 1 Dec 2026 04:00 UTC by mara: load test" in said
    assert "End the silence" in said
    assert "Silence notifications for 24 hours" not in said


def _incident(database) -> str:
    return outbox(database)[0].incident


FINGERPRINTS = ["a" * 16, "b" * 16]
ENTRIES = st.builds(
    OutboxEntry,
    id=st.uuids().map(str),
    route=st.just(ROUTE),
    incident=st.sampled_from(["one", "two"]),
    state=st.sampled_from([PENDING, KEPT, PASSED, JOINED, SENT]),
    created=st.integers(0, 50).map(at),
    fingerprint=st.sampled_from(FINGERPRINTS),
    fired=st.sampled_from(["info", "warning", "critical"]),
    heard=st.booleans(),
    silence=st.none(),
)
SILENCES = st.lists(
    st.builds(
        Silence,
        id=st.sampled_from(["s", "t"]),
        route=st.just(ROUTE),
        since=st.just(at(0)),
        until=st.just(at(9)),
        actor=st.just("mara"),
        reason=st.just("load test"),
        fingerprint=st.sampled_from([None, *FINGERPRINTS]),
    ),
    max_size=2,
)


@given(st.lists(ENTRIES, max_size=12), SILENCES)
@settings(max_examples=200)
def test_whatever_waits_nothing_covered_is_sent_and_all_else_is_spoken_for(entries, held) -> None:
    found = plan(entries, {ROUTE: held})
    after = {one.id: found.states.get(one.id, one.state) for one in entries}
    for one in entries:
        covered = any(silence.covers(one.fingerprint) for silence in held)
        if covered and not one.heard:
            assert after[one.id] != PENDING or one.state != PENDING
        if one.state == KEPT and not covered:
            assert after[one.id] in (PENDING, JOINED)
        if one.state in (PASSED, JOINED, SENT):
            assert after[one.id] == one.state
    for incident in ("one", "two"):
        freed = [one for one in entries if one.incident == incident and one.state == KEPT and after[one.id] == PENDING]
        assert len(freed) <= 1
    assert not found or plan([], {ROUTE: held}) == plan([], {})


def test_a_notification_that_is_kept_is_no_unconfirmed_delivery(database, slack) -> None:
    clock = Clock()
    record(database, silence(clock), RATE)
    turns(sender(database, clock, bot(slack)), clock)
    clock.move(HOUR)
    with database.read() as connection:
        assert deliveries.unconfirmed(connection, clock() - timedelta(days=7), clock()) == ()
