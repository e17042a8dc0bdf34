"""The course of an incident: opening, absorbing, reopening, resolving itself; one open incident a route."""

from __future__ import annotations

import pytest

from schemas.incident import incident_id
from services.incident.fold import fold
from services.wording import decisions
from tests.support.records import IDENTITY, OTHER, ROUTE, alert, at, change, comparison, decision, family_alert, run

MODEL = family_alert("model_shift", index=600)
RATE = alert(index=720)
RATE_BACK = alert("resolved", index=900, reason="effect back inside the floor")
EVENT = family_alert("events", index=660)


def incidents(*facts, now=None):
    return fold(ROUTE, facts, now).incidents


def only(*facts, now=None):
    (incident,) = incidents(*facts, now=now)
    return incident


def kinds(incident):
    return [entry.kind for entry in incident.timeline]


def test_first_alert_opens_it_and_gives_its_id():
    incident = only(RATE)
    assert incident.id == incident_id(ROUTE, RATE.fingerprint, IDENTITY, 720)
    assert (incident.state, incident.opened_event_index, incident.opened_at) == ("open", 720, at(12))
    assert kinds(incident) == ["opened"]


def test_alert_of_the_whole_route_opens_one_without_an_identity():
    users = family_alert("user_shift", index=600)
    assert only(users).id == incident_id(ROUTE, users.fingerprint, None, 600)


def test_comparison_opens_nothing_but_its_alert_does():
    assert incidents(comparison(), run(), change()) == ()
    assert only(comparison(hours=10), family_alert("evaluation", index=600)).opened_event_index == 600


def test_open_incident_absorbs_every_alert_of_its_route():
    incident = only(MODEL, EVENT, RATE, family_alert("blind", index=730))
    assert incident.families == ("model_shift", "events", "rate_shift", "blind")
    assert incident.signals == ("secret_leak", "refusal", "no_data")
    assert incident.opened_event_index == 600
    assert len(incident.fingerprints) == 4


def test_alerts_of_other_routes_are_not_its_own():
    assert incidents(alert(route="other/prod")) == ()


def test_identities_and_exemplars_are_united_in_order_ten_at_most():
    first = alert(index=700, exemplars=tuple("abcdef"))
    second = family_alert("model_shift", index=710, identities=(OTHER, IDENTITY), exemplars=tuple("fedghijklm"))
    incident = only(first, second)
    assert incident.identities == (IDENTITY, OTHER)
    assert incident.exemplars == tuple("abcdefghij")


def test_it_resolves_itself_when_all_alerts_resolved():
    incident = only(RATE, RATE_BACK)
    assert (incident.state, incident.resolved_at) == ("resolved", at(15))
    assert kinds(incident) == ["opened", "alert_resolved", "resolved"]
    assert incident.timeline[-1].text == decisions.all_over(RATE_BACK.reason)


def test_it_stays_while_one_alert_fires():
    assert only(MODEL, RATE, RATE_BACK).state == "open"


@pytest.mark.parametrize(
    ("hours", "fields", "count", "state"),
    [
        pytest.param(38.9, {}, 1, "open", id="same fingerprint within 24 h reopens it"),
        pytest.param(39.0, {}, 1, "open", id="24 h are within"),
        pytest.param(39.1, {}, 2, "resolved", id="later opens a new one"),
        pytest.param(16.0, {"signal": "pii_leak"}, 2, "resolved", id="another fingerprint opens a new one"),
    ],
)
def test_reopening(hours, fields, count, state):
    found = incidents(RATE, RATE_BACK, alert(index=5000, hours=hours, **fields))
    assert len(found) == count
    assert found[0].state == state


def test_reopened_is_a_timeline_entry_and_clears_the_end():
    incident = only(RATE, RATE_BACK, alert(index=960))
    assert kinds(incident)[-2:] == ["reopened", "alert_fired"]
    assert incident.resolved_at is None
    assert incident.id == only(RATE).id


def test_newest_of_two_resolved_incidents_is_reopened():
    facts = [RATE, RATE_BACK, alert(index=3000), alert("resolved", index=3060), alert(index=3120)]
    first, second = incidents(*facts)
    assert (first.state, second.state) == ("resolved", "open")


def test_an_alert_of_the_very_same_opening_reopens_whenever_it_comes():
    suite = family_alert("evaluation", index=600)
    again = family_alert("evaluation", index=600, hours=200)
    assert only(suite, decision("resolve"), again).state == "open"


@pytest.mark.parametrize(
    ("facts", "now", "resolved_at"),
    [
        pytest.param([MODEL], 34, at(34), id="24 h after its alert"),
        pytest.param([MODEL], 99, at(34), id="at the time when it was due, however late the tick"),
        pytest.param([MODEL], 33.9, None, id="not before"),
        pytest.param(
            [MODEL, family_alert("user_shift", index=1200)], 43.9, None, id="a new alert starts the 24 h anew"
        ),
        pytest.param([MODEL, family_alert("user_shift", index=1200)], 44, at(44), id="24 h after the last alert"),
        pytest.param([MODEL, decision("acknowledge")], 34, at(34), id="acknowledged or not"),
        pytest.param([MODEL, decision("snooze", expires=at(90))], 34, at(34), id="snoozed or not"),
        pytest.param([MODEL, change(hours=40)], None, at(34), id="a later fact shows that it was due"),
        pytest.param([MODEL, change(hours=30)], 33, None, id="a fact before does not"),
        pytest.param([RATE], 999, None, id="a warning never"),
        pytest.param([MODEL, RATE], 999, None, id="one that rose never"),
        pytest.param([EVENT], 999, None, id="an event never"),
    ],
)
def test_info_without_a_new_alert_for_24_h_resolves_itself(facts, now, resolved_at):
    incident = only(*facts, now=None if now is None else at(now))
    assert incident.resolved_at == resolved_at
    if resolved_at is not None:
        last = next(entry for entry in incident.timeline if entry.kind == "resolved")
        assert last.text == decisions.BY_ITSELF
        assert last.ts == resolved_at


def test_rise_after_self_resolution_is_a_new_incident():
    first, second = incidents(MODEL, alert(index=2400))
    assert (first.state, second.state) == ("resolved", "open")


def test_alert_resolved_after_the_incident_is_noted_there():
    incident = only(MODEL, family_alert("model_shift", "resolved", 2400))
    assert kinds(incident) == ["opened", "resolved", "alert_resolved"]
    assert incident.state == "resolved"


def test_resolved_alert_that_nobody_saw_fire_opens_nothing():
    assert incidents(RATE_BACK) == ()


@pytest.mark.parametrize("overall", ["unchanged", "improved", "inconclusive", "regressed"])
def test_comparison_never_resolves_an_incident(overall):
    incident = only(family_alert("evaluation", index=600), comparison(overall, hours=30), now=at(200))
    assert incident.state == "open"
    assert kinds(incident) == ["opened", "evaluation"]


def test_blindness_resolves_nothing_else():
    incident = only(RATE, family_alert("blind", index=800), family_alert("blind", "resolved", 900))
    assert incident.state == "open"


def test_alerts_of_one_instant_are_taken_by_their_exchange():
    instant = {"hours": 12}
    facts = [alert(index=720, **instant), alert("resolved", 721, **instant), alert(index=722, **instant)]
    assert only(*facts).state == "open"


def test_turning_round_in_one_exchange_is_one_incident():
    turned = [alert(index=800, direction="up"), alert("resolved", index=800)]
    assert only(RATE, *turned).state == "open"
