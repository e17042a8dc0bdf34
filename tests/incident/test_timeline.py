"""The timeline of an incident: a plain first line each, what stands behind it, and what came before it opened."""

from __future__ import annotations

from services.incident.fold import fold
from services.wording import decisions, evaluations, incidents, timeline
from tests.support.records import FELL, OTHER, ROUTE, alert, at, change, comparison, decision, family_alert, run


def test_headline_of_an_incident_follows_its_alerts():
    model, rate = family_alert("model_shift", index=600), alert(index=700)
    assert fold(ROUTE, [model]).incidents[0].headline == incidents.sentence(model)
    assert fold(ROUTE, [model, rate]).incidents[0].headline == incidents.headline([model, rate])


def test_confidence_of_an_incident_follows_its_alerts():
    model, rate, leak = family_alert("model_shift", index=600), alert(index=700), family_alert("events", index=800)
    found = [fold(ROUTE, facts).incidents[0].confidence for facts in ([model], [rate], [model, rate], [model, leak])]
    assert found == ["suspected", "likely", "very sure", "certain"]


def test_every_entry_says_in_plain_words_what_its_details_hold_in_numbers():
    facts = [family_alert("model_shift", index=600), alert(index=720), alert(index=780, severity="error", effect=FELL)]
    (incident,) = fold(ROUTE, facts).incidents
    assert [entry.kind for entry in incident.timeline] == ["opened", "alert_fired", "escalated", "escalated"]
    for entry, fact in zip(incident.timeline, (*facts[:2], *facts[1:]), strict=True):
        assert incidents.details(fact) in (entry.details or "")


def test_facts_are_worded_as_everywhere():
    facts = [alert(index=600), change(index=700), run(hours=13), comparison(hours=13.1), decision("acknowledge", 14)]
    told = [(entry.text, entry.details) for entry in fold(ROUTE, facts).incidents[0].timeline[1:]]
    assert told == [
        (timeline.change_text(facts[1]), timeline.change_details(facts[1])),
        (evaluations.run_text(facts[2]), evaluations.run_details(facts[2])),
        (evaluations.comparison_text(facts[3]), evaluations.comparison_details(facts[3])),
        (decisions.decision_text(facts[4]), None),
    ]


def test_a_comparison_is_known_by_its_outcome():
    facts = [alert(index=600), run(hours=13), comparison(hours=13.1)]
    assert [entry.outcome for entry in fold(ROUTE, facts).incidents[0].timeline] == [None, None, "regressed"]


def test_who_silenced_an_alert_is_told_by_the_incident_that_it_opens():
    silence = decision("silence", hours=1, expires=at(60))
    facts = [silence, alert(index=1000, hours=50, silenced=True)]
    assert [entry.ref for entry in fold(ROUTE, facts).incidents[0].timeline] == [silence.id, facts[1].id]
    over = [decision("silence", hours=1, expires=at(40)), alert(index=1000, hours=50)]
    assert [entry.kind for entry in fold(ROUTE, over).incidents[0].timeline] == ["opened"]


def test_what_came_shortly_before_is_told_first():
    facts = [
        change(index=700),
        run(hours=5),
        comparison("unchanged", hours=6),
        change("suspected", index=720),
        alert(index=720),
    ]
    (incident,) = fold(ROUTE, facts).incidents
    assert [entry.kind for entry in incident.timeline] == ["evaluation", "evaluation", "change", "change", "opened"]


def test_what_came_long_before_is_told_of_the_identity_that_fires():
    early = change(index=10)
    named, other = alert(index=3000, identities=(OTHER,)), alert(index=3000)
    assert len(fold(ROUTE, [early, named]).incidents[0].timeline) == 2
    assert len(fold(ROUTE, [early, other]).incidents[0].timeline) == 1
