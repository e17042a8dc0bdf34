"""What each decision does to an incident; late, repeated and foreign ones change nothing."""

from __future__ import annotations

import pytest

from schemas.identity import Model
from services.incident.fold import fold
from tests.support.records import NEW, OTHER, ROUTE, alert, at, decision, family_alert

RATE = alert(index=720)
EVENT = family_alert("events", index=730)
ID = fold(ROUTE, [RATE]).incidents[0].id


def only(*facts, now=None):
    (incident,) = fold(ROUTE, facts, now).incidents
    return incident


def kinds(incident):
    return [entry.kind for entry in incident.timeline]


@pytest.mark.parametrize(
    ("kind", "state", "entry"),
    [
        ("announce", "open", "decision"),
        ("acknowledge", "acknowledged", "acknowledged"),
        ("snooze", "snoozed", "snoozed"),
        ("accept_baseline", "resolved", "resolved"),
        ("false_alarm", "resolved", "resolved"),
        ("roll_back", "open", "decision"),
        ("silence", "open", "decision"),
        ("resolve", "resolved", "resolved"),
    ],
)
@pytest.mark.parametrize("incident", [None, ID], ids=["of the route", "by its id"])
def test_decision(kind, state, entry, incident):
    made = decision(kind, incident=incident)
    found = only(RATE, made)
    assert (found.state, kinds(found)) == (state, ["opened", entry])
    last = found.timeline[-1]
    assert (last.actor, last.ts, last.ref) == ("mara", at(20), made.id)
    assert "we looked at it" in last.text
    assert (found.resolved_at is not None) is (state == "resolved")


@pytest.mark.parametrize("kind", ["resolve", "false_alarm"])
def test_one_of_several_alerts_decided_leaves_the_incident_open(kind):
    found = only(RATE, EVENT, decision(kind, fingerprint=EVENT.fingerprint))
    assert found.state == "open"
    assert only(RATE, decision(kind, fingerprint=RATE.fingerprint)).state == "resolved"


@pytest.mark.parametrize(
    ("alerts", "state"),
    [([RATE], "resolved"), ([RATE, EVENT], "open"), ([RATE, family_alert("blind", index=730)], "open")],
    ids=["what moved", "a leak stays", "blindness stays"],
)
def test_a_new_baseline_resolves_what_moved_and_nothing_else(alerts, state):
    assert only(*alerts, decision("accept_baseline")).state == state


def test_after_the_leak_is_resolved_too_the_incident_is():
    found = only(RATE, EVENT, decision("accept_baseline"), family_alert("events", "resolved", 1300))
    assert found.state == "resolved"


def test_roll_back_stays_open_until_the_effect_returns():
    back = alert("resolved", index=1300)
    assert only(RATE, decision("roll_back"), back).state == "resolved"


def test_snooze_lasts_until_it_expires_and_wakes_at_that_time():
    snooze = decision("snooze", 20, expires=at(30))
    assert only(RATE, snooze, now=at(29.9)).snoozed_until == at(30)
    found = only(RATE, snooze, now=at(77))
    assert (found.state, found.snoozed_until) == ("open", None)
    assert (kinds(found)[-1], found.timeline[-1].ts) == ("woken", at(30))


def test_snooze_without_an_end_lasts_24_h():
    assert only(RATE, decision("snooze", 20)).snoozed_until == at(44)


def test_snooze_that_ended_before_it_began_changes_nothing():
    found = only(RATE, decision("snooze", 20, expires=at(19)))
    assert (found.state, kinds(found)[-1]) == ("open", "decision")


def test_acknowledged_can_be_snoozed_and_snoozed_acknowledged():
    acknowledge, snooze = decision("acknowledge", 20), decision("snooze", 21, expires=at(40))
    assert only(RATE, acknowledge, snooze).state == "snoozed"
    found = only(RATE, snooze, decision("acknowledge", 22), now=at(50))
    assert (found.state, found.snoozed_until) == ("acknowledged", None)


@pytest.mark.parametrize("kind", ["acknowledge", "snooze", "accept_baseline", "false_alarm", "roll_back", "resolve"])
def test_decision_on_a_resolved_incident_is_noted_and_changes_nothing(kind):
    before = only(RATE, decision("resolve", 20))
    after = only(RATE, decision("resolve", 20), decision(kind, 21, incident=ID))
    assert after.state == "resolved"
    assert after.resolved_at == before.resolved_at
    assert after.timeline[:-1] == before.timeline
    assert "resolved already" in after.timeline[-1].text


def test_the_same_decision_twice_is_one():
    made = decision("acknowledge")
    assert only(RATE, made, made) == only(RATE, made)


def test_acknowledging_again_is_noted():
    found = only(RATE, decision("acknowledge", 20), decision("acknowledge", 21, actor="otto"))
    assert (found.state, kinds(found)[-1]) == ("acknowledged", "decision")


def test_decision_on_an_incident_that_nobody_knows_changes_nothing():
    assert only(RATE, decision("resolve", incident="0" * 16)) == only(RATE)


def test_decision_on_an_old_incident_leaves_the_open_one_alone():
    facts = [RATE, decision("resolve", 20), alert(index=5000)]
    first, second = fold(ROUTE, [*facts, decision("false_alarm", 90, incident=ID)]).incidents
    assert (first.state, second.state) == ("resolved", "open")
    assert "resolved already" in first.timeline[-1].text


def test_decision_whose_clock_is_before_the_opening_still_reaches_the_incident_it_names():
    found = only(RATE, decision("resolve", 11.9, incident=ID))
    assert (found.state, found.resolved_at) == ("resolved", at(12))


def test_decision_without_an_incident_before_anything_fired_changes_nothing():
    assert only(RATE, decision("resolve", 11.9)).state == "open"
    assert fold(ROUTE, [decision("resolve")]).incidents == ()


def test_alert_that_resolves_with_the_decision_does_not_resolve_it_twice():
    back = alert("resolved", index=800, hours=20, reason="resolved by mara: we looked at it")
    found = only(RATE, decision("resolve", 20), back)
    assert kinds(found) == ["opened", "resolved", "alert_resolved"]
    assert found.timeline[1].actor == "mara"


@pytest.mark.parametrize(
    ("fields", "hours", "told"),
    [
        pytest.param({}, 11, True, id="announced within 24 h"),
        pytest.param({}, -13, False, id="announced long ago, of no identity"),
        pytest.param({"model": NEW}, -400, True, id="announced long ago, of the identity that fires"),
        pytest.param({"model": Model(requested="x")}, -400, False, id="announced long ago, of another"),
    ],
)
def test_later_incident_says_announced_change(fields, hours, told):
    fires = alert(index=720, identities=(OTHER,))
    found = only(decision("announce", hours, **fields), fires)
    assert any("announced" in entry.text for entry in found.timeline) is told
