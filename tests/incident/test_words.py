"""Headlines and timeline texts, as the person on call reads them."""

from __future__ import annotations

from datetime import timedelta

import pytest

from schemas.evaluation import Measure
from schemas.reading import Effect, Evidence
from services.incident.fold import fold
from services.incident.wording import (
    change_text,
    comparison_text,
    decision_text,
    fired_text,
    headline,
    movement_text,
    resolved_text,
    run_text,
)
from tests.support.records import FELL, OTHER, ROUTE, alert, at, change, comparison, decision, family_alert, run

MOVE = "fell from 18.8% to 2.1% (change -20.4 to -12.9 pp, 143 exchanges)"
SUITE = Effect(name="jailbreak refusal", before=98.0, after=71.0, low=-33.0, high=-21.0, unit="pp")
SD = Effect(name="distance", before=0.0, after=0.8, low=0.6, high=1.1, unit="sd")


@pytest.mark.parametrize(
    ("said", "text"),
    [
        (
            alert(effect=FELL),
            f"refusal rate of support-bot/prod {MOVE}",
        ),
        (
            alert(effect=FELL, slice="tags.locale=de"),
            f"refusal rate of support-bot/prod [tags.locale=de] {MOVE}",
        ),
        (
            alert(direction="up", signal="pii_leak", effect=None),
            "pii leak rate of support-bot/prod rose (143 exchanges)",
        ),
        (
            alert(direction=None, effect=Effect(name="x", low=1.0, high=2.0, unit="pp")),
            "refusal rate of support-bot/prod moved (change +1.0 to +2.0 pp, 143 exchanges)",
        ),
        (family_alert("events"), "secret leak seen in an answer of support-bot/prod (exchange 1000)"),
        (
            family_alert("model_shift", effect=SD),
            "answers of support-bot/prod to like prompts differ from the baseline's by 0.80 sd"
            " (change +0.60 to +1.10 sd, 143 exchanges)",
        ),
        (family_alert("user_shift"), "prompts to support-bot/prod differ from the baseline's (143 exchanges)"),
        (
            family_alert("blind", reason="no exchange for 30 hours"),
            "support-bot/prod is not watched: no exchange for 30 hours",
        ),
        (family_alert("evaluation"), "suite core regressed on support-bot/prod"),
        (
            family_alert(
                "evaluation",
                effect=SUITE,
            ),
            "suite core regressed on support-bot/prod: jailbreak refusal from 98.0% to 71.0%"
            " (change -33.0 to -21.0 pp, 143 items)",
        ),
        (family_alert("attack_cluster", evidence=Evidence()), "attack cluster of support-bot/prod"),
    ],
)
def test_moved(said, text):
    assert movement_text(said) == text


def test_headline_is_the_worst_and_counts_the_rest():
    facts = [family_alert("model_shift"), alert(effect=FELL), family_alert("user_shift")]
    assert headline(facts) == f"{movement_text(facts[1])}, and 2 more"
    assert headline(facts[:1]) == movement_text(facts[0])


def test_headline_of_an_incident_follows_its_alerts():
    model, rate = family_alert("model_shift", index=600), alert(index=700)
    assert fold(ROUTE, [model]).incidents[0].headline == movement_text(model)
    assert fold(ROUTE, [model, rate]).incidents[0].headline == f"{movement_text(rate)}, and 1 more"


def test_fired_says_where_it_crossed_and_how_sure():
    text = fired_text(alert(index=1234, silenced=True))
    assert text.endswith("; crossed at exchange 1234; log evidence 14.2, fires at 13.1; silenced: nobody is told")


def test_returned_says_why():
    text = resolved_text(alert("resolved", reason="effect back inside the floor"))
    assert text == "refusal (rate_shift) fires no more: effect back inside the floor; last 18.9%"


def test_a_count_of_events_is_no_level_that_an_event_returns_to():
    text = resolved_text(family_alert("events", "resolved", reason="resolved by mara: key rotated", effect=SD))
    assert text == "secret leak (events) fires no more: resolved by mara: key rotated"


@pytest.mark.parametrize("kind", ["snooze", "silence"])
def test_a_snooze_and_a_silence_say_until_when(kind):
    until = (at(20) + timedelta(hours=24)).strftime("%Y-%m-%d %H:%M")
    assert f" until {until} UTC: we looked at it" in decision_text(decision(kind))


def test_who_silenced_an_alert_is_told_by_the_incident_that_it_opens():
    silence = decision("silence", hours=1, expires=at(60))
    facts = [silence, alert(index=1000, hours=50, silenced=True)]
    assert [entry.ref for entry in fold(ROUTE, facts).incidents[0].timeline] == [silence.id, facts[1].id]
    over = [decision("silence", hours=1, expires=at(40)), alert(index=1000, hours=50)]
    assert [entry.kind for entry in fold(ROUTE, over).incidents[0].timeline] == ["opened"]


@pytest.mark.parametrize(
    ("kind", "fields", "start"),
    [
        ("observed", {}, f"new identity gpt-4-0613 ({OTHER[:8]}) at exchange 990"),
        ("observed", {"fingerprint": "fp_1"}, "new fingerprint fp_1 of gpt-4-0613"),
        ("observed", {"model": None}, f"new identity {OTHER[:8]} at exchange"),
        ("suspected", {}, "a silent change of gpt-4-0613"),
        ("pinned", {}, "baseline of gpt-4-0613"),
    ],
)
def test_change_text(kind, fields, start):
    assert change_text(change(kind, **fields)).startswith(start)


def test_evaluation_texts():
    measures = [Measure(hazard=name, measure="over_refusal", n=10, events=2) for name in ("benign", "look-alike")]
    assert (
        run_text(run(measures=tuple(measures)))
        == f"suite core run against identity {OTHER[:8]}: complete: over refusal 4 of 20"
    )
    text = comparison_text(comparison())
    assert text == "suite core: regressed (jailbreak refusal regressed 98.0% to 71.0%, 200 items)"
    assert comparison_text(comparison(reason="why")) == "suite core: regressed (why)"
    assert comparison_text(comparison("unchanged")) == "suite core: unchanged"


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
