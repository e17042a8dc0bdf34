"""Severity only rises by itself; the verdict names who moved, and every revision is told."""

from __future__ import annotations

import pytest

from services.incident.fold import fold
from services.incident.verdict import Crossing, verdict_of
from services.wording.incidents import verdict_in_full
from services.wording.timeline import escalated
from tests.support.records import FELL, ROUTE, alert, at, decision, family_alert

MODEL = family_alert("model_shift", index=600)
USERS = family_alert("user_shift", index=600)
NOVEL = family_alert("novel_rate", index=600)
RATE = alert(index=720)


def only(*facts, now=None):
    (incident,) = fold(ROUTE, facts, now).incidents
    return incident


def kinds(incident):
    return [entry.kind for entry in incident.timeline]


def test_a_rise_is_escalated_on_the_timeline():
    incident = only(MODEL, RATE, alert(index=780, severity="error", effect=FELL))
    assert incident.severity == "error"
    assert kinds(incident) == ["opened", "alert_fired", "escalated", "escalated"]
    assert incident.timeline[-1].text == escalated(alert(severity="error", effect=FELL), "warning", again=True).text


def test_severity_does_not_fall_with_a_lesser_alert_nor_with_the_end_of_the_greater():
    event_back = family_alert("events", "resolved", 800)
    assert (
        only(family_alert("events", index=600), MODEL.model_copy(update={"ts": at(12)}), event_back).severity
        == "critical"
    )


def test_severity_does_not_fall_when_reopened():
    facts = [alert(index=720, severity="error"), alert("resolved", index=800, severity="error"), alert(index=900)]
    assert only(*facts).severity == "error"


@pytest.mark.parametrize("kind", ["acknowledge", "snooze"])
@pytest.mark.parametrize(
    ("facts", "rises"),
    [
        pytest.param([MODEL, alert(index=1300)], True, id="info to warning"),
        pytest.param([RATE, family_alert("events", index=1300)], True, id="warning to critical"),
        pytest.param([RATE, family_alert("blind", index=1300)], False, id="as severe as before"),
        pytest.param([RATE, family_alert("user_shift", index=1300)], False, id="less severe"),
    ],
)
def test_rise_to_warning_or_above_reopens_acknowledged_and_ends_snoozed(kind, facts, rises):
    incident = only(*facts, decision(kind, 20, expires=at(60)))
    before = {"acknowledge": "acknowledged", "snooze": "snoozed"}[kind]
    assert incident.state == ("open" if rises else before)
    entry = {"acknowledge": "reopened", "snooze": "woken"}[kind]
    assert (entry in kinds(incident)) is rises
    assert (incident.snoozed_until is None) is (rises or kind == "acknowledge")


CASES = [
    pytest.param(["model_shift"], "model", id="model_shift"),
    pytest.param(["rate_shift"], "model", id="conditional rate_shift"),
    pytest.param(["evaluation"], "model", id="a regressed suite"),
    pytest.param(["user_shift"], "users", id="user_shift alone"),
    pytest.param(["model_shift", "user_shift"], "both", id="both"),
    pytest.param(["rate_shift", "user_shift"], "both", id="both by a rate"),
    pytest.param(["instrument_shift", "model_shift", "user_shift"], "ruler", id="instrument_shift overrides"),
    pytest.param(["events"], "unknown", id="events alone"),
    pytest.param(["blind"], "unknown", id="blind alone"),
    pytest.param(["events", "blind"], "unknown", id="events and blind"),
    pytest.param(["slow_poison"], "unknown", id="anything else"),
    pytest.param(["attack_cluster"], "users", id="an attack wave"),
    pytest.param(["escalating_conversation"], "unknown", id="one conversation says nothing of who changed"),
    pytest.param(["score_shift"], "unknown", id="nor do lengths"),
    pytest.param(["events", "model_shift"], "model", id="event and model"),
    pytest.param(["events", "user_shift"], "users", id="event and users"),
    pytest.param(["novel_rate"], "users", id="a rate on new questions"),
    pytest.param(["novel_rate", "rate_shift"], "model", id="the model answers new questions too"),
    pytest.param(["novel_rate", "rate_shift", "user_shift"], "both", id="and the questions changed"),
]


def judged(*crossings):
    return verdict_of([family_alert(family) for _, family in crossings], [Crossing(*one) for one in crossings]).verdict


@pytest.mark.parametrize(("families", "verdict"), CASES)
def test_verdict(families, verdict):
    crossings = [(at(hours), family) for hours, family in enumerate(families)]
    assert judged(*crossings) == judged(*reversed(crossings)) == verdict


@pytest.mark.parametrize(
    ("questions", "others", "verdict", "sure"),
    [
        (None, [], "model", "likely"),
        ("same", [], "model", "likely"),
        ("alike", [], "model", "likely"),
        ("few", [], "unknown", None),
        ("other", [], "users", "likely"),
        ("same", [USERS], "both", "suspected"),
        ("alike", [USERS], "users", "likely"),
        ("few", [USERS], "users", "suspected"),
        ("other", [USERS], "users", "likely"),
        ("alike", [NOVEL], "model", "likely"),
        ("few", [NOVEL], "unknown", None),
        ("few", [NOVEL, USERS], "users", "suspected"),
        ("few", [family_alert("evaluation", index=600)], "model", "likely"),
        ("alike", [USERS, family_alert("evaluation", index=600)], "both", "likely"),
    ],
)
def test_other_answers_name_the_model_only_where_the_questions_stayed(questions, others, verdict, sure):
    incident = only(alert(index=720, questions=questions), *others)
    assert (incident.verdict, incident.verdict_confidence) == (verdict, sure)


def test_new_questions_that_turn_out_to_be_others_take_the_model_back_and_say_so():
    few, told = (alert(index=index, questions=said) for index, said in ((720, "few"), (800, "other")))
    incident = only(few, told)
    assert [one.verdict for one in (only(few), incident)] == ["unknown", "users"]
    assert "too few so far" in only(few).verdict_reason
    assert kinds(incident) == ["opened", "verdict_revised"]
    assert "on other questions than before" in incident.verdict_reason
    assert "nobody can say" in incident.verdict_reason
    assert only(few, alert(index=800, questions="alike")).verdict == "model"


@pytest.mark.parametrize(
    ("hours", "verdict"),
    [(24.0, "both"), (24.1, "model"), (-24.0, "both"), (-24.1, "model")],
    ids=["24 h are together", "later: model", "users 24 h before", "users earlier: model"],
)
def test_both_crossed_within_24_h(hours, verdict):
    assert judged((at(0), "model_shift"), (at(hours), "user_shift")) == verdict


def test_every_revision_is_on_the_timeline_with_its_reason():
    incident = only(family_alert("events", index=500), USERS, family_alert("model_shift", index=610))
    revisions = [entry for entry in incident.timeline if entry.kind == "verdict_revised"]
    assert [one.details for one in revisions] == ["verdict users, before unknown", "verdict both, before users"]
    assert incident.verdict == "both"
    assert revisions[-1].text == verdict_in_full(incident)


def test_a_stronger_reason_for_the_same_verdict_is_no_revision():
    incident = only(MODEL, RATE)
    assert "verdict_revised" not in kinds(incident)
    assert "rate" in incident.verdict_reason


def test_an_alert_of_a_stream_that_already_fires_is_no_new_crossing():
    later = family_alert("user_shift", index=3000)
    again = alert(index=2900, severity="error")
    assert only(RATE, again, later).verdict == "model"
